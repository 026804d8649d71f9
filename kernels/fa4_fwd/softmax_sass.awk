# Counts the machine instructions of the unmasked softmax loop of fa4_fwd, one warp, one trip:
# the shortest loop with more than 64 MUFU.EX2. What a failed try_wait executes lies outside of it.
#
#     ptxas -arch=sm_100a fa4_fwd.ptx -o fa4_fwd.cubin
#     nvdisasm -c fa4_fwd.cubin | awk -f softmax_sass.awk > softmax_sass.tsv

# The operation without its type modifiers; those that change what it costs stay.
function opcode(op)
{
    if (op ~ /^(MUFU|LDTM|STTM|BAR|SYNCS)/) {
        sub(/\.TRANS64|\.A1T0/, "", op)
        sub(/\.TRANS64|\.A1T0/, "", op)
        return op
    }
    sub(/\..*/, "", op)
    return op
}

/^[ \t]*\.section/ { inside = index($0, ".text.fa4_fwd,") > 0; n = 0 }
!inside { next }
/^\.L/ { sub(/:.*/, ""); at[$0] = n; next }
!/\/\*[0-9a-f]+\*\// { next }
{
    sub(/^[ \t]*\/\*[0-9a-f]+\*\/[ \t]*/, "")
    sub(/^@!?U?P[0-9T]+[ \t]+/, "")
    code[n++] = $1
    if ($1 !~ /^BRA/ || !match($0, /\.L_x_[0-9]+/))
        next
    label = substr($0, RSTART, RLENGTH)
    if (!(label in at))
        next
    ex2 = 0
    for (i = at[label]; i < n; i++)
        ex2 += code[i] == "MUFU.EX2"
    if (ex2 > 64 && (!best || n - at[label] < best)) {
        best = n - at[label]
        delete count
        for (i = at[label]; i < n; i++)
            count[opcode(code[i])]++
    }
}

END {
    print "# Unmasked softmax loop of fa4_fwd: machine instructions of one warp and one trip (one KV block of"
    print "# 128 keys, one row a thread). The loop is the shortest in .text.fa4_fwd with more than 64 MUFU.EX2;"
    print "# in the PTX it is the range of labels that README.md names. Made in this folder, ptxas 13.0.88, by:"
    print "#     ptxas -arch=sm_100a fa4_fwd.ptx -o fa4_fwd.cubin"
    print "#     nvdisasm -c fa4_fwd.cubin | awk -f softmax_sass.awk > softmax_sass.tsv"
    print "opcode\tcount"
    fflush() # before sort writes
    for (op in count)
        print op "\t" count[op] | "sort -t '\t' -k2,2nr -k1,1"
    close("sort -t '\t' -k2,2nr -k1,1")
    print "total\t" best
}
