#!/bin/bash
# make demo: two network namespaces joined by a veth pair; a greeter and a load test over
# Homa from one to the other; a table.
#
#	namespace a  10.99.0.1 fd99::1  veth0 ======== veth0  10.99.0.2 fd99::2  namespace b
#	greeter_client, tern-load                             greeter_server, tern-load --serve
#
# The namespaces have no name: each lasts as long as a process is in it, and every process
# that this script starts is killed by the kernel when the script ends, however it ends.
# So nothing is left behind, not even by kill -9.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$(realpath "${BUILD:-build}") # a process that enters a mount namespace begins at its root
seconds=1.5 # measured, for each row
address4=10.99.0.2 address6=fd99::2
work=$build/demo-$$
children=()

say() { printf '%s\n' "$*"; }
die() {
	say "demo: $*" >&2
	exit 1
}

cleanup() {
	trap '' INT TERM
	[ ${#children[@]} = 0 ] || kill "${children[@]}" 2>/dev/null
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Children of this script that die with it.
start() {
	setpriv --pdeathsig KILL "$@" &
	children+=($!)
}
inside() { # PID COMMAND...
	local pid=$1
	shift
	setpriv --pdeathsig KILL nsenter --target "$pid" --net --mount "$@"
}

# Ends the script when one of the makes that started it is killed.
watch_makes() {
	local makes=() pid=$PPID
	while [ "$pid" -gt 1 ]; do
		[ "$(cat "/proc/$pid/comm")" = make ] && makes+=("$pid")
		pid=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")
	done
	[ ${#makes[@]} -gt 0 ] || return
	while [ -e /proc/$$/exe ]; do
		for pid in "${makes[@]}"; do
			[ -e "/proc/$pid/exe" ] || kill $$
		done
		sleep 0.3
	done
}

# A process that holds a new namespace open. Its /sys is the namespace's own.
hold_namespace() {
	start unshare --net --mount sh -c 'mount -t sysfs sysfs /sys; echo ready >"$1"; exec sleep 120' - "$work/$1" 2>/dev/null
	namespace=${children[-1]}
	for _ in {1..100}; do
		[ -s "$work/$1" ] && return
		kill -0 "$namespace" 2>/dev/null || break
		sleep 0.02
	done
	die "cannot make a network namespace here: that needs CAP_SYS_ADMIN and CAP_NET_ADMIN (in a container: --privileged)"
}

configure() { # PID IPV4 IPV6
	inside "$1" ip link set lo up &&
		inside "$1" ip address add "$2/24" dev veth0 &&
		inside "$1" ip address add "$3/64" dev veth0 nodad &&
		inside "$1" ip link set veth0 up
}

# Runs a server in namespace b and waits until it says that it serves.
serve() { # LOG COMMAND...
	local log=$work/$1
	shift
	start nsenter --target "$b" --net --mount "$@" 2>"$log"
	server=${children[-1]}
	for _ in {1..200}; do
		grep -qs ^serving "$log" && return
		kill -0 "$server" 2>/dev/null || break
		sleep 0.05
	done
	cat "$log" >&2
	die "$(basename "$1") did not start"
}
stop_server() {
	kill "$server" && wait "$server" || die "the server ended with exit code $?"
	unset 'children[-1]'
}

field() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" "$work/row"; }
row() { # SIZE OUTSTANDING HOST
	inside "$a" "$build/tern-load" "homa://$3:4000" --size "$1" --concurrency "$2" --duration "$seconds" \
		--warmup 0.2 --check --json >"$work/row"
	local code=$?
	[ -s "$work/row" ] || die "tern-load failed with exit code $code"
	printf '  %9s %11s  %-4s %10.0f %7.2f %8.1f %8.1f %8.1f   %s\n' "$1 B" "$2" \
		"$([ "$3" = "$address4" ] && echo IPv4 || echo IPv6)" "$(field rpc_per_s)" "$(field gbit_per_s)" \
		"$(field p50_us)" "$(field p99_us)" "$(field p999_us)" \
		"$(field lost) lost, $(field duplicated) twice, $(field corrupt) corrupt"
	[ $code = 0 ] || failed=1
}

[ "$(id -u)" = 0 ] || die "network namespaces and XDP need root: sudo make demo"
for program in tern-load examples/greeter_server examples/greeter_client; do
	[ -x "$build/$program" ] || die "$build/$program is not built: run make demo"
done
for old in "$build"/demo-*; do # of runs that were killed
	[ -e "/proc/${old##*-}" ] || rm -rf "$old"
done
mkdir -p "$work" || die "cannot write to $build"
watch_makes &
children+=($!)

hold_namespace a && a=$namespace
hold_namespace b && b=$namespace
ip link add veth0 netns "$a" type veth peer name veth0 netns "$b" || die "cannot make a veth pair"
configure "$a" 10.99.0.1 fd99::1 && configure "$b" $address4 $address6 || die "cannot configure the veth pair"

say "A service over Homa, between two network namespaces, on Linux $(uname -r)"
say
serve greeter "$build/examples/greeter_server" "homa://$address4:4001"
answer=$(inside "$a" "$build/examples/greeter_client" "homa://$address4:4001" world) || die "greeter_client failed"
stop_server
say "greeter    demo.Greeter/Hello(name: \"world\") at homa://$address4:4001 answers \"$answer\""

serve load "$build/tern-load" --serve "homa://[::]:4000"
say "load       $(sed -n 's/; .*//; 1p' "$work/load")"
say
say "       size outstanding            RPC/s  Gbit/s   p50 us   p99 us p99.9 us   every answer checked"
failed=0
row 64 1 $address4
row 64 32 $address4
row 1400 1 $address4
row 1400 32 $address4
row 65536 4 $address4
row 1000000 2 $address4
row 64 1 "[$address6]"
say
stop_server
[ $failed = 0 ] || die "a row had errors"
say "Next: README.md, or build/tern-load --help"
