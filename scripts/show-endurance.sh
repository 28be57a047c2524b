#!/usr/bin/env bash
# Shows that memory stays flat whatever v2 does: a live mirror with a release build while v2 answers, answers
# byte by byte, closes, hangs, resets, is gone, is slow and talks nonsense, in turn, for ten minutes. Prints
# resident memory every 10 s, and fails if it grows by more than 5 MiB behind the first fifth (two minutes).
#
#   scripts/show-endurance.sh [SECONDS] [RATE]        as root
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked
export SHADOWTAP_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/shadowtap
export SHADOWTAP_SECONDS=${1:-600} SHADOWTAP_RATE=${2:-1000}
exec cargo test --locked --test integration -- --nocapture --test-threads 1 show_endurance_
