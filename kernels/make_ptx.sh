#!/bin/sh
# Prints the PTX of a kernel folder, with the compiler and the exact command in its first lines.
#   usage: sh make_ptx.sh KERNEL [NVCC] > KERNEL/KERNEL.ptx
set -e
kernel=${1:?kernel folder}
nvcc=${2:-nvcc}
cd "$(dirname "$0")/$kernel"
flags="-ptx -arch=sm_100a -O3 -std=c++17 -use_fast_math"
out=$(mktemp)
trap 'rm -f "$out"' EXIT
"$nvcc" $flags "$kernel.cu" -o "$out"
echo "// $("$nvcc" --version | grep release)"
echo "// nvcc $flags $kernel.cu -o $kernel.ptx"
cat "$out"
