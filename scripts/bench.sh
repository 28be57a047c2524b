#!/usr/bin/env bash
# Whole processes beside what is known: files against libpcap's bare read loop and tcpdump, the live mirror
# against no mirror and tcpdump, recordings against `tcpdump -w`, replay against wrk. Everything in one run, in interleaved rounds, on
# loopback in a network namespace that exists for this run only.
#
#   scripts/bench.sh            needs root; `make bench` installs what it runs
#
# BENCH_ROUNDS (5) rounds of each comparison; BENCH_SECONDS (3) for each live run; BENCH_MIB (200), the size of
# the capture of mixed traffic. Prints a table, writes target/bench/results.json.
set -Eeuo pipefail
cd "$(dirname "$0")/.."
source scripts/host.sh

rounds=${BENCH_ROUNDS:-5} seconds=${BENCH_SECONDS:-3} mib=${BENCH_MIB:-200}
load=$PWD/benches/whole/load.lua
out=$target/bench
v1=http://127.0.0.1:18480 v2=http://127.0.0.1:18481
samples=$work/samples.tsv

# ---- samples: one line each, a figure's name, its unit, a value ----

sample() {
    [ -n "$3" ] || return 1
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$samples"
}

# User and system time of a command that ends by itself, in seconds.
cpu_of() {
    local TIMEFORMAT='%3U %3S'
    { time "$@" >/dev/null 2>"$work/cpu_of.err"; } 2>"$work/time"
    awk '{ print $1 + $2 }' "$work/time"
}

# wrk's figures into requests, micros, p99 (microseconds), errors.
wrk_at() { # URL CONNECTIONS SECONDS KIND [DELAY]
    local url=$1 connections=$2 duration=$3
    shift 3
    "${inside[@]}" wrk -t1 -c"$connections" -d"${duration}s" -s "$load" "$url" -- "$@" >"$work/wrk.out"
    read -r _ requests micros _ p99 errors < <(grep ^RESULT "$work/wrk.out")
    [ "$errors" -eq 0 ] || echo "scripts/bench.sh: $errors errors at $url" >&2
}

# ---- what is measured beside ----

[ -x "$shadowtap" ] || cargo build --release --locked
cc -O2 -o "$work/read_loop" benches/whole/read_loop.c -lpcap
mkdir -p "$out" "$work/files"
for size in 2k 20k 200k 1m; do
    head -c "$(numfmt --from=iec "${size^^}")" /dev/zero | tr '\0' x >"$work/files/$size"
done
answer='{\"order\":17,\"items\":[{\"sku\":\"A-1\",\"count\":2}],\"total\":\"17.50\"}\n'
nginx_start v1 18480 "location / { return 200 \"$answer\"; } location /files/ { root $work; }"
nginx_start v2 18481 "location / { return 204; }"

# ---- captures of real traffic ----

big_enough() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge "$2" ]; }

capture() { # FILE MAX_BYTES CONNECTIONS KIND [DELAY]: stops at the size or after 12 s of load
    local file=$1 max=$2 connections=$3 loader turn
    shift 3
    rm -f "$work/tcpdump.err"
    "${inside[@]}" tcpdump -i lo -B 131072 -U -w "$file" port 18480 2>"$work/tcpdump.err" &
    local dump=$!
    pids+=("$dump")
    wait_for tcpdump grep -q listening "$work/tcpdump.err"
    "${inside[@]}" wrk -t1 -c"$connections" -d12s -s "$load" "$v1" -- "$@" >"$work/wrk.out" &
    loader=$!
    pids+=("$loader")
    for turn in {1..300}; do
        if big_enough "$file" "$max" || ! kill -0 "$loader" 2>/dev/null; then break; fi
        sleep 0.05
    done
    stop "$loader"
    stop "$dump"
    grep -h dropped "$work/tcpdump.err" | sed "s|^|$(basename "$file") ($turn): |" >&2
}
echo "making captures" >&2
capture "$work/mixed.pcap" $((mib << 20)) 16 mixed 2
capture "$work/get.pcap" $((100 << 20)) 32 get 1
capture "$work/post.pcap" $((100 << 20)) 32 post 1

# ---- offline: the whole pipeline over a file beside the bare read loop ----

echo "offline" >&2
for kind in mixed get; do
    file=$work/$kind.pcap
    "$shadowtap" inspect --stats --json "$file" >"$work/stats.json"
    count=$(ledger requests "$work/stats.json")
    sample "offline.$kind.file" MiB "$(calc "$(stat -c %s "$file") / 1048576")"
    sample "offline.$kind.requests" count "$count"
    sample "offline.$kind.incomplete" count "$(ledger incomplete "$work/stats.json")"
    for ((round = 0; round < rounds; round++)); do
        bare=$(cpu_of "$work/read_loop" "$file")
        dump=$(cpu_of tcpdump -r "$file" -w /dev/null)
        ours=$(cpu_of "$shadowtap" inspect --stats "$file")
        sample "offline.$kind.inspect_vs_read_loop" ratio "$(calc "$ours / $bare")"
        sample "offline.$kind.inspect_vs_tcpdump" ratio "$(calc "$ours / $dump")"
        sample "offline.$kind.read_loop_cpu" ms "$(calc "$bare * 1e3")"
        sample "offline.$kind.inspect_cpu" ms "$(calc "$ours * 1e3")"
        sample "offline.$kind.requests_per_cpu_second" "1/s" "$(calc "$count / $ours")"
    done
