#!/usr/bin/env bash
# Shows that live traffic arrives at v2 as it was, with a release build: 50,000 requests at 5,000/s on
# loopback and through a veth pair against nginx, v2 and the ledger compared with nginx's access log.
#
#   scripts/show-mirror.sh [REQUESTS] [RATE]        as root
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked
export SHADOWTAP_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/shadowtap
export SHADOWTAP_REQUESTS=${1:-50000} SHADOWTAP_RATE=${2:-5000}
exec cargo test --locked --test integration -- --nocapture --test-threads 1 exact::show_
