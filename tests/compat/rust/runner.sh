#!/bin/sh
# The Rust runner: a Cargo package of its own, built into the build folder.
set -eu
program="$NATTER_COMPAT_BUILD/debug/natter-compat-rust"
case "$1" in
prepare)
    command -v cargo >/dev/null || { echo "no cargo on PATH"; exit 77; }
    CARGO_TARGET_DIR="$NATTER_COMPAT_BUILD" cargo build --quiet --locked
    ;;
run)
    exec "$program"
    ;;
*)
    echo "runner.sh prepare|run"; exit 2
    ;;
esac
