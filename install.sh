#!/bin/sh
# Installs dist and distd on Linux: downloads the release archive for this machine, compares it with
# its SHA-256, and only then unpacks it. Needs no root, and curl or wget.
#
#   curl -fsSL https://github.com/dist-release/dist/releases/latest/download/install.sh | sh
#   curl -fsSL …/install.sh | sh -s -- --version 0.1.0 --prefix "$HOME/.local"
#
# Everything is inside of functions, so that a download of this script that was cut does nothing.
set -eu

project=https://github.com/dist-release/dist

usage() {
    cat <<EOT
Installs dist and distd.

  --version V     this version instead of the latest
  --from URL      a folder with the archives and their SHA256SUMS, such as a mirror
  --server URL    a dist server that offers the app "dist" on its channel "stable"
  --sha256 HEX    the archive's own SHA-256, known from elsewhere; nothing else is then believed
  --prefix DIR    where bin/ is [default: ~/.local]

The environment may say the same: DIST_INSTALL_VERSION, DIST_INSTALL_FROM, DIST_INSTALL_SERVER,
DIST_INSTALL_SHA256, DIST_INSTALL_PREFIX. Exit codes: 0 installed, 1 not installed, 2 usage.
EOT
}

refuse() {
    echo "install.sh: $1" >&2
    exit "${2:-1}"
}

# have PROGRAM: whether it can be run.
have() {
    command -v "$1" >/dev/null 2>&1
}

# download URL FILE HEADERS: the body and the headers of every answer on the way. A part is no file.
download() {
    if have curl; then
        curl -fsSL --retry 3 --dump-header "$3" --output "$2" -- "$1" && return
    elif have wget; then
        # The headers go to standard error; busybox says them too.
        wget -S -O "$2" -- "$1" 2>"$3" && return
    else
        refuse "curl or wget is needed: install one of them"
    fi
    refuse "$1 cannot be downloaded: check the address, and run again"
}

digest_of() {
    if have sha256sum; then
        sha256sum <"$1"
    elif have shasum; then
        shasum -a 256 <"$1"
    elif have openssl; then
        openssl dgst -sha256 -r <"$1"
    else
        refuse "sha256sum, shasum or openssl is needed to check the download: install one of them"
    fi | cut -c 1-64
}

# is_digest TEXT
is_digest() {
    printf '%s\n' "$1" | grep -Eq '^[0-9a-f]{64}$'
}

machine() {
    case $(uname -s)-$(uname -m) in
        Linux-x86_64 | Linux-amd64) echo x86_64 ;;
        Linux-aarch64 | Linux-arm64) echo aarch64 ;;
        *) refuse "there is no archive for $(uname -s) on $(uname -m): build dist from $project" ;;
    esac
}

# named_in SUMS ARCH VERSION: the one line of SHA256SUMS that is for this machine, as DIGEST NAME.
named_in() {
    lines=$(tr -d '\r' <"$1" | sed -nE "s/^([0-9a-f]{64}) [ *](dist-[A-Za-z0-9.+_~-]+-$2-linux\.tar\.gz)\$/\1 \2/p")
    if [ -n "$3" ]; then
        lines=$(printf '%s\n' "$lines" | grep -F " dist-$3-$2-linux.tar.gz") || lines=
    fi
    case $lines in
        "") refuse "SHA256SUMS names no archive ${3:+of version $3 }for $2" ;;
        *"
"*) refuse "SHA256SUMS names several archives for $2: choose one with --version" ;;
    esac
    printf '%s\n' "$lines"
}

# fetch: leaves the archive at $work/archive, and its expected digest in $expected.
fetch() {
    arch=$(machine)
    if [ -n "$server" ]; then
        address=${server%/}/latest/dist/stable/linux/$arch
        download "$address" "$work/archive" "$work/headers"
        expected=$(tr -d '\r' <"$work/headers" | sed -n 's/^ *[Xx]-[Cc]hecksum-[Ss][Hh][Aa]256: *//p' | tail -n 1)
        is_digest "$expected" || refuse "$address does not say its SHA-256: is it a dist server?"
    else
        folder=$project/releases/latest/download
        [ -z "$version" ] || folder=$project/releases/download/v$version
        folder=${from:-$folder}
        download "${folder%/}/SHA256SUMS" "$work/SHA256SUMS" "$work/headers"
        line=$(named_in "$work/SHA256SUMS" "$arch" "$version")
        expected=${line%% *}
        address=${folder%/}/${line#* }
        download "$address" "$work/archive" "$work/headers"
    fi
    expected=${sha256:-$expected}
}

check() {
    found=$(digest_of "$work/archive")
    [ "$found" = "$expected" ] && return
    refuse "$address is not what it should be, and was not unpacked
  expected SHA-256 $expected
  found            $found"
}

# Unpacks and tries the programs beside where they go, so that each appears whole or not at all.
unpack() {
    mkdir "$work/unpacked"
    tar -xzf "$work/archive" -C "$work/unpacked" || refuse "the archive cannot be unpacked"
    # They may be in a folder of their own.
    for unpacked in "$work/unpacked" "$work"/unpacked/*; do
        [ -f "$unpacked/dist" ] && [ -f "$unpacked/distd" ] && break
    done
    chmod 755 "$unpacked/dist" "$unpacked/distd" || refuse "the archive does not hold dist and distd"
    installed=$("$unpacked/dist" --version) || refuse "dist does not run on this machine"
    [ -z "$version" ] || [ "$installed" = "dist $version" ] || refuse "the archive has $installed, not dist $version"
    # distd may be another name of dist, which then has to be there first.
    mv -f "$unpacked/dist" "$bin/dist"
    mv -f "$unpacked/distd" "$bin/distd"
}

main() {
    version=${DIST_INSTALL_VERSION:-} from=${DIST_INSTALL_FROM:-} server=${DIST_INSTALL_SERVER:-}
    sha256=${DIST_INSTALL_SHA256:-} prefix=${DIST_INSTALL_PREFIX:-}
    while [ $# -gt 0 ]; do
        case $1 in
            --help) usage && exit ;;
            --version | --from | --server | --sha256 | --prefix)
                [ $# -ge 2 ] || refuse "$1 needs a value; see --help" 2 ;;
            *) refuse "$1 is not known; see --help" 2 ;;
        esac
        case $1 in
            --version) version=$2 ;;
            --from) from=$2 ;;
            --server) server=$2 ;;
            --sha256) sha256=$2 ;;
            --prefix) prefix=$2 ;;
        esac
        shift 2
    done
    # A tag's name is taken for its version.
    version=${version#v}
    [ -z "$from" ] || [ -z "$server" ] || refuse "--from and --server exclude each other" 2
    [ -z "$sha256" ] || is_digest "$sha256" || refuse "--sha256 is 64 hexadecimal digits in lower case" 2

    bin=${prefix:-${HOME:?names where to install; or give --prefix}/.local}/bin
    mkdir -p "$bin"
    work=$(mktemp -d "$bin/.dist-install.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    fetch
    check
    unpack
    echo "installed $installed to $bin"
    case :$PATH: in
        *:"$bin":*) ;;
        *) echo "put it on your PATH: export PATH=\"$bin:\$PATH\"" ;;
    esac
}

main "$@"
