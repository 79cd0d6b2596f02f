#!/bin/bash
# make demo: runs, runs again, and leaves nothing behind when it is ended by Ctrl-C or by
# kill -9 of the script or of the make that started it.
. "$(dirname "$0")/lib.sh"
export TERN_DEMO_MARK=$$ # in the environment of all that a demo starts: finds what is left

left_processes() { grep -lzx "TERN_DEMO_MARK=$$" /proc/[0-9]*/environ 2>/dev/null | tr -cd '0-9\n'; }
nothing_left() { # AFTER
	local pid rest
	for _ in {1..30}; do
		rest=
		for pid in $(left_processes); do
			[ -e "/proc/$pid/exe" ] && rest="$rest $pid"
		done
		[ -z "$rest" ] && break
		sleep 0.1
	done
	[ -z "$rest" ] || fail "$1: processes left: $(for pid in $rest; do tr '\0' ' ' <"/proc/$pid/cmdline"; done)"
	ip netns list | grep demo && fail "$1: a namespace is left"
	ip -o link | grep -E 'veth0|xdp' && fail "$1: a device or an XDP program is left"
}

run() {
	examples/demo.sh >"$work/out" 2>&1 || fail "demo.sh: exit code $?: $(cat "$work/out")"
	grep -q 'Hello, world!' "$work/out" || fail "no greeting: $(cat "$work/out")"
	[ "$(grep -c '0 lost, 0 twice, 0 corrupt' "$work/out")" -ge 6 ] || fail "rows are missing: $(cat "$work/out")"
	nothing_left "a run"
}

# Ends the demo by SIGNAL when its first row is there. WHOM: script, make, or group (as Ctrl-C does).
interrupt() { # SIGNAL WHOM
	local whom pid command=examples/demo.sh
	[ "$2" = make ] && command="make --no-print-directory run-demo"
	# A shell starts what runs in its background with SIGINT ignored; a terminal does not.
	setsid env --default-signal=INT,QUIT $command >"$work/out" 2>&1 &
	pid=$!
	children+=("$pid")
	for _ in {1..200}; do
		grep -q ' B ' "$work/out" && break
		sleep 0.1
	done
	grep -q ' B ' "$work/out" || fail "the demo did not begin: $(cat "$work/out")"
	whom=$pid
	[ "$2" = group ] && whom=-$pid
	kill "-$1" -- "$whom"
	wait "$pid" 2>/dev/null
	nothing_left "SIG$1 to the $2"
}

run
interrupt INT group
interrupt KILL script
interrupt TERM script
interrupt KILL make
run
echo "two runs; INT, TERM and KILL in between: nothing left"
