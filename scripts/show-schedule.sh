#!/usr/bin/env bash
# Shows that requests leave when they are due: a capture of 10,000 requests/s for 30 s replayed at 1x, 2x and
# 0.5x, each beside a bare loop of clock_nanosleep at the same rate in the same run; then 1,000,000 requests at
# 20,000/s, where tcpdump's clock tells whether the last 1 % are as punctual as the first. Fails when a request
# is missing or a limit passed: 1 ms above the bare loop at p99, 3 ms at p99.9; 0.1 ms of drift.
#
#   scripts/show-schedule.sh [SECONDS] [COUNT]        as root, on an idle machine (30 s, 1,000,000)
set -Eeuo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30} count=${2:-1000000}
cargo build --release --locked
source scripts/host.sh
cc -O2 -o "$work/schedule" benches/whole/schedule.c -lpcap
v2=http://127.0.0.1:18481
nginx_start v2 18481 "location / { return 204; }"
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

replay() { # FILE OPTION...
    "${inside[@]}" "$shadowtap" replay "$@" --to "$v2" --json >"$work/replay.json" 2>"$work/replay.err"
}

# A quantile of the send lag, in microseconds.
lag() { grep -o '"send_lag":{[^}]*}' "$work/replay.json" | grep -o "\"$1\":[0-9]*" | cut -d: -f2; }

at_speed() { # SPEED RATE
    local p50 p99 p999 most sent
    read -r p50 p99 p999 most < <("$work/schedule" sleep $((seconds * $2)) "$2")
    echo "bare loop, $2/s: late by p50 $p50 us, p99 $p99, p99.9 $p999, at most $most"
    replay "$work/paced.pcap" --speed "$1"
    sent=$(answered "$work/replay.json")
    echo "replay --speed $1, $2/s: sent $sent of $all, lag p50 $(lag p50_us) us, p99 $(lag p99_us)," \
        "p99.9 $(lag p999_us), at most $(lag max_us)"
    [ "$sent" -eq "$all" ] || fail "not all were sent"
    [ "$(lag p99_us)" -le $((p99 + 1000)) ] || fail "p99"
    [ "$(lag p999_us)" -le $((p999 + 3000)) ] || fail "p99.9"
}

all=$((10000 * seconds))
"$work/schedule" capture "$all" 10000 100 >"$work/paced.pcap"
at_speed 1x 10000
at_speed 2x 20000
at_speed 0.5x 5000

"$work/schedule" capture "$count" 20000 100 >"$work/long.pcap"
"${inside[@]}" tcpdump -i lo -B 131072 --time-stamp-precision=nano -s 66 -w "$work/sent.pcap" \
    'dst port 18481 and greater 400' 2>"$work/tcpdump.err" &
dump=$!
pids+=("$dump")
wait_for tcpdump grep -q listening "$work/tcpdump.err"
replay "$work/long.pcap" --speed 1x
# The kernel hands over the last packets a second later.
sleep 2
stop "$dump"
grep dropped "$work/tcpdump.err"
read -r drift seen < <("$work/schedule" drift 20000 <"$work/sent.pcap")
echo "replay, $count at 20000/s: sent $(answered "$work/replay.json"), seen $seen, lag p50 $(lag p50_us) us," \
    "p99 $(lag p99_us); the last 1 % are later than the first by $drift us (median)"
[ "$(answered "$work/replay.json")" -eq "$count" ] || fail "not all were sent"
[ "$seen" -eq "$count" ] || fail "tcpdump saw another number"
[ "${drift#-}" -le 100 ] || fail "drift"
exit "$failed"
