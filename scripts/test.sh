#!/usr/bin/env bash
# All tests. Those under a module named `privileged` need root, since they make network namespaces:
# root runs them, sudo runs them where it asks for no password, and otherwise they are left out by name, so
# that they are counted as filtered and never as passed.
#
#   scripts/test.sh [cargo test arguments]
set -euo pipefail

if [ "$(id -u)" -eq 0 ]; then
    exec cargo test --locked "$@"
fi
if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    # Only the test binaries run as root, not cargo: the target directory stays the user's.
    triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${triple}_RUNNER=sudo -n -E env PATH=$PATH:/usr/sbin:/sbin"
    exec cargo test --locked "$@"
fi
echo "SKIPPED, not root and no sudo: the tests that make network namespaces (privileged::)" >&2
exec cargo test --locked "$@" -- --skip privileged::