done

# ---- live: v1 alone, with the mirror, with tcpdump ----

mirror_start() {
    # What the run before wrote goes first: it says `mirroring`, too.
    rm -f "$work/mirror.json" "$work/mirror.err"
    "${inside[@]}" "$shadowtap" mirror -i lo -p 18480 --to "$v2" --methods all --json \
        >"$work/mirror.json" 2>"$work/mirror.err" &
    observer=$!
    pids+=("$observer")
    wait_for "the mirror" grep -q mirroring "$work/mirror.err"
    observer_begun
}

# What starting cost is no part of what a request costs.
observer_begun() {
    cpu_before=$(cpu_of_pid "$observer")
    capture_before=$(cpu_of_pid "$observer" capture)
}

tcpdump_start() {
    rm -f "$work/tcpdump.err"
    "${inside[@]}" tcpdump -i lo -B 65536 -w /dev/null port 18480 2>"$work/tcpdump.err" &
    observer=$!
    pids+=("$observer")
    wait_for tcpdump grep -q listening "$work/tcpdump.err"
    observer_begun
}

# One round of a load, alone and observed; CPU per request that v1 answered.
live() { # NAME CONNECTIONS KIND [DELAY]
    local name=$1 alone alone_p99 cpu
    shift
    local connections=$1
    shift
    wrk_at "$v1" "$connections" "$seconds" "$@"
    alone=$(calc "$requests / $micros * 1e6") alone_p99=$p99
    sample "live.$name.v1_alone" "requests/s" "$alone"
    sample "live.$name.v1_alone_p99" us "$p99"

    mirror_start
    wrk_at "$v1" "$connections" "$seconds" "$@"
    cpu=$(cpu_of_pid "$observer")
    sample "live.$name.mirror_cpu_per_request" us "$(calc "($cpu - $cpu_before) / $requests * 1e6")"
    sample "live.$name.mirror_capture_thread_per_request" us \
        "$(calc "($(cpu_of_pid "$observer" capture) - $capture_before) / $requests * 1e6")"
    sample "live.$name.mirror_rss" MiB "$(awk '/VmRSS/ { print $2 / 1024 }' "/proc/$observer/status")"
    stop "$observer"
    sample "live.$name.v1_with_mirror_vs_alone" ratio "$(calc "$requests / $micros * 1e6 / $alone")"
    sample "live.$name.v1_p99_with_mirror_vs_alone" ratio "$(calc "$p99 / $alone_p99")"
    sample "live.$name.copied" ratio "$(calc "$(answered "$work/mirror.json") / $requests")"
    sample "live.$name.kernel_dropped" packets "$(ledger kernel_dropped "$work/mirror.json")"

    tcpdump_start
    wrk_at "$v1" "$connections" "$seconds" "$@"
    local dump
    dump=$(cpu_of_pid "$observer")
    stop "$observer"
    sample "live.$name.tcpdump_cpu_per_request" us "$(calc "($dump - $cpu_before) / $requests * 1e6")"
    sample "live.$name.v1_with_tcpdump_vs_alone" ratio "$(calc "$requests / $micros * 1e6 / $alone")"
    sample "live.$name.v1_p99_with_tcpdump_vs_alone" ratio "$(calc "$p99 / $alone_p99")"
}

echo "live" >&2
for ((round = 0; round < rounds; round++)); do
    live saturated 32 get
    live paced 20 get 9
done

# ---- record: the same paced load into each kind of file, and into tcpdump's ----

# CPU time, bytes and what was shed while `observer` writes `$1`.
recorded() { # NAME FILE
    local cpu
    wrk_at "$v1" 78 "$seconds" get 2
    sleep 0.1
    cpu=$(calc "$(cpu_of_pid "$observer") - $cpu_before")
    stop "$observer"
    per_request=$(calc "$cpu / $requests * 1e6")
    sample "record.$1.cpu_per_exchange" us "$per_request"
    sample "record.$1.written" "MiB/s" "$(calc "$(stat -c %s "$2") / 1048576 / $micros * 1e6")"
    sample "record.$1.written_per_cpu_second" "MiB" "$(calc "$(stat -c %s "$2") / 1048576 / $cpu")"
}

