#!/bin/bash
# The benchmark's cells all run and give sane figures: one very short round. How good the figures are
# is not asked. Without gRPC's packages its cells are left out.
. "$(dirname "$0")/lib.sh"
[ "$(nproc)" -ge 2 ] || skip "both ends spin: that needs two cores"
benchmarks/bench.sh smoke >"$work/out" 2>&1 || fail "bench.sh: exit code $?: $(cat "$work/out")"

json=$BUILD/bench.json
[ "$(head -c 1 "$json")" = "[" ] && [ "$(tail -n 1 "$json")" = "]" ] || fail "$json is no array"
expected=$(grep -c '^q ' benchmarks/cells.txt)
[ "$(grep -c '^{.*},\?$' "$json")" = "$expected" ] || fail "$json has not the $expected rows of cells.txt"

# A row has each field, a number or null; one with a rate has a latency, in order; the systems that need no
# package and no option have figures.
awk -F '"' -v grpc="$([ -x "$BUILD/peers/grpc" ] && echo 1)" '
	function value(name,    text) {
		text = $0
		if (!sub(".*\"" name "\": ", "", text))
			wrong("no " name)
		sub("[,}].*", "", text)
		if (text != "null" && text !~ /^[0-9.e+-]+$/)
			wrong(name " is " text)
		return text
	}
	function wrong(what) { print "failed: " what ": " $0; bad = 1; exit }
	/^{/ {
		work = $4; system_ = $8; p50 = value("p50_us"); p99 = value("p99_us"); rate = value("rpc_per_s")
		gbit = value("gbit_per_s"); cpu = value("cpu_us_per_rpc")
		if (p50 != "null" && (p50 + 0 <= 0 || p99 + 0 < p50 + 0)) wrong("p50 and p99")
		if (rate != "null" && (rate + 0 <= 0 || gbit == "null" || p50 == "null")) wrong("rate")
		if (work == "idle" || $12 == "inplace" || (system_ ~ /^grpc/ && !grpc)) next
		if (p50 == "null") wrong("not measured")
		seen[work] = 1
	}
	END {
		if (bad) exit 1
		if (!("unary-64" in seen && "unary-1400" in seen && "many-64" in seen && "bulk-1500" in seen && "bulk-3498" in seen)) {
			print "failed: works are missing"
			exit 1
		}
	}' "$json" || exit 1
echo "$expected rows, $(grep -c '"p50_us": [0-9]' "$json") of them measured"
