#!/bin/bash
# Builds the threaded tests with ThreadSanitizer and runs them.
set -eu
cd "$(dirname "$0")/../.."
out=${BUILD:-build}/tsan
tests="rpc_call rpc_cancel rpc_thread rpc_loop rpc_deadline placements"
targets=$(printf "$out/tests/%s_test " $tests)
make --no-print-directory -j"$(nproc)" BUILD="$out" SANITIZE=thread OPT=-O1 $targets
for test in $tests; do
	echo "== $test"
	TSAN_OPTIONS=halt_on_error=1 "$out/tests/${test}_test"
done
