# Turns the frames of merged captures, given as tshark's info column and as its JSON, in this order, into
# DIRECTORY/NAME.txt for each capture of NAMES (in the order of merging). Each frame has two lines: the
# column, and the fields of Homa and Tern. A field is left out if the last frame of that type and direction had it
# with the same value; "-field" says that it had it and this one has not. Frame numbers are a capture's own.
BEGIN {
	FS = "\""
	split(names, name, " ")
	file = -1
}

# Frame numbers are of the merged file.
function rebase(field, text) {
	if (field ~ /^homa\.(request|response)_in$/)
		return text - before
	if (match(text, /frame [0-9]+$/))
		return substr(text, 1, RSTART + 5) (substr(text, RSTART + 6) - before)
	return text
}

function begin_file(number) {
	file = number
	before = frame - 1
	split("", last)
	split("", seen)
	split("", count)
}

function changes(kind,   i, line) {
	for (i = 1; i <= fields; i++)
		if (!((kind, order[i]) in last) || last[kind, order[i]] != value[order[i]])
			line = line " " order[i] "=" value[order[i]]
	for (i = 1; i <= count[kind]; i++)
		if (!(seen[kind, i] in value))
			line = line " -" seen[kind, i]
	return line
}

function remember(kind,   i) {
	for (i = 1; i <= count[kind]; i++)
		delete last[kind, seen[kind, i]]
	for (i = 1; i <= fields; i++) {
		seen[kind, i] = order[i]
		last[kind, order[i]] = value[order[i]]
	}
	count[kind] = fields
}

# What tshark says of TCP and ICMP is its own affair.
FNR == NR {
	info[FNR] = $0
	if ($0 !~ /^(Homa|Tern) /)
		sub(/ .*/, "", info[FNR])
	next
}
/^  {$/ { frame++; fields = 0 }
/^    "_source"/ { split("", value) }
$2 == "frame.interface_id" && $4 + 0 != file { begin_file($4 + 0) }
$2 ~ /^(homa|tern)\./ && $3 == ": " || $2 == "_ws.expert.message" && previous ~ /^homa\./ {
	text = $0
	sub(/^ *"[^"]*": "/, "", text)
	sub(/",?$/, "", text)
	text = rebase($2, text)
	if ($2 in value) {
		value[$2] = value[$2] "," text
	} else {
		value[$2] = text
		order[++fields] = $2
	}
}
$3 ~ /^: / { previous = $2 }
/^  },?$/ {
	kind = value["homa.type"] " " value["homa.from_server"]
	line = changes(kind)
	remember(kind)
	out = directory "/" name[file + 1] ".txt"
	print frame - before, info[frame] (line == "" ? "" : "\n\t" substr(line, 2)) > out
}
END {
	if (frame != length(info))
		print "the JSON has " frame " frames, the column " length(info)
	exit frame != length(info)
}
