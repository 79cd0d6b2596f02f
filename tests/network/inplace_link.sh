#!/bin/bash
# The in-place link on real devices: veth0 with one queue, veth1 with three, veth0 again with
# a large MTU. What it leaves behind, and what it says when it cannot be had.
. "$(dirname "$0")/lib.sh"

link() { timeout 60 "$BUILD/tests/xsk_link" "$@"; }
attached() { ip -n "$A" -d link show veth0 | grep -q prog/xdp; }
taps() { ip -n "$A" -br link show | grep -c '^tern'; }
hold() { serve_in "$A" "$work/hold" "$BUILD/tests/xsk_link" inplace hold - veth0; }

pair_up
ip link add veth1 netns "$A" numrxqueues 3 numtxqueues 3 type veth \
	peer name veth1 netns "$B" numrxqueues 3 numtxqueues 3 || fail "no veth with queues"
ip -n "$A" link set veth1 up
ip -n "$B" link set veth1 up

echo "== packets, by all parts and by some (1: receive, 4: tap, 8: pump)"
for parts in '' :1 :5 :12; do
	link inplace$parts exchange "$A" veth0 "$B" veth0 || fail "exchange, inplace$parts"
done
link inplace exchange "$A" veth1 "$B" veth1 || fail "exchange over three queues"
ip -n "$A" link set veth0 mtu 3498
ip -n "$B" link set veth0 mtu 3498
link inplace exchange "$A" veth0 "$B" veth0 || fail "exchange with MTU 3498"

echo "== messages put together by XDP, and what goes wrong"
timeout 60 "$BUILD/tests/inplace_link" check "$A" veth0 "$B" veth0 || fail "check"
[ "$(taps)" = 0 ] || fail "a tap is left over"

echo "== a killed process leaves neither program nor tap, and the next one starts"
for _ in 1 2 3; do
	hold
	attached || fail "no XDP program to be seen"
	[ "$(taps)" = 1 ] || fail "$(taps) taps"
	ip -n "$A" address show | grep -A3 ': tern' | grep inet && fail "the tap has an address"
	in_b ping -q -c 3 -i 0.01 -W 1 $A4 >"$work/ping" || fail "ping"
	kill -9 "$server"
	wait "$server" 2>/dev/null
	link inplace open "$A" veth0 >"$work/log" || fail "restart right after kill -9: $(cat "$work/log")"
done
for _ in {1..50}; do
	attached || break
	sleep 0.02
done
attached && fail "kill -9 left an XDP program"
[ "$(taps)" = 0 ] || fail "kill -9 left a tap"

echo "== without a tap it says so, and sends by AF_XDP"
mkdir "$work/dev"
in_a unshare -m sh -c "mount --bind '$work/dev' /dev/net && exec '$BUILD/tests/xsk_link' inplace open - veth0" \
	>"$work/log" || fail "without /dev/net/tun: $(cat "$work/log")"
cat "$work/log"
grep -q 'AF_XDP transmit' "$work/log" && grep -q /dev/net/tun "$work/log" || fail "it did not say what is missing"

echo "== a device that goes away"
link inplace gone "$A" veth1 >"$work/gone" &
gone=$!
children+=($gone)
sleep 0.4
ip -n "$A" link delete veth1
wait $gone || fail "the deleted device was not noticed: $(cat "$work/gone")"
echo "packets, placing, kill -9, no tap, device gone"
