#!/bin/bash
# make install into a directory; then the greeter builds from what is installed, by
# pkg-config alone, and so does a .proto with well-known types and one with our options.
. "$(dirname "$0")/lib.sh"
root=$work/root
make --no-print-directory BUILD="$BUILD" install DESTDIR="$root" PREFIX=/usr >"$work/log" 2>&1 || fail "make install: $(tail "$work/log")"
pkg() { PKG_CONFIG_PATH=$root/usr/lib/pkgconfig pkg-config --define-variable=prefix="$root/usr" "$@" tern; }

PKG_CONFIG_PATH=$root/usr/lib/pkgconfig pkg-config --variable=prefix tern | grep -qx /usr || fail "tern.pc names another prefix"
[ "$(pkg --modversion)" = "$(sed -n 's/^#define TERN_VERSION "\(.*\)"/\1/p' rpc/tern.h)" ] || fail "tern.pc has another version"

export PATH=$root/usr/bin:$PATH
cat >"$work/when.proto" <<'PROTO'
syntax = "proto3";
package when;
import "google/protobuf/timestamp.proto";
import "tern/options.proto";
service Clock {
  rpc Now(google.protobuf.Timestamp) returns (google.protobuf.Timestamp) {
    option (tern.method) = { idempotent: true };
  }
}
PROTO
cp examples/greeter.proto "$work"
(cd "$work" && protoc --tern_out=. -I. -I"$(pkg --variable=idldir)" greeter.proto when.proto) || fail "protoc"
for compiler in gcc clang; do
	for name in greeter_server greeter_client; do
		# shellcheck disable=SC2046
		$compiler -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -I"$work" -o "$work/$name" examples/$name.c \
			"$work"/greeter.{tern,pb-c}.c $(pkg --cflags --libs) || fail "$compiler: $name"
	done
	# shellcheck disable=SC2046
	$compiler -std=c11 -pedantic -Wall -Wextra -Werror -c -o "$work/when.o" "$work/when.tern.c" $(pkg --cflags) ||
		fail "$compiler: when.tern.c"
done
printf '#include <tern.h>\n#include "greeter.tern.h"\n#include "when.tern.h"\nint main() { return tern_status_name(TERN_OK) == nullptr; }\n' \
	>"$work/main.cc"
# shellcheck disable=SC2046
g++ -std=c++17 -Wall -Wextra -Werror -I"$work" -o "$work/main" "$work/main.cc" $(pkg --cflags --libs) || fail "C++17"
export LD_LIBRARY_PATH=$root/usr/lib
"$work/main" || fail "the C++ program does not run"

pair_up
serve "$work/server" "$work/greeter_server" "homa://$B4:4000"
answer=$(in_a "$work/greeter_client" "homa://$B4:4000" installed) || fail "greeter_client"
[ "$answer" = "Hello, installed!" ] || fail "greeter_client says: $answer"
stop "$server" || fail "greeter_server ended with $?"
echo "built from the installed tree by gcc, clang and g++; it answers \"$answer\""
