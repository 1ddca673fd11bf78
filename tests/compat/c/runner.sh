#!/bin/sh
# The C runner: one program against the system's libnats, built into the build folder.
set -eu
program="$NATTER_COMPAT_BUILD/compat"
case "$1" in
prepare)
    command -v cc >/dev/null || { echo "no cc on PATH"; exit 77; }
    command -v pkg-config >/dev/null || { echo "no pkg-config on PATH"; exit 77; }
    pkg-config --exists libnats || { echo "libnats is not installed (libnats-dev)"; exit 77; }
    # shellcheck disable=SC2046 # the flags are words
    cc -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -o "$program" ./*.c $(pkg-config --cflags --libs libnats) -lpthread
    ;;
run)
    exec "$program"
    ;;
*)
    echo "runner.sh prepare|run"; exit 2
    ;;
esac
