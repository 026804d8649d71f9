#!/bin/sh
# Triton's assembler under rao exec. Triton calls `ptxas ... --gpu-name=sm_100a in.ptx -o out` and hands the bytes of `out` to
# cuModuleLoadData; here they are the PTX itself. The real ptxas, where there is one (RAO_PTXAS, or the first other one on
# PATH), still reads the PTX first, so that its errors and -v figures are what they would be.
here=$(cd "$(dirname "$0")" && pwd -P)
real=$RAO_PTXAS
if [ -z "$real" ]; then
    IFS=:
    for dir in $PATH; do
        [ -x "$dir/ptxas" ] && [ "$(cd "$dir" && pwd -P)" != "$here" ] && real=$dir/ptxas && break
    done
    unset IFS
fi
for word in "$@"; do
    if [ "$word" = --version ]; then
        [ -n "$real" ] && exec "$real" --version
        echo "ptxas: NVIDIA (R) Ptx optimizing assembler (Rao: PTX is passed through)"
        echo "Cuda compilation tools, release 13.0, V13.0.0"
        exit 0
    fi
done
if [ -n "$real" ]; then
    "$real" "$@" || exit $?
fi
in= out= want=
for word in "$@"; do
    case $want$word in
    -o) want=o ;;
    o*) out=$word want= ;;
    -*) ;;
    *.ptx) in=$word ;;
    esac
done
if [ -z "$in" ] || [ -z "$out" ]; then
    echo "ptxas (rao exec): no input.ptx or no -o output among: $*" >&2
    exit 255
fi
exec cp "$in" "$out"
