#!/bin/sh
# Runs kernel.py with scapy, the packet crafting library. Installs the pinned version into a virtual
# environment under the target directory the first time.
set -eu

scapy=2.6.1
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
venv=$target/scapy-$scapy

if [ "$1" = install ]; then
    mkdir -p "$target"
    exec 9>"$target/scapy.lock"
    flock 9
    if [ ! -e "$venv/installed" ]; then
        rm -rf "$venv"
        python3 -m venv "$venv" || {
            echo "cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
            exit 3
        }
        "$venv/bin/pip" install --quiet --no-deps "scapy==$scapy" >&2 || {
            echo "cannot install scapy $scapy: is the Python package index reachable?" >&2
            exit 3
        }
        touch "$venv/installed"
    fi
    exit 0
fi
exec "$venv/bin/python" "$here/kernel.py" "$@"
