#!/usr/bin/env bash
# Checks every manifest below k8s/ against the schemas of the Kubernetes versions we support, with
# kubernetes-validate from PyPI in a virtual environment below target/.
#
# Where it cannot be installed (no network), that is said; in CI it is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

pinned=kubernetes-validate==1.37.0
versions="1.29 1.30 1.31 1.32 1.33 1.34 1.35 1.36"
venv=${CARGO_TARGET_DIR:-target}/manifests-venv

if [ "$(cat "$venv/installed" 2>/dev/null)" != "$pinned" ]; then
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --retries 3 "$pinned"; }; then
        echo "check-manifests: $pinned cannot be installed: manifests are NOT checked" >&2
        [ "${CI:-}" != true ] || exit 1
        exit 0
    fi
    echo "$pinned" >"$venv/installed"
fi

# A kustomization is not an object of the cluster and has no schema there.
mapfile -t manifests < <(find k8s -name '*.yaml' -not -name kustomization.yaml | sort)
for version in $versions; do
    "$venv/bin/kubernetes-validate" --strict --quiet --no-warn -k "$version" "${manifests[@]}"
done
echo "${#manifests[@]} manifests are valid for Kubernetes ${versions// /, }"
