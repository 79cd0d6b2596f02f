#!/bin/bash
# What the plugin makes of unusual files compiles without warnings as C11 and C++17, by gcc
# and by clang, and links into one program.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/codegen/lib.sh
mkdir -p "$work/in/shop/v1" "$work/in/common" "$work/out"

cat >"$work/in/common/a-b.proto" <<'P'
syntax = "proto2"; package common; import "protobuf-c/protobuf-c.proto";
option (pb_c_file) = { gen_pack_helpers: false gen_init_helpers: false const_strings: true };
option optimize_for = CODE_SIZE;
message Named {
  option (pb_c_msg).base_field_name = "parent";
  required int32 base = 1;
  optional string text = 2;
}
service Quiet { rpc Ask(Named) returns (Named); }
P
# Differs from the one above in its guard only by what stands for - and _.
cat >"$work/in/common/a_b.proto" <<'P'
syntax = "proto3"; package common.other; import public "common/a-b.proto";
message Empty {}
P
cat >"$work/in/shop/v1/shop.proto" <<'P'
syntax = "proto3"; package acme.shop.v1;
import "common/a_b.proto"; import "google/protobuf/any.proto"; import "google/protobuf/struct.proto";
service ShopService { rpc Take(common.Named) returns (google.protobuf.Any); }
service Shop { rpc Service(google.protobuf.Struct) returns (google.protobuf.ListValue); }
service shop_admin { rpc __(common.other.Empty) returns (common.other.Empty); }
P
echo 'syntax = "proto3";' >"$work/in/nothing.proto"
cat >"$work/in/unnamed.proto" <<'P'
syntax = "proto3";
message M { message M { message M {} } }
service int { rpc int(M.M.M) returns (M); rpc Struct(M) returns (M.M); }
P
cat >"$work/in/elsewhere.proto" <<'P'
syntax = "proto3"; package elsewhere;
import "protobuf-c/protobuf-c.proto"; import "common/a_b.proto";
option (pb_c_file) = { no_generate: true c_package: "Else.Where" };
service Borrowed { rpc Take(common.other.Empty) returns (common.Named); }
P
{
	printf 'syntax = "proto3"; package comments; message A {}\n'
	printf '// */ /* **/ //* ??/ ?\?/ \\\n// \\\n// \xe2\x80\xae \xff\xc3 \x01 \x7f\n'
	printf '/* in a block\n * with stars\n */\n'
	printf '/* leads *\\/ / */ service S { // trails *\\\n  /** / **\\\n ends with a backslash \\*/\n'
	printf '  rpc M(A) returns (A); // after\n  // last ??/\n}\n'
} >"$work/in/comments.proto"
# A request of some megabytes: more than any pipe holds, both ways.
{
	printf 'syntax = "proto3"; package large;\n'
	for i in {1..3000}; do
		printf '// Message %d has a comment, which is carried along in the request.\n' "$i"
		printf 'message M%d { int32 number = 1; string text = 2; bytes data = 3; }\n' "$i"
	done
	printf 'service S { rpc First(M1) returns (M3000); }\n'
} >"$work/in/large.proto"

(cd "$work/in" && find . -name '*.proto' | sed 's|^\./||' | sort) >"$work/files"
tern_protoc "$work/out" -I"$work/in" $(cat "$work/files") || fail 'protoc'
[ -e "$work/out/elsewhere.pb-c.h" ] && fail 'no_generate was ignored'
[ $(($(wc -c <"$work/out/large.pb-c.c") >> 20)) -ge 1 ] || fail 'large.proto is not large'
# Google's headers come from the library's build.
for type in any struct; do
	[ -e "$BUILD/include/google/protobuf/$type.pb-c.h" ] && continue
	mkdir -p "$work/include"
	protoc --c_out="$work/include" -I/usr/include google/protobuf/$type.proto || fail "$type.proto"
done
includes="-Irpc $includes -I$work/include -I$work/out"

# compile FILES...: as C, into objects that link.
compile() {
	local compiler file count=0
	for compiler in gcc clang; do
		for file in "$@"; do
			count=$((count + 1))
			$compiler -std=c11 $strict $includes -c -o "$work/$compiler$count.o" "$file" ||
				fail "$compiler $file"
		done
		ld -r -o "$work/all.o" "$work/$compiler"*.o || fail "$compiler: does not link"
	done
}
compile $(cd "$work/out" && find "$work/out" -name '*.c' | grep -v large)
gcc -std=c11 $strict $includes -fsyntax-only "$work/out/large.tern.c" || fail 'large'

# All headers in one C++ file, twice: guards are there, and are different.
(cd "$work/out" && find . -name '*.tern.h' | sort | sed 's|^\./\(.*\)|#include "\1"|') >"$work/one"
cat "$work/one" "$work/one" >"$work/all.cc"
for compiler in g++ clang++; do
	$compiler -std=c++17 $strict $includes -fsyntax-only "$work/all.cc" || fail "$compiler"
done

# Messages by other means: protoc-gen-c itself, whose stubs for services stand beside ours.
mkdir "$work/apart"
tern_protoc "$work/apart" --tern_opt=messages=false -Iexamples examples/kv.proto || fail 'messages=false'
[ -e "$work/apart/kv.pb-c.h" ] && fail 'messages=false was ignored'
protoc --c_out="$work/apart" -Iexamples -Iidl examples/kv.proto || fail '--c_out'
gcc -std=c11 $strict -Irpc -I"$work/apart" -fsyntax-only "$work/apart/kv.tern.c" || fail 'messages apart'

# A method marked deprecated says so to who calls it, but not to who serves it.
cat >"$work/in/old.proto" <<'P'
syntax = "proto3"; message Old {} service S { rpc M(Old) returns (Old) { option deprecated = true; } }
P
tern_protoc "$work/out" -I"$work/in" old.proto || fail 'old.proto'
for function in reply call start; do
	printf '#include "old.tern.h"\nvoid *use(void) { return (void *)s__m__%s; }\n' $function \
		>"$work/old.c"
	gcc -std=c11 -Wall -Werror $includes -fsyntax-only "$work/old.c" 2>"$work/old.log"
	[ $? = "$([ $function = reply ] && echo 0 || echo 1)" ] || fail "__$function: $(cat "$work/old.log")"
done

echo "$(wc -l <"$work/files") unusual files, gcc and clang, C11 and C++17"
