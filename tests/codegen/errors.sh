#!/bin/bash
# What the plugin refuses, and whether it says where and why. Each case is a .proto that
# must fail, with every line of what is expected found in what protoc prints.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/codegen/lib.sh
cases=0

# expect WHAT OPTIONS... : the .proto is stdin up to a line ---, then the expected lines.
expect() {
	local what=$1 input expected output line
	shift
	input=$(cat)
	expected=${input#*$'\n---\n'}
	printf '%s\n' "${input%%$'\n---\n'*}" >"$work/x.proto"
	rm -rf "$work/out" && mkdir "$work/out"
	output=$(tern_protoc "$work/out" -I"$work" "$@" "$work/x.proto" 2>&1) && fail "$what: was accepted"
	while IFS= read -r line; do
		case $output in *"$line"*) ;; *) fail "$what: expected '$line' in: $output" ;; esac
	done <<<"$expected"
	[ -z "$(ls "$work/out")" ] || fail "$what: files were written"
	cases=$((cases + 1))
}

expect 'streams' <<'P'
syntax = "proto3"; package p; message A {}
service S {
  rpc Up(stream A) returns (A);
  rpc Down(A) returns (stream A);
  rpc Both(stream A) returns (stream A);
}
---
x.proto:3:10: method /p.S/Up: streaming is not supported yet: take 'stream' from the request
x.proto:4:24: method /p.S/Down: streaming is not supported yet: take 'stream' from the reply
x.proto:5:12: method /p.S/Both: streaming is not supported yet: take 'stream' from the request and the reply
P

expect 'methods that differ in case' <<'P'
syntax = "proto3"; package p; message A {}
service S {
  rpc Foo(A) returns (A);
  rpc foo(A) returns (A);
}
---
x.proto:4:3: method /p.S/foo and method /p.S/Foo (x.proto:3:3) would both be
P

expect 'methods that differ in underscores' <<'P'
syntax = "proto3"; package p; message A {}
service S {
  rpc GetItem(A) returns (A);
  rpc get_item(A) returns (A);
}
---
x.proto:4:3: method /p.S/get_item and method /p.S/GetItem (x.proto:3:3) would both be
P

expect 'keyword and its replacement' <<'P'
syntax = "proto3"; package p; message A {}
service S {
  rpc int(A) returns (A);
  rpc Int_(A) returns (A);
}
---
x.proto:4:3: method /p.S/Int_ and method /p.S/int (x.proto:3:3) would both be 'P__S__Server.int_'
P

expect 'services that differ in case' <<'P'
syntax = "proto3"; package p; message A {}
service Store { rpc Get(A) returns (A); }
service store {}
---
x.proto:3:1: service p.store and service p.Store (x.proto:2:1) would both be
P

expect 'methods of two services' <<'P'
syntax = "proto3"; package p; message A {}
service S { rpc a__b(A) returns (A); }
service S__a { rpc b(A) returns (A); }
---
x.proto:3:16: method /p.S__a/b and method /p.S/a__b (x.proto:2:13) would both be 'p__s__a__b__
P

expect 'messages that differ in underscores' <<'P'
syntax = "proto3"; package p;
message FooBar {}
message Foo_Bar {}
---
x.proto:3:1: message p.Foo_Bar and message p.FooBar (x.proto:2:1) would both be 'P__FooBar' in C: rename one
P

expect 'nested enum and message of another level' <<'P'
syntax = "proto3"; package p;
message A { enum B { ZERO = 0; } }
message a { message b {} }
---
and enum p.A.B (x.proto:2:13) would both be
P

mkdir -p "$work/q"
cat >"$work/q/q.proto" <<'P'
syntax = "proto3"; package p.s; message Server {}
P
expect 'message of another file where a handler table goes' <<'P'
syntax = "proto3"; package p;
import "q/q.proto";
service S { rpc M(s.Server) returns (s.Server); }
---
x.proto:3:1: service p.S and message p.s.Server (q/q.proto:1:33) would both be 'P__S__Server' in C: rename one
P

