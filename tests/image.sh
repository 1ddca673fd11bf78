#!/usr/bin/env bash
# The container image: builds its last stage from a binary and looks at the result.
#
#   tests/image.sh BINARY
#
# Status 77: skipped, the last line says why. No registry is needed and nothing is left in
# the machine's image store.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "${1:?usage: tests/image.sh BINARY}")

if ! command -v buildah >/dev/null; then echo "buildah is not installed"; exit 77; fi
if [ "$(id -u)" != 0 ]; then echo "mounting and chroot need root"; exit 77; fi

work=$(mktemp -d)
store() { buildah --storage-driver vfs --root "$work/root" --runroot "$work/runroot" "$@"; }
cleanup() { store rm --all >/dev/null 2>&1 || true; rm -rf "$work"; }
trap cleanup EXIT
fail() { echo "FAIL: $*"; exit 1; }

file -L "$binary" | grep -qE 'static(-pie|ally) linked' || fail "not a static binary: $(file -b "$binary")"
mkdir "$work/context"
cp "$binary" "$work/context/natter"
store build --isolation chroot --target image --build-context "binary=$work/context" --tag natter:test . >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

store inspect --type image natter:test | python3 -c '
import json, sys
image = json.load(sys.stdin)["OCIv1"]
config = image["config"]
want = {"User": "65532:65532", "Entrypoint": ["/natter"], "Cmd": ["server"],
        "ExposedPorts": {"4222": {}, "8222": {}}}
for key, value in want.items():
    got = config.get(key)
    if key == "ExposedPorts":
        got = {port.removesuffix("/tcp"): x for port, x in (got or {}).items()}
    if got != value:
        sys.exit(f"FAIL: image config {key} is {got!r}, expected {value!r}")
'

container=$(store from --pull-never natter:test)
rootfs=$(store mount "$container")
files=$(cd "$rootfs" && find . -type f -o -type l | sort | tr '\n' ' ')
[ "$files" = "./natter " ] || fail "the image holds more than the binary: $files"

version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
said=$(chroot --userspec=65532:65532 "$rootfs" /natter --version) || fail "/natter --version exits with $?"
case "$said" in *"$version"*) ;; *) fail "/natter --version says '$said', expected $version" ;; esac
echo "image of $(stat -c %s "$rootfs/natter") bytes says: $said"
