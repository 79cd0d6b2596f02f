#!/bin/bash
# Row F7: COUNT generated .proto files give C that compiles with -Wall -Wextra -Werror and
# headers that C++ takes. f7.sh COUNT [SEED]
#
# In batches: a file imports the one before it in its batch, one protoc runs for a batch,
# and a compiler takes a batch as a single file.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/codegen/lib.sh
count=${1:?usage: f7.sh COUNT [SEED]}
seed=${2:-1}
batch=50
$CC -O1 -Wall -Wextra -Werror -o "$work/f7" tests/codegen/f7.c || fail 'f7.c does not build'

# Google's headers come from the library's build.
mkdir -p "$work/include"
for type in empty any timestamp wrappers; do
	[ -e "$BUILD/include/google/protobuf/$type.pb-c.h" ] ||
		protoc --c_out="$work/include" -I/usr/include google/protobuf/$type.proto ||
		fail "$type.proto"
done
includes="-Irpc $includes -I$work/include"

# run_batch FIRST COUNT
run_batch() {
	local first=$1 dir=$work/$1 numbers compiler
	numbers=$(seq "$first" $(($1 + $2 - 1)))
	mkdir "$dir"
	"$work/f7" "$dir" "$first" "$2" $((seed * 1000003 + first)) || return 1
	if ! tern_protoc "$dir" -I"$dir" $(printf 'f%d.proto ' $numbers) 2>"$dir/log"; then
		cat "$dir/log"
		return 1
	fi
	printf '#include "f%d.pb-c.c"\n' $numbers >"$dir/all.c"
	printf '#include "f%d.tern.c"\n' $numbers >>"$dir/all.c"
	printf '#include "f%d.tern.h"\n' $numbers >"$dir/all.cc"
	for compiler in gcc clang; do
		$compiler -std=c11 $strict $includes -I"$dir" -fsyntax-only "$dir/all.c" || return 1
	done
	g++ -std=c++17 $strict $includes -I"$dir" -fsyntax-only "$dir/all.cc" || return 1
	rm -rf "$dir"
}

# One batch to a core. After a failure the others end before their directory goes.
next_batch() {
	wait -n && return
	wait
	fail "seed $seed"
}
for ((first = 1; first <= count; first += batch)); do
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		next_batch
	done
	run_batch $first $((count - first + 1 < batch ? count - first + 1 : batch)) &
done
while [ -n "$(jobs -p)" ]; do
	next_batch
done
echo "$count files, seed $seed"
