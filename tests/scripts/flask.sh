#!/bin/sh
# Runs Python with Flask, with the given arguments. Installs the pinned versions into a virtual environment under
# the target directory the first time.
set -eu

flask=3.1.3
packages="flask==$flask werkzeug==3.1.5 jinja2==3.1.6 markupsafe==3.0.3 itsdangerous==2.2.0 click==8.3.1 blinker==1.9.0"
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
venv=$target/flask-$flask

mkdir -p "$target"
# Tests run in parallel: one installs, the others wait for it.
exec 9>"$target/flask.lock"
flock 9
if [ ! -e "$venv/installed" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv" || {
        echo "cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 3
    }
    # shellcheck disable=SC2086 # a list
    "$venv/bin/pip" install --quiet --no-deps $packages >&2 || {
        echo "cannot install Flask $flask: is the Python package index reachable?" >&2
        exit 3
    }
    touch "$venv/installed"
fi
# Whoever goes on running must not hold the lock.
exec 9>&-
exec "$venv/bin/python" "$@"
