#!/bin/bash
# Row P4: what tshark says of every capture in tests/captures, and of those that captures.c makes, equals
# golden/NAME.txt (flatten.awk tells the format). No packet may be malformed or make an error in Lua, nor
# may any of what the simulator traces.
#
#	p4.sh [--update]     --update writes the golden files instead
set -u
cd "$(dirname "$0")/../.." || exit 1
update=${1:-}
golden=tests/dissector/golden
least=40
work=$(mktemp -d /tmp/tern-p4-XXXXXX)
trap 'rm -rf "$work"' EXIT
traces=()
fail() { echo "$*"; exit 1; }

command -v tshark mergecap >/dev/null || { echo "tshark is not installed"; exit 77; }
export HOME=$work XDG_CONFIG_HOME=$work LC_ALL=C.UTF-8 # no settings and plugins of the user
installed=$(tshark -G plugins 2>/dev/null | grep -E -o '/.*/(homa|tern)\.lua' | tr '\n' ' ')
[ -z "$installed" ] || { echo "installed copies are in the way: $installed"; exit 77; }

# Both passes, so that a request names its response.
dissect() {
	tshark -n -2 -X lua_script:transport/wireshark/homa.lua -X lua_script:transport/wireshark/tern.lua \
		-o tern.methods:'demo.Greeter/Hello, /demo.Other/Method' "$@" 2>>"$work/errors"
}
columns() { dissect -o 'gui.column.format:"Protocol","%p","Info","%i"' "$@"; }

${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -Itransport -Irpc -o "$work/generate" tests/dissector/*.c ||
	fail "captures.c"
mkdir "$work/captures" "$work/text"
"$work/generate" "$work/captures" || fail "captures"
mapfile -t paths < <(ls tests/captures/*.pcap "$work"/captures/*.pcap)
mapfile -t names < <(basename -s .pcap "${paths[@]}")
[ ${#names[@]} -ge $least ] || fail "${#names[@]} captures; there should be $least"

# tshark is slow to start, so all captures become one; each is an interface of its own there.
mergecap -a -I none -w "$work/all.pcapng" "${paths[@]}" || fail "mergecap"
columns -r "$work/all.pcapng" >"$work/info" || fail "tshark: $(cat "$work/errors")"
dissect -T json -J "frame homa tern icmp icmpv6" -r "$work/all.pcapng" >"$work/json" ||
	fail "tshark: $(cat "$work/errors")"
! grep -v '^Running as user' "$work/errors" || fail "tshark or Lua complains"
! grep -E -B 9 '_ws\.(malformed|lua\.text|lua\.error)|Lua Error' "$work/json" ||
	fail "malformed packets or errors in Lua"
awk -v directory="$work/text" -v names="${names[*]}" -f tests/dissector/flatten.awk \
	"$work/info" "$work/json" || fail "flatten.awk"

[ "$update" != --update ] || { rm -rf $golden && cp -r "$work/text" $golden; }
diff -r -U 1 $golden "$work/text" >"$work/differences" ||
	fail "$(head -40 "$work/differences"); if that is right: tests/dissector/p4.sh --update"
texts=("$work"/text/*)
[ ${#texts[@]} = ${#names[@]} ] || fail "${#names[@]} captures made ${#texts[@]} texts"

# What the preferences switch off is off.
columns -o homa.hijacked:FALSE -r tests/captures/50-hijack-tcp-100B.pcap | grep -q '^Homa' &&
	fail "homa.hijacked does nothing"
columns -o tern.enabled:FALSE -r "$work/captures/rpc-ok.pcap" | grep -q '^Tern' &&
	fail "tern.enabled does nothing"
# The simulator's traces: all of it is Homa, and nothing is wrong with it.
for profile in swarm crash wrap; do
	"$BUILD/tern-sim" --profile $profile --seeds 1 --rpcs 40 --trace "$work/$profile.pcapng" >"$work/log" || fail "$(cat "$work/log")"
	traces+=("$work/$profile.pcapng")
done
mergecap -w "$work/traces.pcapng" "${traces[@]}" || fail "mergecap"
dissect -r "$work/traces.pcapng" -T fields -e _ws.col.Protocol -e homa.incarnation -e _ws.expert.severity \
	-e _ws.malformed -e _ws.lua.text >"$work/fields" || fail "tshark: $(cat "$work/errors")"
traced=$(wc -l <"$work/fields")
# Expert information up to warnings (0x600000) is about losses.
awk -F '\t' '{ n = split($3, severity, ",") } { for (i = 1; i <= n; i++) if (severity[i] >= 8388608) bad = 1 }
	$1 != "Homa" || $2 == "" || $2 == "0x000000" || $4 != "" || $5 != "" || bad { print; exit 1 }' "$work/fields" ||
	fail "the frame above, of the simulator's"
[ "$traced" -gt 500 ] || fail "the simulator traced $traced frames"

echo "${#names[@]} captures, $(wc -l <"$work/info") frames: as stored, none malformed, nor any of $traced from the simulator"
