#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Row S1: 200 seeds, run twice and by differently compiled simulators, have one trace hash.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
core=(transport/heap.c transport/parameters.c transport/ranges.c transport/timer.c)
for file in transport/homa*.c; do
	[ "$file" = transport/homa_transport.c ] || core+=("$file")
done
compile() { # compiler, optimisation, output
	"$1" "$2" -D_GNU_SOURCE -std=gnu11 -Irpc -Itransport -Ibpf -o "$3" tests/simulator/*.c "${core[@]}" -lm
}
trace() { # simulator, profile
	"$1" --transport homa --profile "$2" --seeds 0-199 --rpcs 100 >"$work/log" || { cat "$work/log" >&2; exit 1; }
	sed -n 's/.* trace //p' "$work/log"
}

compile gcc -O0 "$work/gcc-O0" &
compile clang -O2 "$work/clang-O2" &
wait -n
wait -n
for profile in clean swarm; do
	first=$(trace "$BUILD/tern-sim" $profile)
	for simulator in "$BUILD/tern-sim" "$work/gcc-O0" "$work/clang-O2"; do
		again=$(trace "$simulator" $profile)
		[ -n "$first" ] && [ "$first" = "$again" ] || { echo "$profile: ${simulator##*/}: $again, not $first"; exit 1; }
	done
done
other=$("$BUILD/tern-sim" --transport homa --profile swarm --seeds 200-399 --rpcs 100 | sed -n 's/.* trace //p')
[ "$other" != "$first" ] || { echo "other seeds have the same trace: the hash says nothing"; exit 1; }
echo "200 seeds, 2 profiles, 4 runs, 3 builds: one trace each (swarm: $first)"
