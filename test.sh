#!/bin/sh
# All tests, under the address and undefined-behaviour sanitizers.
set -eu
cd "$(dirname "$0")"
RAO_EXTRA_PACKAGES=check
. ./setup.sh
cmake --preset debug >/dev/null
cmake --build --preset debug -j "$(nproc)" -- --no-print-directory -s
exec ctest --preset debug -j "$(nproc)" "$@"
