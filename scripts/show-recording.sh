#!/usr/bin/env bash
# Shows that a recording misses nothing, or says what: 1,000,000 requests with their responses at some 25,000/s, then
# at the highest rate that wrk reaches, recorded plain, as gzip and as zstd, each compared with v1's access log, request by
# request; then the rate at which each begins to shed. Fails when the file and the ledger together are not the log.
#
#   scripts/show-recording.sh [REQUESTS]        as root, on an idle machine (1,000,000); ten minutes
set -Eeuo pipefail
cd "$(dirname "$0")/.."
count=${1:-1000000}
cargo build --release --locked
source scripts/host.sh
v1=http://127.0.0.1:18480
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

# v1 logs the client's port and which request of its connection each was: the name that a request has in a recording, too.
# shellcheck disable=SC2016 # nginx's variables
nginx_http='log_format names "$remote_port $connection_requests";'
nginx_start v1 18480 "access_log $work/access.log names buffer=256k flush=1s;
    location / { return 200 \"{\\\"order\\\":17,\\\"items\\\":[{\\\"sku\\\":\\\"A-1\\\",\\\"count\\\":2}],\\\"total\\\":\\\"17.50\\\"}\\n\"; }"

load() { # SECONDS CONNECTIONS [DELAY]: as requests and micros
    "${inside[@]}" wrk -t1 -c"$2" -d"$1s" -s benches/whole/load.lua "$v1" -- get ${3:+"$3"} >"$work/wrk.out"
    read -r _ requests micros _ < <(grep ^RESULT "$work/wrk.out")
}

# A load while it is recorded; what came of it as one line.
record() { # NAME SECONDS CONNECTIONS [DELAY]
    local file=$work/$1 observer cpu lost logged kept missing
    shift
    rm -f "$work"/traffic.* "$work"/record.*
    # What v1 still holds of an earlier log.
    sleep 2
    : >"$work/access.log"
    "${inside[@]}" "$shadowtap" record -i lo -p 18480 -o "$file" --json >"$work/record.json" 2>"$work/record.err" &
    observer=$!
    pids+=("$observer")
    wait_for "the recording" grep -q recording "$work/record.err"
    load "$@"
    # The log's buffer goes out within a second; what was captured is handed on in milliseconds.
    sleep 2
    cpu=$(cpu_of_pid "$observer")
    stop "$observer"
    logged=$(wc -l <"$work/access.log")
    kept=$(grep -o '"recording":{.*' "$work/record.json" | grep -o '"requests":[0-9]*' | cut -d: -f2)
    lost=$(($(ledger shed_queue_full "$work/record.json") + $(ledger incomplete "$work/record.json")))
    shed_responses=$(ledger responses_shed "$work/record.json")
    dropped=$(ledger kernel_dropped "$work/record.json")
    missing=$((logged - kept))
    printf '%-16s %7.0f/s: logged %8d, in the file %8d, ledger lost %d, responses shed %d, kernel dropped %d; %.1f us CPU, %.0f B an exchange\n' \
        "$(basename "$file")" "$(calc "$requests / $micros * 1e6")" "$logged" "$kept" "$lost" "$shed_responses" "$dropped" \
        "$(calc "$cpu / $logged * 1e6")" "$(calc "$(stat -c %s "$file") / $logged")"
    [ "$dropped" -gt 0 ] || [ "$missing" -eq "$lost" ] || fail "$missing are missing, the ledger says $lost"
    shed=$((lost + shed_responses + dropped))
}

# Whether the names in the log are those in the file, each once.
compare() { # FILE
    "$shadowtap" inspect "$work/$1" --json |
        sed -n 's/^{"kind":"request".*"index":\([0-9]*\),.*"client":"[^"]*:\([0-9]*\)".*/\2 \1/p' |
        awk '{ print $1, $2 + 1 }' | sort >"$work/names.file"
    sort "$work/access.log" | comm -3 - "$work/names.file" >"$work/names.differ"
    echo "  by name: $(wc -l <"$work/names.file") in the file, $(wc -l <"$work/names.differ") differ"
    [ ! -s "$work/names.differ" ] || [ "$shed" -gt 0 ] || fail "$1: $(head -n 3 "$work/names.differ" | tr '\n' ';')"
}

echo "some 25,000/s"
load 2 78 2
pace=$(calc "$requests / $micros * 1e6")
seconds=$(calc "int($count / $pace) + 1")
for name in traffic.warc traffic.warc.gz traffic.warc.zst; do
    record "$name" "$seconds" 78 2
    [ "$name" != traffic.warc ] || [ "$shed" -eq 0 ] || fail "a plain recording shed $shed"
    compare "$name"
done

echo "as fast as wrk goes"
for name in traffic.warc traffic.warc.gz traffic.warc.zst; do
    load 2 32
    record "$name" "$(calc "int($count / ($requests / $micros * 1e6)) + 1")" 32
    compare "$name"
done

echo "where shedding begins"
for name in traffic.warc traffic.warc.gz traffic.warc.zst; do
    for connections in 30 60 90 120 150 180 210 240; do
        record "$name" 5 "$connections" 2
        [ "$shed" -eq 0 ] || break
    done
done
exit "$failed"
