#!/bin/bash
# The AF_XDP link on real devices: veth0 with one queue, veth1 with three.
. "$(dirname "$0")/lib.sh"

link() { "$BUILD/tests/xsk_link" "$@"; }
# Is an XDP program on veth0?
attached() { ip -n "$A" -d link show veth0 | grep -q prog/xdp; }
# How often $B was told "unreachable": it is when it sends protocol 146 to a kernel.
unreachables() {
	in_b awk '/^IcmpMsg:/ { n = 0; for (i = 2; i <= NF; i++) if (head[i] == "InType3") n = $i; split($0, head) }
		END { print n + 0 }' /proc/net/snmp
}
hold() { serve_in "$A" "$work/hold" "$BUILD/tests/xsk_link" "$1" hold - veth0; }
release() {
	kill -9 "$server"
	wait "$server" 2>/dev/null
}

pair_up
ip link add veth1 netns "$A" numrxqueues 3 numtxqueues 3 type veth \
	peer name veth1 netns "$B" numrxqueues 3 numtxqueues 3 || fail "no veth with queues"
ip -n "$A" link set veth1 up
ip -n "$B" link set veth1 up

echo "== packets, in each mode"
for mode in native generic; do
	link $mode exchange "$A" veth0 "$B" veth0 || fail "exchange, $mode"
done
link auto exchange "$A" veth1 "$B" veth1 || fail "exchange over three queues"

echo "== the kernel answers protocol 146, unless the link is there; all else passes"
link - raw "$B" $B4 $A4
sleep 0.1
before=$(unreachables)
[ "$before" -gt 0 ] || fail "the kernel did not object to protocol 146: this test would prove nothing"
for mode in native generic; do
	hold $mode
	attached || fail "no XDP program to be seen"
	link - raw "$B" $B4 $A4
	for address in $A4 $A6; do
		in_b ping -q -c 3 -i 0.01 -W 1 $address >"$work/ping" || fail "ping $address with $mode XDP"
	done
	[ "$(unreachables)" = "$before" ] || fail "protocol 146 reached the kernel through $mode XDP"
	release
done

echo "== a killed process leaves nothing, and the next one starts"
for _ in 1 2 3; do
	hold native
	release
	link native open "$A" veth0 || fail "restart right after kill -9"
done
hold native
release
for _ in {1..50}; do
	attached || break
	sleep 0.02
done
attached && fail "kill -9 left an XDP program"

echo "== a device in use is refused, saying by what"
hold native
link auto open "$A" veth0 >"$work/log" && fail "two endpoints on one device"
cat "$work/log"
grep -q 'another Tern endpoint' "$work/log" || fail "the other endpoint was not recognized"
release
sleep 0.1
cat >"$work/foreign.c" <<END
#include <linux/bpf.h>
__attribute__((section("xdp"), used)) int foreign(struct xdp_md *ctx) { return XDP_PASS; }
END
clang -O2 -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c -o "$work/foreign.o" "$work/foreign.c" || fail "clang"
for kind in xdp xdpgeneric; do
	ip -n "$A" link set dev veth0 $kind obj "$work/foreign.o" sec xdp || fail "the foreign program"
	id=$(ip -n "$A" -d link show veth0 | sed -n 's/.*prog\/xdp id \([0-9]*\).*/\1/p')
	link auto open "$A" veth0 >"$work/log"
	code=$?
	cat "$work/log"
	[ $code = 16 ] || fail "exit $code, not EBUSY, for a foreign program ($kind)"
	grep -q "id $id" "$work/log" || fail "the foreign program's id $id was not named"
	ip -n "$A" link set dev veth0 $kind off
done

echo "== what cannot work is refused with a reason"
ip -n "$A" link set veth0 mtu 3499
link auto open "$A" veth0 >"$work/log" && fail "MTU 3499 was taken"
grep -q 'MTU 3499' "$work/log" || fail "the MTU was not named"
ip -n "$A" link set veth0 mtu 3498
link native open "$A" veth0 || fail "MTU 3498"
ip -n "$A" link set veth0 mtu 1500
open_with() { in_a setpriv --bounding-set="-all$1" "$BUILD/tests/xsk_link" native open - veth0 >"$work/log"; }
without() { # capability, the others
	open_with "$2" && fail "opened without $1"
	grep -q "takes.* $1" "$work/log" || fail "$1 was not named"
}
open_with ,+net_raw,+bpf,+perfmon,+net_admin || fail "four capabilities were not enough: $(cat "$work/log")"
without CAP_BPF ,+net_raw,+perfmon,+net_admin
without CAP_PERFMON ,+net_raw,+bpf,+net_admin
without CAP_NET_ADMIN ,+net_raw,+bpf,+perfmon
without CAP_NET_RAW ,+bpf,+perfmon,+net_admin
(ulimit -l 64 && open_with ,+net_raw,+bpf,+perfmon,+net_admin)
code=$?
[ $code = 105 ] || fail "exit $code, not ENOBUFS, with 64 KiB of locked memory"
grep -q RLIMIT_MEMLOCK "$work/log" || fail "the limit was not named"

echo "== a device that is down, and one that goes away"
link native down "$A" veth0 || fail "device down"
link native gone "$A" veth1 >"$work/gone" &
gone=$!
children+=($gone)
sleep 0.4
ip -n "$A" link delete veth1
wait $gone || fail "the deleted device was not noticed: $(cat "$work/gone")"
echo "packets, ICMP, kill -9, refusals, device down and gone"
