#!/usr/bin/env bash
# Everything that can be found wrong without running the program: format, clippy, rustdoc, shell
# scripts, manifests. Runs all checks and fails at the end if any did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

failed=()
check() {
    local name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || failed+=("$name")
}

rustdoc() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet; }

check format cargo fmt --check
check clippy cargo clippy --locked --all-targets --quiet -- -D warnings
check rustdoc rustdoc
mapfile -t shell < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
check shellcheck shellcheck --external-sources "${shell[@]}"
check manifests scripts/check-manifests.sh

if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint: failed: %s\n' "${failed[*]}" >&2
    exit 1
fi
echo "lint: clean"
