#!/bin/sh
# The runner of traces: plain Python, nothing to install.
set -eu
case "$1" in
prepare)
    command -v python3 >/dev/null || { echo "no python3 on PATH"; exit 77; }
    ;;
run)
    exec python3 -B main.py
    ;;
*)
    echo "runner.sh prepare|run"; exit 2
    ;;
esac
