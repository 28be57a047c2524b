#!/usr/bin/env bash
# Shows, with a release build, that files give back what was live: captures of tcpdump on an interface
# and on `any`, each replayed five times, and recordings, listed, replayed and read by warcio.
#
#   scripts/show-files.sh [REQUESTS] [RATE]        as root
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked
export SHADOWTAP_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/shadowtap
export SHADOWTAP_REQUESTS=${1:-50000} SHADOWTAP_RATE=${2:-5000}
exec cargo test --locked --test integration -- --nocapture --test-threads 1 \
    replay_files::privileged::show_ record_replay::privileged::show_
