#!/bin/bash
# 64 B unary calls with protobuf, both ends spinning, beside a bare AF_XDP ping-pong of the
# same frame size on the same veth pair: rounds in turn, medians, and their ratio.
. "$(dirname "$0")/lib.sh"
rounds=11 limit=2.0
[ "$(nproc)" -ge 2 ] || skip "both ends spin: that needs two cores"

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

tern_round() {
	serve "$work/server" "$LOAD" --serve "homa://$B4:4000" --spin --cpu 1
	in_a "$LOAD" "homa://$B4:4000" --size 64 --spin --cpu 0 --duration 0.6 --warmup 0.2 --json >"$work/out" ||
		fail "tern-load: $(cat "$work/out" "$work/server")"
	stop "$server" || fail "the server ended with $?"
	field p50_us "$work/out" >>"$work/tern"
}

bare_round() {
	serve "$work/server" "$BUILD/ping-pong" --serve veth0 --cpu 1
	in_a "$BUILD/ping-pong" veth0 --peer "$peer" --size 64 --count 60000 --cpu 0 --json >"$work/out" ||
		fail "ping-pong: $(cat "$work/out" "$work/server")"
	stop "$server"
	field p50_us "$work/out" >>"$work/bare"
}

pair_up
peer=$(in_b cat /sys/class/net/veth0/address)
for ((i = 0; i < rounds; i++)); do
	bare_round
	tern_round
done
bare=$(median <"$work/bare") tern=$(median <"$work/tern")
ratio=$(awk -v t="$tern" -v b="$bare" 'BEGIN { printf "%.2f", t / b }')
echo "64 B, $rounds rounds: bare $(tr '\n' ' ' <"$work/bare")us, tern $(tr '\n' ' ' <"$work/tern")us"
echo "64 B p50: tern $tern us, bare AF_XDP $bare us, ratio $ratio (at most $limit)"
awk -v r="$ratio" -v l=$limit 'BEGIN { exit !(r > 0 && r <= l) }'
