#!/usr/bin/env bash
# Builds the root file system of the container image: the binary with its file capability, the
# libraries it links, a CA bundle, and the few files by which glibc resolves names. No shell.
#
#   scripts/rootfs.sh BINARY DIRECTORY
#
# The Dockerfile calls it; it needs root (for the capability) and libcap2-bin, and no container engine.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"
binary=$1
root=$2

mkdir -p "$root/etc/ssl/certs"
install -m 755 "$binary" "$root/shadowtap"

# Each library at the path at which the loader looks for it, as a plain file.
ldd "$binary" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    install -m 755 "$(realpath "$library")" "$root$library"
done

install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'shadowtap:x:65532:65532:shadowtap:/:/nonexistent' >"$root/etc/passwd"
echo 'shadowtap:x:65532:' >"$root/etc/group"

# "+p", not "+ep": the program raises it itself, and where nothing is granted it still starts.
# Last, because writing to a file takes its capability away.
setcap cap_net_raw+p "$root/shadowtap"
getcap "$root/shadowtap"
