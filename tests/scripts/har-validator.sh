#!/bin/sh
# Checks HAR documents with har-validator, the reference of the format's schema: prints what is wrong, and
# fails then. Installs the pinned version under the target directory the first time.
set -eu

version=5.1.5
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
place=$target/har-validator-$version

mkdir -p "$target"
# Tests run in parallel: one installs, the others wait for it.
exec 9>"$target/har-validator.lock"
flock 9
if [ ! -e "$place/installed" ]; then
    "$root/scripts/setup.sh" har >&2
    rm -rf "$place"
    mkdir -p "$place"
    npm install --prefix "$place" --no-save --no-audit --no-fund --ignore-scripts --silent \
        "har-validator@$version" ajv@6.12.6 har-schema@2.0.0 >&2 || {
        echo "cannot install har-validator $version: is the npm registry reachable?" >&2
        exit 3
    }
    touch "$place/installed"
fi
flock -u 9
# shellcheck disable=SC2016
NODE_PATH=$place/node_modules exec node -e '
const fs = require("fs"), validate = require("har-validator");
(async () => {
    for (const file of process.argv.slice(1)) {
        try {
            await validate.har(JSON.parse(fs.readFileSync(file, "utf8")));
        } catch (error) {
            console.log(file + ": " + error.message + " " + JSON.stringify(error.errors));
            process.exitCode = 1;
        }
    }
})();' -- "$@"
