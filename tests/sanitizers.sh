#!/bin/bash
# Row B4: library, tools and tests built by clang with AddressSanitizer and
# UndefinedBehaviorSanitizer, and run: the unit tests, the captures of Linux Homa, the
# simulator, and real traffic between network namespaces.
set -eu
cd "$(dirname "$0")/.."
out=${BUILD:-build}/asan
export ASAN_OPTIONS=abort_on_error=0:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
# The plugin and the BPF objects are the same for every build; only what is run here is sanitized.
make --no-print-directory BUILD="$out" CC=clang OPT=-O1 SANITIZE=address,undefined all tests-built
count=0
run()
{
	echo "== $*"
	BUILD=$out "$@"
	count=$((count + 1))
}
for test in "$out"/tests/*_test; do
	run "$test"
done
run tests/interop/p2.sh
run "$out/tern-sim" --transport homa --profile clean --seeds 0-19
run "$out/tern-sim" --transport homa --profile swarm --seeds 0-199
run "$out/tern-sim" --transport homa --profile crash --seeds 0-99
run "$out/tern-sim" --transport homa --profile garble --seeds 0-99
run "$out/tern-sim" --transport homa --profile wrap --seeds 0-99
run "$out/tern-sim" --row S7
run "$out/tern-sim" --topology star --workload W3 --traffic all-to-all --duration-ms 2 --oracle-ms 2
run tests/codegen/errors.sh
run tests/network/xsk.sh
run tests/network/inplace_link.sh
DATAPATH=xsk run tests/network/load.sh quick
run tests/network/samehost.sh
run tests/network/examples.sh
run tests/network/load.sh quick
echo "$count programs without a finding"
