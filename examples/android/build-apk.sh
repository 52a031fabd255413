#!/bin/sh
# Builds and signs the example APK: build-apk.sh VERSION_NAME VERSION_CODE OUTPUT
# The same sources, key and tools give the same bytes.
set -eu

version_name=$1
version_code=$2
output=$3
here=$(cd "$(dirname "$0")" && pwd)
framework=/usr/share/android-framework-res/framework-res.apk
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

smali assemble --api 21 --output "$work/classes.dex" "$here/src"
aapt package -f --no-crunch -I "$framework" \
    -M "$here/AndroidManifest.xml" -S "$here/res" \
    --version-name "$version_name" --version-code "$version_code" \
    -F "$work/unaligned.apk"
(cd "$work" && aapt add unaligned.apk classes.dex >/dev/null)

# Alignment comes before signing: the v2 and v3 signatures cover the archive as it lies on disk.
zipalign -f 4 "$work/unaligned.apk" "$work/aligned.apk"
apksigner sign \
    --ks "$here/example-only.p12" --ks-pass pass:example-only \
    --v1-signing-enabled true --v2-signing-enabled true --v3-signing-enabled true \
    --v4-signing-enabled false \
    --out "$output" "$work/aligned.apk"
