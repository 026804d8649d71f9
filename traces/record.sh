#!/bin/sh
# Makes the shipped traces again: traces/record.sh [RAO]. Needed when the model, the lowering or the kernel changes.
set -eu
cd "$(dirname "$0")/.."
rao=${1:-build/release/rao}
"$rao" run kernels/fa4_fwd/hd128_s8192.yaml --record traces/fa4_fwd_hd128.rtrace >/dev/null
"$rao" run kernels/fa4_fwd/hd128_s8192_causal.yaml --record traces/fa4_fwd_hd128_causal.rtrace >/dev/null
