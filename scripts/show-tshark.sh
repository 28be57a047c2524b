#!/usr/bin/env bash
# Shows that shadowtap finds in real traffic what tshark finds: nginx, Apache, Node and Python, each driven
# by curl, wrk, hey and Chromium, captured by tcpdump, both read message by message (scripts/tshark/compare.py).
# Servers and clients live in a network namespace of this run and end with it.
#
#   scripts/show-tshark.sh [DIR]        as root; captures stay in DIR when it is given
#   SHADOWTAP_BIN=FILE                  that program instead of a release build
set -Eeuo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C.UTF-8

if [ "${IN_NAMESPACE-}" != yes ]; then
    scripts/setup.sh tshark
    if [ -z "${SHADOWTAP_BIN-}" ]; then
        cargo build --release --locked
        SHADOWTAP_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/shadowtap
    fi
    export SHADOWTAP_BIN IN_NAMESPACE=yes
    exec unshare --net --pid --fork --mount-proc --kill-child "$0" "$@"
fi

nginx_port=8081 apache_port=8082 node_port=8083 python_port=8084
work=$(mktemp -d)
chmod 755 "$work"
captures=${1:-$work/captures}
mkdir -p "$captures" "$work/www"
jobs_started=()
clean_up() {
    for pid in "${jobs_started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap clean_up EXIT
trap 'echo "show-tshark: line $LINENO failed: $BASH_COMMAND" >&2; tail -n 5 "$work"/*.log >&2' ERR

# Repeats a condition until it holds, ten seconds at most.
until_true() {
    local deadline=$((SECONDS + 10))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || {
            echo "show-tshark: waited in vain for: $*" >&2
            return 1
        }
        sleep 0.05
    done
}

# ---- the servers ----

ip link set lo mtu 1500 up
cp scripts/tshark/{index.html,app.js} "$work/www/"
echo small >"$work/www/small.txt"
seq 1 9000 >"$work/www/text.txt"
seq 1 900 | sed 's/.*/.c& { color: red }/' >"$work/www/style.css"
head -c 5000 /dev/urandom >"$work/www/pixel.bin"
head -c 3000000 /dev/urandom >"$work/www/large.bin"

fill() {
    sed "s|WORK|$work|g; s|NGINX|$nginx_port|; s|APACHE|$apache_port|; s|NODE|$node_port|" "scripts/tshark/$1" >"$work/$1"
}
fill nginx.conf
fill apache.conf
start() {
    local name=$1
    shift
    "$@" >>"$work/$name.log" 2>&1 &
    jobs_started+=($!)
}
start node node scripts/tshark/node.js "$work/www" "$node_port"
start python python3 scripts/tshark/python.py "$work/www" "$python_port"
start nginx nginx -e "$work/nginx.log" -c "$work/nginx.conf"
start apache apache2 -DFOREGROUND -f "$work/apache.conf"
for port in "$nginx_port" "$apache_port" "$node_port" "$python_port"; do
    until_true curl -sf "http://127.0.0.1:$port/small.txt"
done

# ---- the clients: each gets a server's address ----

# Answers do not matter here, only that they come: a server may refuse a method.
ask() { curl -sS --max-time 20 -o "$work/answer" "$@" 2>>"$work/curl.log"; }

drive_curl() {
    local url=$1
    ask "$url/small.txt" "$url/style.css" "$url/pixel.bin" -o "$work/2" -o "$work/3"
    ask -0 "$url/text.txt"
    ask -0 -d one=1 "$url/echo/http10"
    ask -I "$url/text.txt"
    ask --compressed "$url/text.txt" "$url/style.css" -o "$work/2"
    ask -r 100-4999 "$url/text.txt"
    ask -r 0-9,100-199 "$url/text.txt"
    ask "$url/large.bin"
    ask "$url/nothing-there"
    ask "$url/none"
    ask "$url/early"
    ask "$url/trailers"
    ask -H 'If-None-Match: "1"' "$url/small.txt"
    ask -z "$work/www/small.txt" "$url/small.txt"
    ask -d a=1 -d 'b=two words' "$url/echo/form"
    ask -F "file=@$work/www/large.bin" -F name=value "$url/echo/multipart"
    ask -F "file=@$work/www/pixel.bin" "$url/echo/multipart" --next -s -o "$work/2" "$url/small.txt"
    ask -H 'Expect: 100-continue' --data-binary "@$work/www/text.txt" "$url/echo/expect"
    ask -H 'Expect:' --data-binary "@$work/www/large.bin" "$url/echo/large"
    ask -H 'Transfer-Encoding: chunked' -T "$work/www/text.txt" "$url/echo/chunked"
    ask -H 'Transfer-Encoding: chunked' -d x=1 "$url/echo/chunked" --next -s -o "$work/2" "$url/small.txt"
    ask -d end=close "$url/echo/until-close"
    ask -X OPTIONS "$url/small.txt"
    ask -X OPTIONS --request-target '*' "$url"
    ask -X DELETE "$url/small.txt"
    ask -X PROPFIND "$url/"
    ask -x "$url" "$url/small.txt?absolute"
    ask -H 'X-Empty;' -H 'X-Spaces:   many   ' -H $'X-Latin: gr\xfc\xdfe' -H 'X-Long: '"$(seq -s, 1 1200)" "$url/small.txt"
    ask --path-as-is "$url/../text.txt?q=%00&a=b#c"
    ask -X POST "$url/echo/empty"
}

drive_wrk() {
    WRK_RESPONSES=600 wrk -t1 -c6 -d2s -s scripts/tshark/mixed.lua "$1" >"$work/wrk.log"
}

drive_hey() {
    {
        hey -n 150 -c 5 "$1/style.css"
        hey -n 150 -c 5 -m POST -D "$work/www/text.txt" -T text/plain "$1/echo/hey"
        hey -n 20 -c 2 -disable-keepalive "$1/small.txt"
        hey -n 20 -c 2 -disable-compression "$1/text.txt"
    } >"$work/hey.log"
}

drive_chromium() {
    local page
    page=$(timeout 90 chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
        --disable-background-networking --no-first-run --user-data-dir="$work/profile-$RANDOM" \
        --virtual-time-budget=30000 --dump-dom "$1/" 2>"$work/chromium.log")
    grep -q 'all done' <<<"$page"
}

# ---- each server with each client ----

# Captures one server while one client drives it. nginx passes bodies on to Node: both its sides are watched.
capture() {
    local server=$1 client=$2 port file tcpdump filter
    port=${server}_port
    port=${!port}
    file=$captures/$server-$client.pcap
    echo "show-tshark: $server with $client" >&2
    filter="tcp port $port"
    [ "$server" != nginx ] || filter="$filter or tcp port $node_port"
    tcpdump -i lo -U -B 65536 -s 65535 -w "$file" "$filter" 2>"$work/$server-$client.log" &
    tcpdump=$!
    jobs_started+=("$tcpdump")
    until_true grep -q 'listening on' "$work/$server-$client.log"
    ask "http://127.0.0.1:$port/small.txt?the-start"
    "drive_$client" "http://127.0.0.1:$port"
    # The last request in the file says that everything before is in it too.
    ask "http://127.0.0.1:$port/small.txt?the-end"
    until_true grep -qa 'the-end' "$file"
    grep -qa 'the-start' "$file"
    kill -INT "$tcpdump"
    wait "$tcpdump" || true
    grep -q '^0 packets dropped by kernel' "$work/$server-$client.log"
}

for server in nginx apache node python; do
    for client in curl wrk hey chromium; do
        capture "$server" "$client"
    done
done

# The first match in what a program says of itself, whatever its exit code.
version() {
    local said
    said=$("${@:2}" 2>&1) || true
    [[ $said =~ $1 ]] && echo "${BASH_REMATCH[0]}"
}
echo "shadowtap $(version '[0-9][0-9.]+' "$SHADOWTAP_BIN" --version), tshark $(version '[0-9]+\.[0-9.]+[0-9]' tshark --version);" \
    "nginx $(version '[0-9][0-9.]+' nginx -v), Apache $(version '[0-9][0-9.]+' apache2 -v)," \
    "Node $(version '[0-9][0-9.]+' node --version), Python $(version '[0-9][0-9.]+' python3 --version);" \
    "curl $(version '[0-9][0-9.]+' curl --version), wrk $(version '[0-9]+\.[0-9.]+' wrk -v)," \
    "hey $(dpkg-query -W -f '${Version}' hey 2>/dev/null || true)," \
    "Chromium $(version '[0-9]+\.[0-9.]+' chromium --version)"
scripts/tshark/compare.py --bin "$SHADOWTAP_BIN" --at-least 25 \
    -p "$nginx_port,$apache_port,$node_port,$python_port" "$captures"/*.pcap
