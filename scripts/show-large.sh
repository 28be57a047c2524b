#!/usr/bin/env bash
# Shows that a recording of 20 GB is inspected, and a narrow range of it replayed, in less than 64 MB of memory, with
# the right counts (scripts/large/run.py). The recording is made of fixtures, and deleted at the end.
#
#   scripts/show-large.sh [DIR]     in DIR, or where mktemp puts things
#   SIZE=1000000000                 other bytes than 20 GB
#   SHADOWTAP_BIN=FILE              that program instead of a release build
set -Eeuo pipefail
cd "$(dirname "$0")/.."
size=${SIZE:-20000000000}
spare=5000000000
work=$(mktemp -d ${1:+-p "$1"})
trap 'rm -rf "$work"' EXIT
trap 'echo "show-large: line $LINENO failed: $BASH_COMMAND" >&2' ERR

free=$(($(df --output=avail -k "$work" | tail -n 1) * 1024))
if [ "$free" -lt $((size + spare)) ]; then
    echo "show-large: $work has $free bytes free, and $((size + spare)) are needed; name another directory, or set SIZE" >&2
    exit 2
fi
if [ -z "${SHADOWTAP_BIN-}" ]; then
    cargo build --release --locked
    SHADOWTAP_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/shadowtap
fi
"$SHADOWTAP_BIN" convert fixtures/{demo,wrk,large-body,post,chunked}.pcap "$work/base.warc" --keep-secrets
python3 scripts/large/run.py "$SHADOWTAP_BIN" "$work/base.warc" "$work" "$size"