expect 'inline and blocking' <<'P'
syntax = "proto3"; import "tern/options.proto"; message A {}
service S {
  rpc M(A) returns (A) { option (tern.method) = { inline: true blocking: true }; }
}
---
x.proto:3:3: method /S/M: inline and blocking exclude each other
P

expect 'priority' <<'P'
syntax = "proto3"; import "tern/options.proto"; message A {}
service S {
  rpc M(A) returns (A) { option (tern.method).priority = 8; }
}
---
x.proto:3:3: method /S/M: priority 8: at most 7
P

expect 'option of the wrong type' <<'P'
syntax = "proto3"; import "tern/options.proto"; message A {}
service S { rpc M(A) returns (A) { option (tern.method).inline = 3; } }
---
Value must be identifier for boolean option "tern.MethodOptions.inline"
P

expect 'c_package' <<'P'
syntax = "proto3"; import "protobuf-c/protobuf-c.proto"; option (pb_c_file).c_package = "a-b"; message A {}
---
x.proto: (pb_c_file).c_package = "a-b" is no package name
P

expect 'message without C type' <<'P'
syntax = "proto3"; import "protobuf-c/protobuf-c.proto"; option (pb_c_file).no_generate = true;
message A {}
service S { rpc M(A) returns (A); }
---
x.proto:3:13: method /S/M: message A has no C type: x.proto says (pb_c_file).no_generate
P

expect 'method named like our registration, beside the stubs of protobuf-c' --tern_opt=messages=false <<'P'
syntax = "proto3"; package p; message A {}
service S { rpc Register(A) returns (A); }
---
x.proto:2:13: method /p.S/Register and service p.S (x.proto:2:1) would both be 'p__s__register'
P

expect 'parameter' --tern_opt=mesages=false <<'P'
syntax = "proto3"; message A {}
---
--tern_out: parameter 'mesages=false' is not known: there are protoc_gen_c=PROGRAM and messages=true|false
P

expect 'missing protoc-gen-c' --tern_opt=protoc_gen_c=/nonexistent/protoc-gen-c <<'P'
syntax = "proto3"; message A {}
---
--tern_out: cannot run /nonexistent/protoc-gen-c, which generates the messages: No such file or directory
protobuf-c-compiler
P

expect 'protoc-gen-c that fails' --tern_opt=protoc_gen_c=false <<'P'
syntax = "proto3"; message A {}
---
--tern_out: false failed with exit code 1
P

expect 'protoc-gen-c that answers nonsense' --tern_opt=protoc_gen_c=ls <<'P'
syntax = "proto3"; message A {}
---
--tern_out: ls: its answer is no CodeGeneratorResponse
P

printf '#!/bin/sh\nkill -SEGV $$\n' >"$work/crash" && chmod +x "$work/crash"
expect 'protoc-gen-c that crashes' --tern_opt=protoc_gen_c="$work/crash" <<'P'
syntax = "proto3"; message A {}
---
was ended by signal 11
P

expect 'hashes' <<'P'
syntax = "proto3"; package tern.test.clash; message A {}
service Hash {
  rpc mstmxvovjra5ih(A) returns (A);
  rpc m7nyo5b6lwysmb(A) returns (A);
}
---
x.proto:4:3: methods /tern.test.clash.Hash/m7nyo5b6lwysmb and /tern.test.clash.Hash/mstmxvovjra5ih
(x.proto:3:3) have the same hash
have the same hash 5e494730c6b1de9e, which names a method on the wire: rename one
P

# More errors than are printed are counted.
expect 'many errors' < <(
	echo 'syntax = "proto3"; message A {} service S {'
	for i in {1..30}; do echo "rpc M$i(stream A) returns (A);"; done
	printf '}\n---\n(10 more)\n'
)

# Without a request the plugin says what it is.
for input in '' garbage $'\x0a\xff\xff'; do
	output=$(printf '%s' "$input" | "$plugin" 2>&1)
	[ $? = 1 ] || fail "input '$input': exit code is not 1"
	case $output in *"no CodeGeneratorRequest"*) ;; *) fail "input '$input': $output" ;; esac
	cases=$((cases + 1))
done

echo "$cases refusals, each with its reason"
