#!/bin/sh
# Rebuilds everything in dist/ from the sources in this folder, and checks the result.
set -eu
cd "$(dirname "$0")"

# Installs nothing: says what is missing, and how Debian and Ubuntu install it.
packages=
need() {
    if ! command -v "$2" >/dev/null; then
        packages="$packages $1"
    fi
}
need aapt aapt
need apksigner apksigner
need clang clang
need libsmali-java smali
need lld ld.lld
need python3 python3
need zipalign zipalign
if [ ! -e /usr/share/android-framework-res/framework-res.apk ]; then
    packages="$packages android-framework-res"
fi
if [ -n "$packages" ]; then
    echo "build.sh: tools are missing. Run: apt-get install --no-install-recommends$packages" >&2
    exit 1
fi

mkdir -p dist
build() {
    version=$1
    build=$2
    android/build-apk.sh "$version" "$build" "dist/hello-$version.apk"
    ios/build-ipa.sh "$version" "$build" "dist/hello-$version.ipa"
    apksigner verify "dist/hello-$version.apk"
    zipalign -c 4 "dist/hello-$version.apk"
}
build 1.0.0 1
build 1.1.0 2

cd dist
sha256sum hello-*.apk hello-*.ipa | tee SHA256SUMS
