#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Slowdown of W1-W5 at 50 % and 80 % load on 144 hosts: tables on standard output, figures into a directory.
# The times simulated are such that each decile has thousands of messages and all runs together
# take a few minutes of one core.
set -eu
cd "$(dirname "$0")/../.."
out=${1:?directory for the figures}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
# Hundreds of hosts' memory in small pages is mostly TLB misses.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1

duration_ms=([1]=2 [2]=5 [3]=15 [4]=60 [5]=150)
oracle_ms=([1]=1 [2]=2 [3]=8 [4]=40 [5]=100)

# The one figure of the paper that we have: its curves are not published as numbers.
published_p99_of_shortest_at_80="2.2 at most"

echo "| workload | load | decile: up to bytes | p50 | p99 | published p99 | ideal p50 | ideal p99 |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- |"
for load in 50 80; do
	for w in 1 2 3 4 5; do
		"$BUILD/tern-sim" --topology leaf-spine --workload W$w --load 0.$load \
			--duration-ms ${duration_ms[$w]} --oracle-ms ${oracle_ms[$w]} >"$work/log"
		grep -E '^ +[0-9]' "$work/log" >"$work/W$w-$load"
		awk -v w=W$w -v load=$load -v published="$published_p99_of_shortest_at_80" '{
			printf "| %s | %s %% | %s: %s | %s | %s | %s | %s | %s |\n", w, load, $1, $2, $4, $5,
				load == 80 && $1 == 1 ? published : "", $6, $7 }' "$work/W$w-$load"
		tail -1 "$work/log" >>"$work/cost"
	done
done
echo
cat "$work/cost"

for load in 50 80; do
	{
		echo "set terminal svg size 1000,640 font 'sans,11'"
		echo "set output '$out/slowdown-$load.svg'"
		echo "set multiplot layout 2,3 title 'slowdown by decile of message length, 144 hosts, $load % load'"
		echo "set xrange [0.5:10.5]; set yrange [1:64]; set logscale y 2; set grid y; set key top left"
		echo "set xlabel 'decile of messages, shortest first'"
		for w in 1 2 3 4 5; do
			echo "set title 'W$w'"
			echo "plot '$work/W$w-$load' using 1:5 with linespoints pt 7 ps 0.5 title 'p99'," \
				"'' using 1:4 with linespoints pt 5 ps 0.5 title 'p50'," \
				"'' using 1:7 with lines dt 2 title 'ideal p99', '' using 1:6 with lines dt 3 title 'ideal p50'"
		done
		echo "unset multiplot"
	} | gnuplot
done
echo "drawn: $out/slowdown-50.svg $out/slowdown-80.svg"
