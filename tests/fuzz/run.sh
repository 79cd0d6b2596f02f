#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs a fuzzer, from the corpus in the tree and without adding to it:
#
#	tests/fuzz/run.sh TARGET RUNS [MAX_LENGTH [PACKETS]]
#
# A finding stays in $BUILD, and its path is in the output. Of a target that counts packets,
# at least PACKETS must have been tried.
set -u
cd "$(dirname "$0")/../.." || exit 1
target=$1 runs=$2 length=${3:-256} least=${4:-0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds=tests/fuzz/corpus/${target%_fuzz}
if ! "$BUILD/tests/$target" -runs="$runs" -max_len="$length" -seed=1 -timeout=10 -rss_limit_mb=1024 \
	-artifact_prefix="$BUILD/" "$work" "$seeds" >"$work.log" 2>&1; then
	tail -n 60 "$work.log"
	rm -f "$work.log"
	exit 1
fi
packets=$(sed -n 's/^\([0-9]*\) packets$/\1/p' "$work.log")
if [ "${packets:-0}" -lt "$least" ]; then
	echo "$target: only ${packets:-0} packets were tried, not $least"
	rm -f "$work.log"
	exit 1
fi
echo "$target: $(grep -E '^Done ' "$work.log")${packets:+, $packets packets}, no finding"
rm -f "$work.log"
