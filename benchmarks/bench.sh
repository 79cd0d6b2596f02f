#!/bin/bash
# make bench, make bench-quick: Tern beside its rivals (cells.txt), between two network
# namespaces, in rounds: each round runs every cell once, so that whatever changes about the
# machine changes for all. Prints a table of medians; leaves build/bench.json, and raw data and curves
# in build/bench/.
#
#	bench.sh full|quick|smoke        smoke: one short round of the quick cells, for the tests
#
# The client is pinned to core 0, the server to core 1, all at nice -20; TCP uses cubic.
. "$(dirname "$0")/../tests/network/lib.sh"
PEERS4=10.200.0.0 # a /16 of addresses that $B has when many peers are called, all behind one gateway

case ${1:-} in
full) sets=qfc rounds=15 budget_s=750 warmup_s=0.2 duration_s=0.6 curve_rounds=3 ;;
quick) sets=q rounds=7 budget_s=70 warmup_s=0.1 duration_s=0.3 curve_rounds=0 ;;
smoke) sets=q rounds=1 budget_s=600 warmup_s=0.05 duration_s=0.1 curve_rounds=0 ;;
*) fail "usage: bench.sh full|quick|smoke" ;;
esac
renice -n -20 -p $$ >/dev/null # with all that is started here: they would starve this script
[ "$(nproc)" -ge 2 ] || skip "both ends spin: that needs two cores"
for program in tern-load ping-pong peers/bare peers/sockets; do
	[ -x "$BUILD/$program" ] || fail "$BUILD/$program is not built: run make bench"
done
out=$BUILD/bench
raw=$out/raw.tsv log=$out/failures.log
load_help=$("$LOAD" --help)
mtu_now=1500

# ---- the network ----

network_up() {
	local subnet=${A4%.*}.0/24
	pair_up $mtu_now
	# By the route, so that it holds for sockets that are not ours: a namespace may not change its own default.
	ip -n "$A" route change $subnet dev veth0 proto kernel scope link src $A4 congctl cubic &&
		ip -n "$B" route change $subnet dev veth0 proto kernel scope link src $B4 congctl cubic || fail "no cubic"
	ip -n "$A" route add $PEERS4/16 via $B4 || fail "no route"
	peer_mac=$(in_b cat /sys/class/net/veth0/address)
}

# The device of a run that has just ended may for a moment still have its XDP program, which forbids much.
insist() {
	local i
	for i in {1..50}; do
		"$@" 2>/dev/null && return
		sleep 0.02
	done
	"$@" || fail "$*"
}

set_mtu() {
	[ "$1" = $mtu_now ] && return
	insist ip -n "$A" link set veth0 mtu "$1"
	insist ip -n "$B" link set veth0 mtu "$1"
	mtu_now=$1
}

set_offloads() { # on|off
	local namespace
	for namespace in "$A" "$B"; do
		insist ip netns exec "$namespace" ethtool -K veth0 tso "$1" gso "$1" gro off
	done
}

peers_up() { # COUNT
	seq 1 "$1" | awk -v net=${PEERS4%.0.0} '{ printf "address add %s.%d.%d/32 dev veth0\n", net, $1 / 256, $1 % 256 }' |
		ip -n "$B" -batch - || fail "cannot add $1 addresses"
}
peers_down() { ip -n "$B" address flush dev veth0 to $PEERS4/16; }

# ---- CPU ----

# Nanoseconds that the threads of PIDs have been on a CPU, the receive work of what they send included. Into
# `spent`: no process is started while others are being measured.
cpu_spent() { # PID...
	local pid file ns rest
	spent=0
	for pid in "$@"; do
		for file in "/proc/$pid/task/"*/schedstat; do
			{ read -r ns rest <"$file" && spent=$((spent + ns)); } 2>/dev/null
		done
	done
}

# The share of one CPU that PIDs use during SECONDS; nothing if one of them ended meanwhile.
cpu_share() { # SECONDS PID...
	local seconds=$1 spent before began_us ended_us pid
	shift
	cpu_spent "$@"
	before=$spent began_us=${EPOCHREALTIME/[.,]/}
	sleep "$seconds"
	cpu_spent "$@"
	ended_us=${EPOCHREALTIME/[.,]/}
	for pid in "$@"; do kill -0 "$pid" 2>/dev/null || return; done
	awk -v ns=$((spent - before)) -v us=$((ended_us - began_us)) 'BEGIN { printf "%.4f", ns / us / 1000 }'
}

# ---- a cell ----

# Whether this build has the cell's program and options. (The tests have no gRPC.)
supported() { # PROGRAM OPTIONS...
	local word
	[ "$1" = grpc ] && [ ! -x "$BUILD/peers/grpc" ] && return 1
	[ "$1" = tern-load ] || return 0
	for word in "$@"; do
		case $word in
		--*) grep -q -- "$word" <<<"$load_help" || return 1 ;;
		inplace) grep -q inplace <<<"$load_help" || return 1 ;;
		esac
	done
}

# The command lines of both ends, into the arrays server_command and client_command.
commands() { # PROGRAM OPTIONS...
	local program=$1 load=(--duration $duration_s --warmup $warmup_s) host=$B4
	shift
	case $program in
	tern-load)
		case "$*" in *--peers*) host=${PEERS4%.0}.1 ;; esac
		server_command=("$LOAD" --serve homa://0.0.0.0:4000 "$@")
		client_command=("$LOAD" "homa://$host:4000" "$@" "${load[@]}" --json)
		;;
	ping-pong)
		server_command=("$BUILD/ping-pong" --serve veth0)
		client_command=("$BUILD/ping-pong" veth0 --peer "$peer_mac" "$@" --count "$ping_pongs" --json) # no --duration
		;;
	bare)
		server_command=("$BUILD/peers/bare" "$@" --device veth0)
		client_command=("${server_command[@]}" --host "$peer_mac" "${load[@]}")
		;;
	*)
		server_command=("$BUILD/peers/$program" "$@" --port 4000)
		client_command=("${server_command[@]}" --host "$host" "${load[@]}")
		;;
	esac
}
ping_pongs=$(awk -v s=$duration_s 'BEGIN { printf "%d", s * 100000 }')
sampled_s=$(awk -v s=$duration_s 'BEGIN { print s * 0.6 }')

