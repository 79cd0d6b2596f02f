# Shared by the scripts of this directory: a directory for the files of a run, and protoc
# with our plugin. Sourced from the repository's root.
BUILD=${BUILD:-build}
CC=${CC:-gcc}
plugin=$(realpath "$BUILD/protoc-gen-tern") || exit 1
includes="-I$BUILD/include"
strict="-Wall -Wextra -Werror -pedantic"
work=$(mktemp -d "${TMPDIR:-/tmp}/tern-codegen.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Runs protoc with the plugin: tern_protoc DIRECTORY ARGUMENTS...
tern_protoc() {
	protoc --plugin="$plugin" --tern_out="$1" -Iidl "${@:2}"
}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
