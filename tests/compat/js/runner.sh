#!/bin/sh
# The JavaScript runner: nats.js under Node. Node looks for packages beside the
# importing file, so the sources run from a copy next to the installed ones.
set -eu
build="$NATTER_COMPAT_BUILD"
case "$1" in
prepare)
    for tool in node npm; do
        command -v "$tool" >/dev/null || { echo "no $tool on PATH"; exit 77; }
    done
    if ! cmp -s package.json "$build/installed.json"; then
        rm -rf "$build/node_modules" "$build/package-lock.json"
        cp package.json "$build/package.json"
        (cd "$build" && npm install --silent --no-audit --no-fund)
        cp package.json "$build/installed.json"
    fi
    ;;
run)
    rm -rf "$build/src"
    mkdir "$build/src"
    cp -R main.mjs kit.mjs scenarios "$build/src/"
    exec node "$build/src/main.mjs"
    ;;
*)
    echo "runner.sh prepare|run"; exit 2
    ;;
esac
