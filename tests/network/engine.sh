#!/bin/bash
# The engine over real devices: routes, neighbours, ICMP, and what changes under it.
#
#	$A  veth1 10.78.0.1 ==== port1 br0 port2 ==== veth1 10.78.0.2  $B
#
# beside veth0 of lib.sh. The bridge, whose ports are in $A too, does not flood, so that
# packets to a wrong MAC address are lost.
. "$(dirname "$0")/lib.sh"
peer=$(by_datapath "$BUILD/tests/engine_peer")

EPERM=1 EHOSTUNREACH=113 ENETUNREACH=101 ECONNREFUSED=111 EPROTONOSUPPORT=93

# call EXPECTED-EXIT MAX-MS ADDRESS PORT COUNT BYTES
call() {
	local expected=$1 most=$2 output code longest
	shift 2
	output=$(in_a timeout 20 "$peer" call "$@" 2>"$work/log")
	code=$?
	[ $code = "$expected" ] || { cat "$work/log"; fail "call $*: exit $code, not $expected: $output"; }
	longest=$(sed -n 's/.*longest wait \([0-9]*\).*/\1/p' <<<"$output")
	[ "${longest:-0}" -le "$most" ] || fail "call $*: $output, more than $most ms"
	echo "call $*: $output"
}

# keep MAX-FAILED MAX-OUTAGE-MS ADDRESS PORT SECONDS BYTES COMMAND: the command runs in the middle of it
keep() {
	local most_failed=$1 most=$2 command=$7 keeper output
	in_a timeout 20 "$peer" keep "${@:3:4}" >"$work/keep" 2>"$work/log" &
	keeper=$!
	sleep 0.7
	eval "$command"
	wait $keeper
	output=$(cat "$work/keep")
	read -r _ _ failed _ <<<"$output"
	longest=$(sed -n 's/.*longest wait \([0-9]*\).*/\1/p' <<<"$output")
	[ -n "$longest" ] && [ "$failed" -le "$most_failed" ] && [ "$longest" -le "$most" ] ||
		{ cat "$work/log"; fail "$command: $output (at most $most_failed may fail, for $most ms)"; }
	echo "$command: $output"
}

# Neighbours are searched for from the link-local address, which comes to be after a second.
settle() {
	for namespace in "$A" "$B"; do
		while ip -n "$namespace" -6 address show tentative | grep -q inet6; do sleep 0.05; done
	done
}

pair_up
settle
serve "$work/server" "$peer" serve :: 4000
b_link_local=$(ip -n "$B" -6 address show dev veth0 scope link | sed -n 's/.*inet6 \(.*\)\/.*/\1/p')

echo "== IPv4, IPv6 and link-local, from a cold start"
for address in $B4 $B6 "$b_link_local%veth0"; do
	ip -n "$A" neighbour flush dev veth0
	ip -n "$B" neighbour flush dev veth0
	call 0 500 "$address" 4000 1 1
	call 0 200 "$address" 4000 200 1000
	call 0 1000 "$address" 4000 3 1000000
done

echo "== nobody there"
call $EHOSTUNREACH 1300 10.77.0.99 4000 1 100
call $EHOSTUNREACH 1300 fd77::99 4000 1 100
call $ENETUNREACH 0 192.0.2.1 4000 1 100
ip -n "$A" route add unreachable 192.0.2.0/24
call $EHOSTUNREACH 0 192.0.2.1 4000 1 100
call $ECONNREFUSED 50 $B4 4001 1 100
call $ECONNREFUSED 50 $B6 4001 1 100

echo "== through a gateway, to an address on the loopback device"
ip -n "$B" address add 10.88.0.1/32 dev lo
ip -n "$A" route add 10.88.0.1 via $B4
sleep 0.3
call 0 500 10.88.0.1 4000 10 5000

echo "== changes under way"
keep 3 600 $B4 4000 3 20000 "ip -n $A link set veth0 mtu 1400; ip -n $B link set veth0 mtu 1400"
keep 3 600 $B4 4000 3 20000 "ip -n $A link set veth0 mtu 1500; ip -n $B link set veth0 mtu 1500"
keep 80 1000 $B4 4000 3 1000 "ip -n $A route delete 10.77.0.0/24; sleep 0.3; ip -n $A route add 10.77.0.0/24 dev veth0 src $A4"
keep 3 600 $B4 4000 3 1000 "ip -n $A neighbour flush dev veth0"

echo "== a host that does not speak Homa, and one that may not"
stop "$server"
call $EPROTONOSUPPORT 50 $B4 4000 1 100
call $EPROTONOSUPPORT 50 $B6 4000 1 100
without=(ip netns exec "$B" timeout 5 setpriv --bounding-set -all --inh-caps -all)
"${without[@]}" "$peer" serve $B4 4000 >"$work/out" 2>"$work/log"
[ $? = $EPERM ] || { cat "$work/out" "$work/log"; fail "serving a device without privilege: not EPERM"; }
serve "$work/server3" "${without[@]}" "$peer" serve 127.0.0.1 4000
"${without[@]}" "$peer" call 127.0.0.1 4000 10 100 || fail "the loopback address needs a privilege"

echo "== another MAC address, behind a bridge that does not flood"
ip -n "$A" link add br0 type bridge
ip -n "$A" link add veth1 type veth peer name port1
ip link add port2 netns "$A" type veth peer name veth1 netns "$B"
for port in port1 port2; do
	ip -n "$A" link set $port master br0
	ip -n "$A" link set $port type bridge_slave flood off
done
for device in br0 veth1 port1 port2; do ip -n "$A" link set $device up; done
ip -n "$A" address add 10.78.0.1/24 dev veth1
ip -n "$B" address add 10.78.0.2/24 dev veth1
ip -n "$B" link set veth1 up
serve "$work/server2" "$peer" serve 10.78.0.2 4002
keep 20 1000 10.78.0.2 4002 3 1000 "ip -n $B link set veth1 address 02:00:00:00:78:99; ip -n $A link set port2 type bridge_slave fdb_flush"

echo "== the device goes"
ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }
pid=$server
ip -n "$A" link delete port2
sleep 0.3
before=$(ticks)
sleep 1
[ $(($(ticks) - before)) -le 10 ] || fail "the server spins without its device"
grep -q "veth1: the device is gone" "$work/server2" || { cat "$work/server2"; fail "the loss of the device is not logged"; }
ip netns exec "$B" "$peer" call 127.0.0.1 4002 1 100 && fail "127.0.0.1 is not served"
ip -n "$B" address add 10.78.0.2/32 dev lo
sleep 0.3
ip netns exec "$B" timeout 10 "$peer" call 10.78.0.2 4002 10 100 2>"$work/log" || fail "the same host is not served any more"
stop "$pid"
echo "engine over veth: cold start, ICMP, gateway, MTU, route, neighbour and device changes"
