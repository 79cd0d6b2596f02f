#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Row S8: W1-W5 at 50 % and 80 % load, 16 hosts at one switch: the p99 slowdown of the shortest tenth of the
# messages is within 15 % of the stored one. With "store" it writes the reference anew.
set -eu
cd "$(dirname "$0")/../.."
reference=tests/simulator/slowdown.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
duration_ms=([1]=10 [2]=20 [3]=60 [4]=400 [5]=1000)

for w in 1 2 3 4 5; do
	for load in 50 80; do
		"$BUILD/tern-sim" --topology star --hosts 16 --workload W$w --load 0.$load \
			--duration-ms ${duration_ms[$w]} >"$work/log" || { cat "$work/log"; exit 1; }
		echo "W$w $load $(awk '$1 == 1 { print $5 }' "$work/log")" >>"$work/measured"
	done
done
if [ "${1:-}" = store ]; then
	{ echo "# workload, load in percent, p99 slowdown of the shortest tenth: written by slowdown.sh store"
	cat "$work/measured"; } >$reference
fi
grep -v '^#' $reference | paste -d ' ' - "$work/measured" | awk '
	$1 != $4 || $2 != $5 { print "the reference has other rows"; bad = 1; exit }
	{
		off = $6 / $3 - 1
		printf "%s at %s %%: %.2f, reference %.2f (%+.1f %%)\n", $1, $2, $6, $3, 100 * off
		if (off > 0.15 || off < -0.15) bad = 1
		rows++
	}
	END { exit bad || rows != 10 }'
