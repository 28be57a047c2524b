#!/usr/bin/env bash
# Gives a freshly built shadowtap the file capability it needs to capture, where that can be done
# without asking: nothing to do for root, sudo for others. Never fails: `shadowtap demo` says itself
# what it cannot do.
#
#   scripts/grant.sh BINARY
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"
binary=$1

[ "$(id -u)" -ne 0 ] || exit 0
if [ "$(getcap "$binary" 2>/dev/null)" = "$binary cap_net_raw=p" ]; then
    exit 0
fi
if command -v sudo >/dev/null && command -v setcap >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    echo "sudo setcap cap_net_raw+p $binary     (the right to capture, for this file only)" >&2
    sudo setcap cap_net_raw+p "$binary" && exit 0
fi
echo "not root and no sudo: without CAP_NET_RAW the live part is replaced by a recorded capture" >&2
