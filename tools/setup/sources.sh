#!/bin/sh
# The sources that images of microcontroller boards are built from, in .toolchain/sources:
# sources.sh plan|install. They are Debian's, as released upstream, without Debian's patches.

. tools/setup/common.sh
. tools/setup/debian13.sh

ROOT=.toolchain/sources
STAMP=.toolchain/sources-key
APT_HELPER=/usr/lib/apt/apt-helper

# fetch_source PATH SHA256 FOLDER: downloads a file of Debian's pool and unpacks it as FOLDER.
fetch_source() {
    file=$ROOT/${1##*/}
    mirror=$(debian_mirror)
    "$APT_HELPER" -qq -o APT::Sandbox::User="$(id -un)" download-file \
        "${mirror%/}/pool/main/$1" "$file" "SHA256:$2" >&2 ||
        die "the download of ${1##*/} failed; its message is above. If a newer release has taken its
place on the mirror, name the newer one, and its SHA-256, in tools/setup/sources.sh"
    mkdir -p "$ROOT/$3"
    tar -xf "$file" -C "$ROOT/$3" --strip-components 1
    rm "$file"
}

key=$(key_of tools/setup/common.sh tools/setup/sources.sh)
case $1 in
plan)
    has_key "$STAMP" "$key" || echo "in $ROOT: sources of MicroPython 1.26.1, mbedtls 3.6.6 and lwIP 2.2.1 (13 MB)"
    ;;
install)
    rm -rf "$STAMP" "$ROOT"
    mkdir -p "$ROOT"
    fetch_source m/micropython/micropython_1.26.1+ds.orig.tar.xz \
        f5ad2ec89d3e921f753d448955af98b6005655f84ba26087dde6ba0e8d062f34 micropython
    fetch_source m/mbedtls/mbedtls_3.6.6.orig.tar.bz2 \
        8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a micropython/lib/mbedtls
    fetch_source l/lwip/lwip_2.2.1+dfsg1.orig.tar.xz \
        83729c274c499d3348e9fbbe043a3113f3fa8953e7efddc7c21c7fcbb1f2b7b1 micropython/lib/lwip
    echo "$key" >"$STAMP"
    ;;
esac
