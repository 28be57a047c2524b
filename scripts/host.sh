# shellcheck shell=bash
# What scripts that measure whole processes share; read in with `source`.
#
# Sets: shadowtap, the program; work, a directory; inside, a prefix that runs a command in a network namespace of
# its own with only loopback. A process started through it has the shell's $! as its own id; those in `pids` are
# ended with the script, by their ids, and directory and namespace with it.
# shellcheck disable=SC2034 # used by those that read this in
set -Eeuo pipefail

export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C
[ "$(id -u)" -eq 0 ] || {
    echo "$0: needs root to make a network namespace and to capture" >&2
    exit 1
}

target=${CARGO_TARGET_DIR:-$PWD/target}
shadowtap=${SHADOWTAP_BIN:-$target/release/shadowtap}
ns=stbench$$
work=$(mktemp -d)
pids=()

clean_up() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait || true
    ip netns del "$ns" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'echo "$0: line $LINENO failed: $BASH_COMMAND" >&2; tail -n 5 "$work"/*.err >&2' ERR
inside=(ip netns exec "$ns")
ip netns add "$ns"
ip -n "$ns" link set lo up

calc() { awk "BEGIN { printf \"%.6g\", $1 }"; }

# CPU time of a running process so far, in seconds; with a name, of its threads of that name.
cpu_of_pid() {
    local task total=0 ns
    for task in "/proc/$1/task"/*; do
        [ -z "${2:-}" ] || [ "$(<"$task/comm")" = "$2" ] || continue
        read -r ns _ <"$task/schedstat"
        total=$((total + ns))
    done
    calc "$total / 1e9"
}

wait_for() { # WHAT COMMAND...
    local what=$1 turn
    shift
    for turn in {1..200}; do
        "$@" 2>/dev/null && return 0
        sleep 0.05
    done
    echo "$0: waited in vain for $what (turn $turn)" >&2
    return 1
}

stop() { # PID: asks it to end, waits until it has
    kill -INT "$1" 2>/dev/null || true
    wait "$1" || true
}

# A number of a ledger or of statistics by its name; for `answered`, over all its classes.
ledger() { grep -o "\"$1\":[0-9]*" "$2" | head -n 1 | cut -d: -f2; }
answered() { grep -o '"answered":{[^}]*}' "$1" | grep -o ':[0-9]*' | awk -F: '{ n += $2 } END { print n }'; }

listening() { "${inside[@]}" bash -c "exec 3<>/dev/tcp/127.0.0.1/$1" 2>/dev/null; }

# An nginx of one process, whose files have that name; `nginx_http` may hold directives for its http block.
nginx_http=
nginx_start() { # NAME PORT DIRECTIVES
    cat >"$work/$1.conf" <<CONF
daemon off;
master_process off;
pid $1.pid;
error_log $1.err error;
events { worker_connections 2048; }
http {
  access_log off;
  $nginx_http
  client_body_temp_path $1-t1; proxy_temp_path $1-t2; fastcgi_temp_path $1-t3; uwsgi_temp_path $1-t4;
  scgi_temp_path $1-t5;
  client_body_buffer_size 64k;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  sendfile on;
  server { listen 127.0.0.1:$2 backlog=1024; $3 }
}
CONF
    "${inside[@]}" nginx -p "$work" -c "$1.conf" -e "$1.err" 2>"$work/$1.start.err" &
    pids+=($!)
    wait_for "nginx at port $2" listening "$2"
}
