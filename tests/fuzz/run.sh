#!/bin/sh
# Runs every fuzz target of a build for some seconds: tests/fuzz/run.sh BUILD SECONDS [TARGET]. New inputs stay in the build.
set -eu
build=$1
seconds=$2
only=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
for target in "$build"/fuzz/fuzz_*; do
    name=$(basename "$target")
    [ -f "$target" ] && [ -x "$target" ] || continue
    [ -z "$only" ] || [ "$only" = "$name" ] || continue
    corpus="$build/corpus_$name"
    mkdir -p "$corpus"
    seeds=
    for dir in "$here/corpus/$name" $([ "$name" = fuzz_ptx ] && echo "$here/../ptx/good" "$here/../ptx/bad"); do
        [ -d "$dir" ] && seeds="$seeds $dir"
    done
    echo "-- $name, $seconds s"
    "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=65536 -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="$corpus/" "$corpus" $seeds
done
