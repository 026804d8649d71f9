#!/bin/sh
# The table of docs/accuracy.md: simulated beside published, signed error. Prints Markdown.
#   usage: tests/accuracy.sh [RAO [options of rao run]]
set -eu
cd "$(dirname "$0")/.."
rao=${1:-build/release/rao}
[ $# -gt 0 ] && shift
echo "| kernel | published TFLOP/s | simulated TFLOP/s | error | cycles a step | SMs in detail | check |"
echo "|---|---|---|---|---|---|---|"
row() { # launch file, published, options
    file=$1
    published=$2
    shift 2
    "$rao" run "kernels/fa4_fwd/$file.yaml" --json - "$@" | python3 -c '
import json, sys
r = json.load(sys.stdin)
name, published = sys.argv[1], float(sys.argv[2])
t = r["tflops"]
print("| %s | %.0f | %.0f | %+.1f %% | %.0f | %d | %.1e |" % (name, published, t, 100 * (t / published - 1), r["step"]["cycles"],
      r["sms_simulated"], r["checks"][0]["rel_err"]))' "$file" "$published"
}
row hd128_s4096 1532 "$@"
row hd128_s8192 1579 "$@"
row hd128_s8192_causal 1426 "$@"
