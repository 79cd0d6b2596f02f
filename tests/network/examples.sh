#!/bin/bash
# The examples over a veth pair: what they answer, and their exit codes.
. "$(dirname "$0")/lib.sh"
examples=$BUILD/examples

expect() { # EXIT-CODE OUTPUT COMMAND...
	local wanted=$1 text=$2 answer code
	shift 2
	answer=$(in_a "$@" 2>&1)
	code=$?
	[ $code = "$wanted" ] || fail "$*: exit code $code, not $wanted: $answer"
	[ "$answer" = "$text" ] || fail "$*: says \"$answer\", not \"$text\""
}

pair_up
serve "$work/greeter" "$examples/greeter_server" "homa://$B4:4000"
expect 0 "Hello, world!" "$examples/greeter_client" "homa://$B4:4000" world
expect 1 "greeter_client: INVALID_ARGUMENT: name is empty" "$examples/greeter_client" "homa://$B4:4000" ""
stop "$server" || fail "greeter_server ended with $?"

kv=("$examples/kv_client" "homa://[$B6]:4001")
serve "$work/kv" "$examples/kv_server" "homa://[$B6]:4001"
expect 1 'kv_client: NOT_FOUND: there is no key "colour"' "${kv[@]}" get colour
expect 0 "" "${kv[@]}" put colour blue
expect 0 "blue" "${kv[@]}" get colour
expect 0 "" "${kv[@]}" put colour "$(printf 'x%.0s' {1..5000})"
expect 0 "$(printf 'x%.0s' {1..5000})" "${kv[@]}" get colour
expect 0 "" "${kv[@]}" delete colour
expect 1 'kv_client: NOT_FOUND: there is no key "colour"' "${kv[@]}" delete colour
stop "$server" || fail "kv_server ended with $?"
in_a timeout 5 "${kv[@]}" get colour 2>/dev/null && fail "a server that is gone still answers"
echo "greeter and key-value store answer as they should"
