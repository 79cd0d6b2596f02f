#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Row S12: plants the bugs of tests/simulator/mutants/list.tsv, one at a time, into a copy of the core,
# and runs the simulator until it notices; the command that it prints then has to repeat that. Prints which
# seed found each one, and the score.
#
#	tests/simulator/mutants.sh [NAME...]     those only
set -u
cd "$(dirname "$0")/../.." || exit 1
seeds=${SEEDS:-1000}
work=$(realpath "$(mktemp -d "$BUILD/mutants.XXXXXX")")
trap 'rm -rf "$work"' EXIT
flags=(-O1 -D_GNU_SOURCE -std=gnu11 -Irpc -Itransport -Ibpf -Itests/simulator -w)

compile() { # source object
	${CC:-gcc} "${flags[@]}" -c -o "$2" "$1" || { echo "cannot compile $1"; exit 1; }
}
core=()
for file in transport/homa*.c transport/heap.c transport/ranges.c transport/timer.c; do
	[ "$file" = transport/homa_transport.c ] && continue
	core+=("$(basename "$file" .c)")
	compile "$file" "$work/$(basename "$file" .c).o"
done
simulator=()
for file in tests/simulator/*.c; do
	simulator+=("$work/sim-$(basename "$file" .c).o")
	compile "$file" "${simulator[-1]}"
done

link() { # program mutated-object-or-nothing its-name
	local objects=("${simulator[@]}") name
	for name in "${core[@]}"; do
		if [ "$name" = "${3:-}" ]; then objects+=("$2"); else objects+=("$work/$name.o"); fi
	done
	${CC:-gcc} -o "$1" "${objects[@]}" "$BUILD/libtern.a" -lm || { echo "cannot link"; exit 1; }
}

# The first seed that fails says so in the output; nothing does when all is well.
first_failure() { # program profile
	timeout 120 "$1" --transport homa --profile "$2" --seeds 0-$((seeds - 1)) >"$work/log" 2>&1
	local code=$?
	if [ $code = 124 ]; then
		echo "? hangs"
	elif [ $code != 0 ]; then
		sed -n 's/^seed \([0-9]*\), at [^:]*: /\1 /p' "$work/log" | grep . || echo "? exit $code: $(tail -n 1 "$work/log")"
	fi
}

# Whether the command in the output fails in the same way. A trace comes with it.
repeats() { # program
	local -a again
	read -ra again < <(sed -n 's/^again: tern-sim //p' "$work/log")
	(cd "$work" && timeout 120 "$1" "${again[@]}") >"$work/again" 2>&1
	cmp -s "$work/log" "$work/again" && [ -n "$(find "$work" -name 'seed-*.pcapng' -size +60c)" ]
	local code=$?
	rm -f "$work"/seed-*.pcapng
	return $code
}

link "$work/sound"
for profile in $(grep -v '^#' tests/simulator/mutants/list.tsv | cut -f 2 | sort -u); do
	finding=$(first_failure "$work/sound" "$profile")
	[ -z "$finding" ] || { echo "the core as it is fails, profile $profile: $finding"; exit 1; }
done

found=0 planted=0
while IFS=$'\t' read -r name profile file script; do
	case $name in '' | '#'*) continue ;; esac
	[ $# = 0 ] || [[ " $* " = *" $name "* ]] || continue
	planted=$((planted + 1))
	sed "$script" "transport/$file" >"$work/$file"
	if cmp -s "$work/$file" "transport/$file"; then
		echo "$name: its script does not change $file any more"
		continue
	fi
	compile "$work/$file" "$work/mutant.o"
	link "$work/mutant" "$work/mutant.o" "${file%.c}"
	finding=$(first_failure "$work/mutant" "$profile")
	if [ -z "$finding" ]; then
		printf '%-40s survives %d seeds of %s\n' "$name" "$seeds" "$profile"
	elif [[ $finding != \?* ]] && ! repeats "$work/mutant"; then
		printf '%-40s seed %s\n' "$name" "$finding; its command does not repeat that"
	else
		found=$((found + 1))
		printf '%-40s seed %s\n' "$name" "$finding"
	fi
done <tests/simulator/mutants/list.tsv

[ $planted -gt 0 ] || { echo "no such mutant"; exit 1; }
echo "$found of $planted found within $seeds seeds"
[ $found = $planted ]
