#!/usr/bin/env bash
# Fuzzes one target, or all of them one after the other, beginning with the seeds that are kept.
#
#   scripts/fuzz.sh SECONDS [TARGET...]     SECONDS of wall time for each
#
# Needs a Rust compiler only: cargo-fuzz is installed into target/ when it is missing, and the flags that a
# fuzzer needs are unlocked on a stable compiler too. A finding ends it with an error; its input lies in
# fuzz/artifacts/TARGET. Otherwise what was learned is merged into fuzz/seeds/TARGET.tar.gz, and a line says
# how many executions and how much CPU time it took: the sums are in docs/fuzzing.md.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1 PATH="$PWD/target/tools/bin:$PATH"

[[ "${1:-}" =~ ^[0-9]+$ ]] || {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(frame segments request_stream response_stream capture_file gor)
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked --root target/tools cargo-fuzz

for target in "${targets[@]}"; do
    corpus=fuzz/corpus/$target artifacts=fuzz/artifacts/$target
    mkdir -p "$corpus" "$artifacts"
    # A new target has none yet.
    [ ! -f "fuzz/seeds/$target.tar.gz" ] || tar -xzf "fuzz/seeds/$target.tar.gz" -C "$corpus"
    # No sanitizer: the program has next to no unsafe code, and it costs half of the executions.
    cargo fuzz build --release --sanitizer none "$target"
    binary=fuzz/target/$(rustc -vV | sed -n 's/^host: //p')/release/$target
    options=(-artifact_prefix="$artifacts/" -max_len=4096 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1)
    case $target in *_stream) options+=(-dict=fuzz/http.dict) ;; esac
    TIMEFORMAT='%U %S'
    log=fuzz/target/$target.log
    { time "$binary" "${options[@]}" -max_total_time="$seconds" "$corpus" 2>"$log"; } 2>"$log.time" || {
        tail -n 40 "$log" >&2
        echo "scripts/fuzz.sh: a finding; see $artifacts" >&2
        exit 1
    }
    executions=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    cpu=$(tail -n 1 "$log.time" | awk '{ printf "%.0f", $1 + $2 }')
    rm -rf "$corpus.merged"
    mkdir "$corpus.merged"
    "$binary" -merge=1 -max_len=4096 "$corpus.merged" "$corpus" 2>/dev/null
    rm -rf "$corpus"
    mv "$corpus.merged" "$corpus"
    # The same files give the same archive.
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$corpus" -cf - . |
        gzip -9n >"fuzz/seeds/$target.tar.gz"
    echo "$target: $executions executions in $cpu s of CPU, $(find "$corpus" -type f | wc -l) seeds"
done
