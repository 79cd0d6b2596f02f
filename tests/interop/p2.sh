#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Row P2: every capture of Linux Homa, played from either side, and captures that were
# tampered with, in which homa-replay must find a difference.
set -eu
cd "$(dirname "$0")/../.."
replay=$BUILD/homa-replay
captures=tests/captures
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for side in client server; do
	"$replay" -q --side $side $captures/*.pcap >"$work/log" || { grep -E 'DIFF|not' "$work/log"; exit 1; }
done
"$replay" $captures/*.pcap >"$work/log" || { grep DIFF "$work/log"; exit 1; }
compared=$(grep -c '^  same #' "$work/log")
[ "$compared" -gt 700 ] || { echo "only $compared packets were compared"; exit 1; }

# Where in FILE the record of frame NUMBER begins (classic pcap, little-endian).
record() { # file number
	local at=24 i
	for ((i = 1; i < $2; i++)); do
		at=$((at + 16 + $(od -An -tu4 -j $((at + 8)) -N 4 "$1")))
	done
	echo $at
}

tampered=0
must_differ() { # file what
	local code=0
	"$replay" -q "$1" >"$work/log" 2>&1 || code=$?
	[ $code = 1 ] || { echo "not noticed (exit $code): $2"; cat "$work/log"; exit 1; }
	tampered=$((tampered + 1))
}

# Overwrites bytes of frame NUMBER, from byte OFFSET of its Ethernet frame on.
poke() { # capture number offset hex what
	cp $captures/"$1"*.pcap "$work/case.pcap"
	chmod u+w "$work/case.pcap"
	local at=$(($(record "$work/case.pcap" "$2") + 16 + $3))
	printf "$4" | dd of="$work/case.pcap" bs=1 seek=$at conv=notrunc status=none
	must_differ "$work/case.pcap" "$1 frame $2: $5"
}

# Leaves frame NUMBER out.
drop() { # capture number what
	local file from to
	file=$(echo $captures/"$1"*.pcap)
	from=$(record "$file" "$2") to=$(record "$file" $(($2 + 1)))
	{ head -c "$from" "$file"; tail -c +$((to + 1)) "$file"; } >"$work/case.pcap"
	must_differ "$work/case.pcap" "$1 without frame $2: $3"
}

homa=34 # Ethernet and IPv4 headers
poke 01 1 $((homa + 35)) '\x63' 'incoming'
poke 01 1 $((homa + 31)) '\x65' 'message length'
poke 01 2 $((homa + 50)) '\x3b' 'a cutoff'
poke 01 2 $((homa + 61)) '\x02' 'cutoff version'
poke 02 1 $((homa + 13)) '\x00' 'flags'
poke 02 3 $((homa + 27)) '\x0b' 'id of a NEED_ACK'
poke 02 6 15 '\x80' 'priority of an ACK'
poke 03 2 $((homa + 100)) '\x55' 'payload, which the checksum shows'
poke 04 2 15 '\xa0' 'priority of DATA'
poke 04 3 $((homa + 47)) '\x02' 'cutoff version in DATA'
poke 04 4 $((homa + 6)) '\x10\x00' 'offset'
poke 05 12 $((homa + 28)) '\x00\x02\x00\x00' 'grant beyond the message'
poke 05 12 $((homa + 32)) '\x03' 'priority of a grant'
poke 07 3 $((homa + 11)) '\x13' 'RPC_UNKNOWN instead of BUSY'
poke 20 18 $((homa + 31)) '\xb4' 'range of a RESEND'
poke 20 18 $((homa + 36)) '\x03' 'priority of a RESEND'
poke 20 19 $((homa + 48)) '\x00' 'retransmission that does not say so'
poke 23 3 $((homa + 11)) '\x14' 'BUSY instead of RPC_UNKNOWN'
poke 03 10 $((homa + 27)) '\x12' 'id of an ACK'
drop 04 3 'DATA of a request'
drop 04 20 'DATA of a response'
drop 23 3 'RPC_UNKNOWN'
drop 20 18 'the RESEND that brings a retransmission'

code=0
"$replay" "$work/none.pcap" >/dev/null 2>&1 || code=$?
[ $code = 2 ] || { echo "a file that is not there: exit $code"; exit 1; }
head -c 100 /dev/zero >"$work/case.pcap"
code=0
"$replay" "$work/case.pcap" >/dev/null 2>&1 || code=$?
[ $code = 2 ] || { echo "a file that is no capture: exit $code"; exit 1; }
head -c $((24 + 16 + 50)) $captures/01*.pcap >"$work/case.pcap"
code=0
"$replay" "$work/case.pcap" >/dev/null 2>&1 || code=$?
[ $code = 2 ] || { echo "a capture that is cut off in a frame: exit $code"; exit 1; }

# Our own hosts, many at once and in pcapng: they are not Linux, but the same core must repeat itself.
for seed in 1 6; do
	"$BUILD/tern-sim" --profile clean --seeds $seed --rpcs 100 --trace "$work/sim.pcapng" >"$work/log"
	"$replay" -q --all-hosts "$work/sim.pcapng" >"$work/log" || { cat "$work/log"; exit 1; }
done

echo "$compared packets of $(ls $captures/*.pcap | wc -l) captures as Linux Homa sent them; $tampered tampered captures noticed"
