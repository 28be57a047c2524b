#!/usr/bin/env bash
# Makes sure that what a task needs is installed.
#
#   scripts/setup.sh TASK...      TASK: build demo test lint bench fixtures har tshark image
#
# Asks for each tool by what it does, not by its package's name, so it is quick where everything is
# there and never replaces, say, one nginx by another. What is missing is installed with apt-get on
# Debian and its kin; elsewhere, or without the right to install, it is listed and the script fails.
set -euo pipefail
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:${HOME:-/root}/.cargo/bin"

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$@"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Whether packages can be installed: as root, or by sudo without or with somebody there to ask.
may_install() {
    [ "$(id -u)" -eq 0 ] || { have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }
}

# What each task needs, as names that `present` and `package` know.
needs() {
    case "$1" in
        build) echo cc pkg-config libpcap-headers ;;
        demo)
            echo cc pkg-config libpcap-headers
            # Only for giving the binary its right, which takes root: without, the demo shows a recording.
            ! may_install || echo setcap
            ;;
        test) echo cc pkg-config libpcap-headers setcap setpriv ip nginx wrk tcpdump curl wget node zstd unshare nsenter python3-venv ;;
        lint) echo cc pkg-config libpcap-headers shellcheck python3-venv ;;
        bench) echo cc pkg-config libpcap-headers ip nginx wrk tcpdump ;;
        fixtures) echo ip nginx wrk tcpdump editcap curl python3 node chromium ;;
        har) echo node npm ;;
        tshark)
            echo cc pkg-config libpcap-headers ip unshare tcpdump tshark python3 \
                nginx apache2 node curl wrk hey chromium
            ;;
        image) echo docker ;;
        *) die "unknown task '$1' (build demo test lint bench fixtures har tshark image)" ;;
    esac
}

# Whether one of these is there.
present() {
    case "$1" in
        libpcap-headers) pkg-config --exists libpcap 2>/dev/null || [ -e /usr/include/pcap/pcap.h ] ;;
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        *) have "$1" ;;
    esac
}

# The Debian packages that provide it.
package() {
    case "$1" in
        cc) echo gcc libc6-dev ;;
        libpcap-headers) echo libpcap-dev ;;
        setcap) echo libcap2-bin ;;
        setpriv | unshare | nsenter) echo util-linux ;;
        ip) echo iproute2 ;;
        nginx) echo nginx-light ;;
        # Not apache2: the package that starts a service.
        apache2) echo apache2-bin ;;
        node) echo nodejs ;;
        editcap) echo wireshark-common ;;
        docker) echo docker.io ;;
        *) echo "$1" ;;
    esac
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# Installs packages; the lists are fetched only when they turn out to be missing or stale.
install() {
    local attempt
    say "installing: $*"
    for attempt in 1 2 3 4; do
        # --no-remove: a developer's own packages are never taken away for ours.
        if apt_install install --no-install-recommends --no-remove "$@" >&2; then
            return 0
        fi
        [ "$attempt" -lt 4 ] || break
        say "fetching the package lists (attempt $attempt)"
        apt_install update >&2 || sleep $((attempt * 5))
    done
    die "apt-get could not install: $*"
}

# The tests start their own nginx; Debian's package would start one on port 80 as well.
install_nginx() {
    if [ -d /run/systemd/system ] && have systemctl; then
        as_root systemctl mask --runtime --quiet nginx.service || true
        install "$@"
        as_root systemctl unmask --runtime --quiet nginx.service || true
        as_root systemctl disable --quiet nginx.service || true
    else
        install "$@"
    fi
}

rust_ready() {
    have cargo || die "cargo is missing: install Rust 1.88 or newer (https://rustup.rs)"
}

# rustfmt and clippy are components of the toolchain, not packages.
lint_ready() {
    local component
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 && continue
        have rustup || die "cargo $component is missing: install it for your Rust toolchain"
        rustup component add "${component/fmt/rustfmt}" >&2
    done
}

[ $# -gt 0 ] || die "which task? (build demo test lint bench fixtures har tshark image)"

missing=()
packages=()
for task in "$@"; do
    wanted=$(needs "$task")
    for need in $wanted; do
        case " ${missing[*]-} " in *" $need "*) continue ;; esac
        present "$need" && continue
        missing+=("$need")
        read -ra names <<<"$(package "$need")"
        packages+=("${names[@]}")
    done
done

if [ ${#missing[@]} -gt 0 ]; then
    list="${packages[*]}"
    have apt-get || die "missing here: ${missing[*]}. On Debian these are the packages: $list"
    if ! may_install; then
        die "missing here: ${missing[*]}. Run as root: apt-get install $list"
    fi
    case " $list " in
        *" nginx-light "*) install_nginx "${packages[@]}" ;;
        *) install "${packages[@]}" ;;
    esac
    for need in "${missing[@]}"; do
        present "$need" || die "$need is still missing after installing $(package "$need")"
    done
fi

for task in "$@"; do
    case "$task" in
        build | demo | test | bench | tshark) rust_ready ;;
        lint)
            rust_ready
            lint_ready
            ;;
    esac
done
