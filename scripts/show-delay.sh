#!/usr/bin/env bash
# Measures, with a release build on an idle machine, the delay from a request's last packet to its
# arrival at v2: packet time from tcpdump, arrival from v2's own clock.
#
#   scripts/show-delay.sh [REQUESTS]        as root
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked
export SHADOWTAP_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/shadowtap
export SHADOWTAP_DELAYS=${1:-1000}
exec cargo test --locked --test integration -- --nocapture --test-threads 1 delay::show_