echo "record" >&2
for ((round = 0; round < rounds; round++)); do
    rm -f "$work/tcpdump.err" "$work/tcpdump.pcap"
    "${inside[@]}" tcpdump -i lo -B 65536 -w "$work/tcpdump.pcap" port 18480 2>"$work/tcpdump.err" &
    observer=$!
    pids+=("$observer")
    wait_for tcpdump grep -q listening "$work/tcpdump.err"
    observer_begun
    recorded tcpdump "$work/tcpdump.pcap"
    by_tcpdump=$per_request
    for kind in warc warc.gz warc.zst; do
        rm -f "$work"/recorded.* "$work/record.err"
        "${inside[@]}" "$shadowtap" record -i lo -p 18480 -o "$work/recorded.$kind" --json \
            >"$work/record.json" 2>"$work/record.err" &
        observer=$!
        pids+=("$observer")
        wait_for "the recording" grep -q recording "$work/record.err"
        observer_begun
        recorded "$kind" "$work/recorded.$kind"
        sample "record.$kind.cpu_vs_tcpdump" ratio "$(calc "$per_request / $by_tcpdump")"
        sample "record.$kind.shed" count \
            "$(($(ledger shed_queue_full "$work/record.json") + $(ledger responses_shed "$work/record.json")))"
    done
    sample "record.load" "requests/s" "$(calc "$requests / $micros * 1e6")"
done

# ---- replay as fast as it goes beside wrk on the same server ----

# As GoReplay records: a line with kind, id, nanoseconds and latency, the request, a separator.
echo "replay" >&2
awk 'BEGIN {
    head = "GET /api/orders/17?expand=items HTTP/1.1\r\nHost: v1.example\r\nCookie: session="
    while (length(head) < 496) head = head "a"
    for (n = 1; n <= 150000; n++)
        printf "1 %024x %d 0\n%s\r\n\r\n\n🐵🙈🙉\n", n, 1700000000000000000 + n * 100000, head
}' >"$work/get.gor"
for source in get.pcap post.pcap get.gor; do
    for ((round = 0; round < rounds; round++)); do
        wrk_at "$v2" 32 2 "${source%.*}"
        by_wrk=$(calc "$requests / $micros * 1e6")
        begun=$EPOCHREALTIME
        "${inside[@]}" "$shadowtap" replay "$work/$source" --to "$v2" --speed max --concurrency 32 \
            --methods all --json >"$work/replay.json" 2>"$work/replay.err"
        took=$(calc "$EPOCHREALTIME - $begun")
        by_us=$(calc "$(answered "$work/replay.json") / $took")
        sample "replay.$source.wrk" "requests/s" "$by_wrk"
        sample "replay.$source.replay" "requests/s" "$by_us"
        sample "replay.$source.replay_vs_wrk" ratio "$(calc "$by_us / $by_wrk")"
    done
done

# ---- what `cargo bench` found before, if it ran ----

# Medians of criterion's files, as elements a second.
for found in "$target"/criterion/*/*/new; do
    [ -e "$found/estimates.json" ] || continue
    name=$(sed -n 's/.*"full_id":"\([^"]*\)".*/\1/p' "$found/benchmark.json" | tr / .)
    elements=$(sed -n 's/.*"elements":\([0-9]*\).*/\1/p' "$found/benchmark.json")
    nanos=$(sed 's/.*"median":{"confidence_interval":{[^}]*},"point_estimate":\([0-9.e+]*\).*/\1/' "$found/estimates.json")
    sample "rooms.$name" "M/s" "$(calc "$elements / $nanos * 1e3")"
done

# ---- the table and the JSON ----

# Medians and spread of each figure, in the order in which they were first taken.
summary=$work/summary.tsv
cut -f1,2 "$samples" | awk '!seen[$0]++' | while IFS=$'\t' read -r name unit; do
    awk -F'\t' -v n="$name" '$1 == n { print $3 }' "$samples" | sort -g |
        awk -v n="$name" -v u="$unit" '{ v[NR] = $1 } END {
            m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
            printf "%s\t%s\t%.6g\t%.6g\t%.6g\t%d\n", n, u, m, v[1], v[NR], NR }'
done >"$summary"
machine=$(printf '"kernel": "%s", "cpus": %d, "cpu": "%s", "libpcap": "%s", "nginx": "%s"' \
    "$(uname -r)" "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
    "$(tcpdump --version 2>&1 | sed -n 's/^libpcap version \([^ ]*\).*/\1/p')" \
    "$(nginx -v 2>&1 | cut -d/ -f2)")
awk -F'\t' -v machine="$machine" '
    BEGIN { printf "{\n  \"machine\": {%s},\n  \"figures\": [", machine }
    { printf "%s\n    {\"name\": \"%s\", \"unit\": \"%s\", \"median\": %s, \"min\": %s, \"max\": %s, \"n\": %d}",
        (NR > 1 ? "," : ""), $1, $2, $3, $4, $5, $6 }
    END { print "\n  ]\n}" }' "$summary" >"$out/results.json"
printf '%-52s %12s %12s %12s  %s\n' figure median min max unit
awk -F'\t' '{ printf "%-52s %12.6g %12.6g %12.6g  %s\n", $1, $3, $4, $5, $2 }' "$summary"
echo "written: $out/results.json"
