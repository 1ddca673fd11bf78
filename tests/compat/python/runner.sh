#!/bin/sh
# The Python runner: nats-py in a virtual environment under the build folder.
set -eu
venv="$NATTER_COMPAT_BUILD/venv"
case "$1" in
prepare)
    command -v python3 >/dev/null || { echo "no python3 on PATH"; exit 77; }
    # The stamp is the requirements themselves, so that a change installs again.
    if ! cmp -s requirements.txt "$venv/installed.txt"; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
        cp requirements.txt "$venv/installed.txt"
    fi
    ;;
run)
    exec "$venv/bin/python" -B main.py
    ;;
*)
    echo "runner.sh prepare|run"; exit 2
    ;;
esac
