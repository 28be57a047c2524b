#!/usr/bin/env bash
# Shows that a recording survives kill -9 at any moment, with a release build: random kills under load and
# rotation; every file is readable, none is overwritten, and what had been flushed is there.
#
#   scripts/show-kills.sh [KILLS] [SEED]        as root; 1,000 kills take three quarters of an hour
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked
export SHADOWTAP_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/shadowtap
export SHADOWTAP_KILLS=${1:-1000} SHADOWTAP_SEED=${2:-1}
exec cargo test --locked --test integration -- --nocapture --test-threads 1 \
    writing::privileged::show_kills
