#!/bin/sh
# Runs Python with gor, the library of GoReplay's middleware, with the given arguments. Installs the pinned version
# into a virtual environment under the target directory the first time.
set -eu

gor=0.2.3
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
venv=$target/gor-$gor

mkdir -p "$target"
# Tests run in parallel: one installs, the others wait for it.
exec 9>"$target/gor.lock"
flock 9
if [ ! -e "$venv/installed" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv" || {
        echo "cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 3
    }
    "$venv/bin/pip" install --quiet --no-deps "gor==$gor" >&2 || {
        echo "cannot install gor $gor: is the Python package index reachable?" >&2
        exit 3
    }
    touch "$venv/installed"
fi
# Whoever goes on running must not hold the lock.
exec 9>&-
exec "$venv/bin/python" "$@"
