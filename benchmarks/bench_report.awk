# Raw data of bench.sh (round work system datapath p50_us p99_us rpc_per_s gbit_per_s cpu_share; - is none) to
# a table of medians on standard output, rows of JSON into the file `json`, medians into the file `medians`.
#
# A ratio says how many times worse than Tern in place, or than the bare limit, a system is: its p50 over
# theirs where latency is the point (unary), their rate over its rate elsewhere.

BEGIN { FS = "\t" }

{
	key = $2 SUBSEP $3 SUBSEP $4
	if (!(key in count)) {
		order[++keys] = key
		count[key] = 0
	}
	count[key]++
	for (f = 5; f <= 9; f++)
		if ($f != "-")
			add(key, f, $f)
	if ($7 != "-" && $9 != "-" && $7 > 0)
		add(key, 10, $9 * 1e6 / $7)
	if ($1 > rounds)
		rounds = $1
}

function add(key, f, value) { values[key, f, ++have[key, f]] = value + 0 }

# "-" when there is none.
function median(key, f,    n, i, j, v, sorted) {
	n = have[key, f]
	if (!n)
		return "-"
	for (i = 1; i <= n; i++) {
		v = values[key, f, i]
		for (j = i - 1; j > 0 && sorted[j] > v; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = v
	}
	return (sorted[int((n + 1) / 2)] + sorted[int(n / 2) + 1]) / 2
}

function number(value, format) { return value == "-" ? "-" : sprintf(format, value) }
function json_number(value) { return value == "-" ? "null" : sprintf("%.6g", value) }

function ratio(key, work, reference) {
	if (work ~ /^unary/)
		return quotient(m[key, 5], m[reference, 5])
	if (work ~ /^many/)
		return quotient(m[reference, 7], m[key, 7])
	if (work ~ /^bulk/)
		return quotient(m[reference, 8], m[key, 8])
	return "-"
}
function quotient(a, b) { return a == "-" || b == "-" || a == "" || b == "" || b == 0 ? "-" : sprintf("%.2f", a / b) }

function title(work) {
	if (work ~ /^unary/)
		return "unary calls of " substr(work, 7) " B, one at a time"
	if (work ~ /^many/)
		return "calls of " substr(work, 6) " B, many outstanding"
	if (work ~ /^bulk/)
		return "requests of 1,000,000 B, small replies, MTU " substr(work, 6)
	if (work ~ /^idle/)
		return "a server that nobody calls: share of a core"
	return "growth with the number of outstanding RPCs, of peers, and with the size: 3 curves"
}

function print_row(work, name, datapath, key) {
	if (work == "idle") {
		printf "  %-38s %-9s %s\n", name, datapath, number(m[key, 9] == "-" ? "-" : m[key, 9] * 100, "%.2f %%")
		return
	}
	if (work ~ /^curve/)
		name = substr(work, 7)
	printf "  %-38s %-9s %9s %9s %10s %8s %8s %7s %7s\n", name, datapath, number(m[key, 5], "%.2f"),
		number(m[key, 6], "%.2f"), number(m[key, 7], "%.0f"), number(m[key, 8], "%.2f"),
		number(m[key, 10], "%.2f"), ratio(key, work, work SUBSEP "tern" SUBSEP "inplace"),
		ratio(key, work, work SUBSEP "bare" SUBSEP "in_place")
}

function print_json(work, name, datapath, key, last) {
	printf "{\"work\": \"%s\", \"system\": \"%s\", \"datapath\": \"%s\", \"p50_us\": %s, \"p99_us\": %s, " \
		"\"rpc_per_s\": %s, \"gbit_per_s\": %s, \"cpu_us_per_rpc\": %s, \"cpu_share\": %s}%s\n", work, name,
		datapath, json_number(m[key, 5]), json_number(m[key, 6]), json_number(m[key, 7]),
		json_number(m[key, 8]), json_number(m[key, 10]), json_number(m[key, 9]), last ? "" : "," >json
}

END {
	for (i = 1; i <= keys; i++)
		for (f = 5; f <= 10; f++)
			m[order[i], f] = median(order[i], f)
	printf "rounds    %d, medians; ratios: how many times worse than Tern in place, than the bare limit\n", rounds
	print "[" >json
	for (i = 1; i <= keys; i++) {
		split(order[i], part, SUBSEP)
		group = part[1]
		sub(/^curve-.*/, "curve", group)
		if (group != before) {
			printf "\n%s\n", title(part[1])
			if (group != "idle")
				printf "  %-38s %-9s %9s %9s %10s %8s %8s %7s %7s\n", "", "", "p50 us", "p99 us", "RPC/s",
					"Gbit/s", "CPU us", "x Tern", "x bare"
		}
		before = group
		name = part[2]
		gsub(/_/, " ", name)
		print_row(part[1], name, part[3], order[i])
		print_json(part[1], name, part[3], order[i], i == keys)
		printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", part[1], part[2], part[3], m[order[i], 5], m[order[i], 6],
			m[order[i], 7], m[order[i], 8], m[order[i], 10] >medians
	}
	print "]" >json
}