pinned() { echo taskset -c "$1"; }

# Starts the server; runs the client; writes the client's JSON and the CPU share of both.
run_cell() { # PROGRAM OPTIONS...
	local client code
	commands "$@"
	serve "$work/server" $(pinned 1) "${server_command[@]}"
	timeout -k 1 20 ip netns exec "$A" $(pinned 0) "${client_command[@]}" >"$work/client" 2>"$work/client-log" &
	client=$!
	sleep "$warmup_s"
	cpu_share $sampled_s "$server" $(<"/proc/$client/task/$client/children") >"$work/cpu"
	wait $client
	code=$?
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	[ $code = 0 ] || fail "exit code $code of: ${client_command[*]}: $(cat "$work/client-log" "$work/client")"
}

run_idle() {
	commands "$@"
	serve "$work/server" $(pinned 1) "${server_command[@]}"
	sleep 0.3
	cpu_share 1 "$server" >"$work/cpu"
	echo '{}' >"$work/client"
	kill "$server"
	wait "$server" 2>/dev/null || true # gRPC's is ended by the signal
}

# The figures of the run that has just ended.
figures() {
	local name
	for name in p50_us p99_us rpc_per_s gbit_per_s; do field $name "$work/client" | grep . || echo -; done
	grep . "$work/cpu" || echo -
}

# Appends to the raw data; `-` stands for what the cell does not have. A run that fails is logged.
measure() { # ROUND WORK MTU OFFLOADS SYSTEM DATAPATH PROGRAM OPTIONS...
	local row=("$1" "$2" "$5" "$6") run=run_cell found
	set_mtu "$3"
	set_offloads "$4"
	shift 6
	case ${row[1]} in
	idle) run=run_idle ;;
	curve-peers-*) peers_up "${row[1]##*-}" ;;
	esac
	found=(- - - - -)
	if supported "$@"; then
		: >"$work/cpu"
		if ("$run" "$@") >"$work/said" 2>&1; then
			mapfile -t found < <(figures)
		else
			echo "${row[*]}: $(tr '\n' ' ' <"$work/said")" >>"$log"
		fi
	fi
	tr ' ' '\t' <<<"${row[*]} ${found[*]}" >>"$raw"
	case ${row[1]} in curve-peers-*) peers_down ;; esac
}

# ---- all ----

# The cells of this run, without comments; those of curves only in the first rounds.
cells() { # ROUND
	awk -v sets=$sets -v curves="$(($1 <= curve_rounds))" \
		'/^[qfc] / && index(sets, $1) && ($1 != "c" || curves) { $1 = ""; print }' benchmarks/cells.txt
}

describe_machine() {
	echo "date      $(date -u '+%Y-%m-%d %H:%M') UTC, $1"
	echo "kernel    $(uname -sr) $(uname -m), $(nproc) cores"
	echo "CPU       $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
	echo "network   two namespaces, one veth pair, MTU 1500 (3498 where the work says so)"
	echo "placing   client on core 0, server on core 1, nice -20; TCP with cubic and no Nagle"
	echo "load      $(cut -d' ' -f1-3 /proc/loadavg) when the run began: a busy machine measures itself"
}

draw_curves() {
	local name
	for name in outstanding peers size; do
		awk -v name="curve-$name-" 'index($1, name) == 1 && $5 != "-" { print substr($1, length(name) + 1), $6, $5 }' \
			"$out/medians.tsv" >"$out/$name.dat"
		[ -s "$out/$name.dat" ] || continue
		gnuplot <<-END
			set terminal svg size 800,500 font 'sans,12'
			set output '$out/curve-$name.svg'
			set logscale xy; set grid; set key top left
			set xlabel '$name'; set ylabel 'RPC/s'; set y2label 'p99, us'; set ytics nomirror; set y2tics; set logscale y2
			plot '$out/$name.dat' using 1:2 with linespoints pt 7 title 'RPC/s', \
				'' using 1:3 axes x1y2 with linespoints pt 5 title 'p99, us (right)'
		END
		echo "drawn     $out/curve-$name.svg"
	done
}

rm -rf "$out"
mkdir -p "$out" || fail "cannot write to $out"
: >"$log"
describe_machine "make bench ($1)" >"$out/machine.txt"
network_up
began=$SECONDS
for ((round = 1; round <= rounds; round++)); do
	round_began=$SECONDS
	while read -r -a cell; do
		measure $round "${cell[@]}" </dev/null
		[ -t 2 ] && printf '\r\033[Kround %d  %s %s' $round "${cell[0]}" "${cell[3]}" >&2
	done < <(cells $round)
	took=$((SECONDS - round_began))
	[ $((SECONDS - began + took)) -le $budget_s ] || break
done
[ -t 2 ] && printf '\r\033[K' >&2
cat "$out/machine.txt"
awk -v json="$BUILD/bench.json" -v medians="$out/medians.tsv" -f benchmarks/bench_report.awk "$raw"
[ $curve_rounds = 0 ] || draw_curves
echo
echo "rows      $BUILD/bench.json;  every run  $raw"
if [ -s "$log" ]; then
	echo "failed    $(wc -l <"$log") runs, in $log:"
	head -5 "$log" | cut -c 1-300
	exit 1
fi
