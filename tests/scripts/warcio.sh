#!/bin/sh
# Runs warcio, the reference reader of WARC files, with the given arguments. Installs the pinned
# version into a virtual environment under the target directory the first time.
set -eu

warcio=1.8.1
six=1.17.0
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
venv=$target/warcio-$warcio

mkdir -p "$target"
# Tests run in parallel: one installs, the others wait for it.
exec 9>"$target/warcio.lock"
flock 9
if [ ! -e "$venv/installed" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv" || {
        echo "cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 3
    }
    "$venv/bin/pip" install --quiet --no-deps "warcio==$warcio" "six==$six" >&2 || {
        echo "cannot install warcio $warcio: is the Python package index reachable?" >&2
        exit 3
    }
    touch "$venv/installed"
fi
flock -u 9
exec "$venv/bin/warcio" "$@"
