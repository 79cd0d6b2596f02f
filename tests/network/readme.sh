#!/bin/bash
# The README is executed: every ```sh block of its quick start runs, in order, in one shell,
# on the files that its ```proto and ```c blocks show (each begins with its path in a comment).
# The prefix is a directory of ours, and the host is a network namespace with a loopback.
. "$(dirname "$0")/lib.sh"
mkdir "$work/hello"
awk -v dir="$work" '
	/^## / { quick = /^## Quick start/ }
	/^```/ && inside { inside = ""; close(file); next }
	/^```(proto|c)$/ { inside = "file"; file = ""; next }
	/^```sh$/ { inside = quick ? "sh" : "other"; file = dir "/blocks.sh"; next }
	/^```/ { inside = "other"; next }
	inside == "file" && file == "" { file = dir "/" $2 }
	inside == "file" { print > file }
	inside == "sh" { print >> file; blocks++ }
' README.md
[ -s "$work/blocks.sh" ] || fail "the quick start has no sh block"
ls "$work/hello"
cat "$work/blocks.sh"

tree=$PWD
export PREFIX=$work/usr PKG_CONFIG_PATH=$work/usr/lib/pkgconfig LD_LIBRARY_PATH=$work/usr/lib BUILD=$(realpath "$BUILD")
export PATH=$work/usr/bin:$PATH
for file in "$tree"/*; do ln -s "$file" "$work/"; done
ln -sfn "$BUILD" "$work/build"
cd "$work" || exit 1
unshare --net bash -euo pipefail -c 'ip link set lo up; . ./blocks.sh' >"$work/out" 2>&1 || fail "exit code $?: $(cat "$work/out")"
cat "$work/out"
grep -q 'Hello, world!' "$work/out" || fail "no greeting"
echo "the quick start of README.md runs"
