#!/bin/sh
# Builds the example IPA, unsigned: build-ipa.sh VERSION BUILD OUTPUT
# The same sources and tools give the same bytes.
set -eu

version=$1
build=$2
output=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The .tbd files name what the program takes from Apple's libraries, so no Apple SDK is needed.
clang --target=arm64-apple-ios14.0 -fuse-ld=lld -nostdlib -Os -Wall -Werror \
    -o "$work/Hello" "$here/main.c" "$here/sdk/UIKit.tbd" "$here/sdk/libSystem.tbd"
python3 "$here/bundle.py" "$version" "$build" "$work/Hello" "$output"
