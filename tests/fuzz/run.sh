#!/bin/sh
# Runs every fuzz target of a build for some seconds: tests/fuzz/run.sh BUILD SECONDS. New inputs stay in the build.
set -eu
build=$1
seconds=$2
here=$(cd "$(dirname "$0")" && pwd)
for target in "$build"/fuzz/fuzz_*; do
    [ -x "$target" ] || continue
    name=$(basename "$target")
    corpus="$build/fuzz/corpus_$name"
    mkdir -p "$corpus"
    echo "-- $name, $seconds s"
    "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 -max_len=65536 -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="$corpus/" "$corpus" "$here/corpus/$name"
done
