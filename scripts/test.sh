#!/usr/bin/env bash
# All tests. Those under a module named `privileged` need root, since they make network namespaces:
# root runs them, sudo runs them where it asks for no password, and otherwise they are left out by name, so
# that they are counted as filtered and never as passed.
#
#   scripts/test.sh [cargo test arguments]
set -euo pipefail

left_out=()
has_vlans() {
    local try='ip link add v0 type veth peer name v1 && ip link add link v0 name v0.9 type vlan id 9'
    if [ "$(id -u)" -eq 0 ]; then unshare -n sh -c "$try"; else sudo -n unshare -n sh -c "$try"; fi
}
if ! has_vlans >/dev/null 2>&1; then
    echo "LEFT OUT, this kernel has no VLAN interfaces: needs_8021q" >&2
    left_out=(--skip needs_8021q)
fi

if [ "$(id -u)" -eq 0 ]; then
    exec cargo test --locked "$@" -- "${left_out[@]}"
fi
if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    # Only the test binaries run as root, not cargo: the target directory stays the user's.
    triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${triple}_RUNNER=sudo -n -E env PATH=$PATH:/usr/sbin:/sbin"
    exec cargo test --locked "$@" -- "${left_out[@]}"
fi
echo "SKIPPED, not root and no sudo: the tests that make network namespaces (privileged::, live_capture::)" >&2
exec cargo test --locked "$@" -- --skip privileged:: --skip live_capture:: --skip needs_8021q
