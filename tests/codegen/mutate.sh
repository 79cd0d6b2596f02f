#!/bin/bash
# Truncated and garbled requests, under ASan and UBSan: mutate.sh COUNT [SEED]
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/codegen/lib.sh
count=${1:?usage: mutate.sh COUNT [SEED]}
seed=${2:-1}
generated=$BUILD/plugin/google/protobuf
mkdir "$work/requests"

# A plugin that keeps its request, and answers that it supports proto3 optional. The request
# is for services only: protoc-gen-c is not what is tested here.
keep=$work/protoc-gen-keep
printf '#!/bin/sh\ncat >"$REQUEST"; printf "\\020\\001"\n' >"$keep" && chmod +x "$keep"
for file in tests/proto/codegen.proto examples/kv.proto; do
	REQUEST=$work/requests/$(basename "$file") protoc --plugin="$keep" --keep_out="$work" \
		--keep_opt=messages=false -Iidl -I"$(dirname "$file")" "$file" || fail "$file"
done

$CC -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -D_GNU_SOURCE -Icodegen -Irpc \
	-I"$BUILD/plugin" -o "$work/mutate" tests/codegen/mutate.c $(ls codegen/*.c | grep -v main.c) \
	"$generated/descriptor.pb-c.c" "$generated/compiler/plugin.pb-c.c" -lprotobuf-c ||
	fail 'does not build'
PATH=/nonexistent "$work/mutate" "$count" "$seed" "$work"/requests/* || fail "mutate $count $seed"
