#!/bin/bash
# The output for tests/proto/codegen.proto is, byte for byte, the stored one, whatever else
# is generated in the same run. After a change that is meant: golden.sh --update
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/codegen/lib.sh
golden=tests/codegen/golden
mkdir "$work/alone" "$work/together"
tern_protoc "$work/alone" -Itests/proto tests/proto/codegen.proto || exit 1
tern_protoc "$work/together" -Itests/proto -Iexamples examples/kv.proto tests/proto/codegen.proto \
	tests/proto/codegen_types.proto || exit 1

for file in codegen.tern.h codegen.tern.c; do
	cmp "$work/alone/$file" "$work/together/$file" || fail "$file depends on what else is generated"
	[ "${1:-}" = --update ] && cp "$work/alone/$file" $golden/$file.txt
	diff -u $golden/$file.txt "$work/alone/$file" || fail "$file differs from the stored one"
done
echo "codegen.tern.[ch] are as stored"
