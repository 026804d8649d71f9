#!/bin/sh
# From a fresh clone to a report: installs missing packages, builds release, runs the main job.
set -eu
cd "$(dirname "$0")"
RAO_EXTRA_PACKAGES=
. ./setup.sh
cmake --preset release >/dev/null
cmake --build --preset release -j "$(nproc)" -- --no-print-directory -s >/dev/null
exec ./build/release/rao run kernels/fa4_fwd/hd128_s1024.yaml "$@"
