#!/bin/bash
# Server and client on one host: over 127.0.0.1, ::1, and the host's own addresses.
. "$(dirname "$0")/lib.sh"

check() { # SERVED CALLED
	serve_in "$A" "$work/server" "$LOAD" --serve "homa://$1:4000"
	in_a "$LOAD" "homa://$2:4000" --requests 1000 --size 32-30000 --concurrency 4 --warmup 0 --check --json >"$work/out" ||
		fail "calling $2, served as $1: $(cat "$work/out" "$work/server")"
	printf '%-14s served as %-14s p50 %.1f us; %s\n' "$2" "$1" "$(field p50_us "$work/out")" "$(head -n 1 "$work/server")"
	stop "$server" || fail "the server ended with $?"
}

pair_up
check 127.0.0.1 127.0.0.1
check '[::1]' '[::1]'
check "$A4" "$A4"
check "[$A6]" "[$A6]"
check 0.0.0.0 127.0.0.1
check '[::]' "$A4"
echo "both ends on one host: 6 ways to name it"
