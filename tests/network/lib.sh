# Sourced by the tests of this directory. Two network namespaces joined by a veth pair:
#
#	$A  10.77.0.1 fd77::1  veth0 ======== veth0  10.77.0.2 fd77::2  $B
#	$A4 $A6 (addresses)                                   $B4 $B6
#
#	. "$(dirname "$0")/lib.sh"      root is checked, the traps are set
#	pair_up [MTU]                   makes both namespaces
#	in_a COMMAND...  in_b ...       runs a command in one of them
#	serve LOG COMMAND...            starts a server in $B, waits for its line "serving ..."; $server is its pid
#	serve_in NAMESPACE LOG COMMAND...
#	stop PID                        SIGTERM, waits; the process's exit code
#	by_datapath PROGRAM             names a script that runs PROGRAM --datapath=$DATAPATH, as does "$LOAD"
#	fail MESSAGE, skip MESSAGE      ends the test
#
# $DATAPATH is auto unless it was set: with DATAPATH=xsk the same test runs on that datapath.
#
# $work is a directory of the test's own. All is removed when the test ends. What a run
# that was killed has left, the next run of any test removes.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=${BUILD:-build}
DATAPATH=${DATAPATH:-auto}
A=tern-$$-a B=tern-$$-b
A4=10.77.0.1 A6=fd77::1 B4=10.77.0.2 B6=fd77::2
children=()

fail() {
	echo "failed: $*"
	exit 1
}
skip() {
	echo "$*"
	exit 77
}

[ "$(id -u)" = 0 ] || skip "needs root"
work=$(mktemp -d) || exit 1

by_datapath() {
	local script=$work/by-datapath-${1##*/}
	printf '#!/bin/sh\nexec "%s" --datapath=%s "$@"\n' "$1" "$DATAPATH" >"$script"
	chmod +x "$script"
	echo "$script"
}
LOAD=$(by_datapath "$BUILD/tern-load")

remove_namespace() {
	local pid
	for pid in $(ip netns pids "$1" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
	ip netns delete "$1" 2>/dev/null
}

cleanup() {
	trap '' INT TERM
	[ ${#children[@]} = 0 ] || kill -9 "${children[@]}" 2>/dev/null
	wait 2>/dev/null
	for namespace in "$A" "$B"; do
		[ -e "/run/netns/$namespace" ] && remove_namespace "$namespace"
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

remove_leftovers() {
	local namespace pid
	for namespace in $(ip netns list | sed -n 's/^\(tern-[0-9]*-[ab]\)\b.*/\1/p'); do
		pid=${namespace#tern-}
		kill -0 "${pid%-?}" 2>/dev/null || remove_namespace "$namespace"
	done
}

in_a() { ip netns exec "$A" "$@"; }
in_b() { ip netns exec "$B" "$@"; }

namespace_up() { # NAME
	ip netns add "$1" && ip -n "$1" link set lo up || skip "no network namespaces here"
}

pair_up() {
	remove_leftovers
	namespace_up "$A"
	namespace_up "$B"
	ip link add veth0 netns "$A" mtu "${1:-1500}" type veth peer name veth0 mtu "${1:-1500}" netns "$B" || fail "no veth"
	ip -n "$A" address add $A4/24 dev veth0
	ip -n "$A" address add $A6/64 dev veth0 nodad
	ip -n "$B" address add $B4/24 dev veth0
	ip -n "$B" address add $B6/64 dev veth0 nodad
	ip -n "$A" link set veth0 up
	ip -n "$B" link set veth0 up
	# A device that has just come up answers no neighbour solicitation for a second.
	in_a ping -q -c 1 -W 5 $B6 >/dev/null || fail "no IPv6 between the namespaces"
}

serve_in() {
	local namespace=$1 log=$2
	shift 2
	rm -f "$log" # of a server before this one
	ip netns exec "$namespace" "$@" >"$log" 2>&1 &
	server=$!
	children+=("$server")
	for _ in {1..200}; do
		grep -qs ^serving "$log" && return
		kill -0 "$server" 2>/dev/null || break
		sleep 0.05
	done
	cat "$log"
	fail "the server did not start: $*"
}
serve() { serve_in "$B" "$@"; }

stop() {
	kill "$1" 2>/dev/null
	wait "$1"
}

# A field of tern-load's JSON.
field() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" "$2"; }
