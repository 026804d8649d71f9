#!/bin/sh
# Format by clang-format 14, every header compiles alone, no function over 80 lines and no C file over 600 unless listed
# with its reason, nothing machine-specific in tracked files.
set -eu
cd "$(dirname "$0")/.."
fail=0

files=$(git ls-files '*.c' '*.h' '*.cu' '*.cuh')
if ! clang-format --dry-run -Werror $files 2>/tmp/style.$$; then
    head -20 /tmp/style.$$
    echo "style: run: clang-format -i \$(git ls-files '*.c' '*.h' '*.cu' '*.cuh')"
    fail=1
fi
rm -f /tmp/style.$$

for h in $(git ls-files 'isa/*.h' 'sim/*.h' | grep -v '_body\.h$'); do
    printf '#include "%s"\n' "$h" | gcc -std=gnu17 -I. -fsyntax-only -Wall -Werror -DRAO_VERSION='""' -x c - ||
        { echo "style: $h does not compile alone"; fail=1; }
done

# One-directional exceptions: a dispatcher, a big table.
long_ok=$(grep -v '^#' tests/style_exceptions.txt)
long=$(ctags --fields=+ne -o - --kinds-c=f $(git ls-files '*.c') | awk -F'\t' '
    { l = 0; e = 0; for (i = 4; i <= NF; i++) { if ($i ~ /^line:/) l = substr($i, 6); if ($i ~ /^end:/) e = substr($i, 5) }
      if (e - l > 80) print $2 ":" $1 }')
for f in $long; do
    echo "$long_ok" | grep -qxF "$f" || { echo "style: $f is longer than 80 lines"; fail=1; }
done
for f in $(git ls-files '*.c' '*.h'); do
    n=$(wc -l <"$f")
    [ "$n" -le 600 ] || echo "$long_ok" | grep -qxF "$f" || { echo "style: $f has $n lines (600)"; fail=1; }
done
exit $fail
