#!/bin/sh
# The Go runner: one program built into the build folder; modules come from the Go cache.
set -eu
program="$NATTER_COMPAT_BUILD/compat"
case "$1" in
prepare)
    command -v go >/dev/null || { echo "no go on PATH"; exit 77; }
    go build -mod=readonly -trimpath -o "$program" .
    ;;
run)
    exec "$program"
    ;;
*)
    echo "runner.sh prepare|run"; exit 2
    ;;
esac
