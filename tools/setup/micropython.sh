#!/bin/sh
# The MicroPython that runs the gateway on Linux, as .toolchain/bin/micropython:
# micropython.sh plan|install.
#
# A `micropython` on PATH is taken if it is new enough and was built with ffi and tls. Otherwise
# Debian 13's package is unpacked into .toolchain/, with the libraries it was built for, and runs
# from there on an older Debian as well.

. tools/setup/common.sh
. tools/setup/debian13.sh

ROOT=.toolchain/micropython
COMMAND=.toolchain/bin/micropython
STAMP=.toolchain/micropython-key
PACKAGES="micropython libffi8 libmbedtls21 libmbedcrypto16 libmbedx509-7"
# What Debian 13's programs are linked with; an older system needs that libc beside them.
LIBC=2.41
SELF_CHECK='
import sys
version = sys.implementation.version[:3]
if version < (1, 24, 0):
    raise SystemExit("version %d.%d.%d, not 1.24 or newer" % version)
import asyncio, ffi, tls
ffi.open("libc.so.6")
'

# works COMMAND: says nothing if COMMAND can run the gateway, else why it cannot.
works() {
    MICROPYPATH=.frozen "$1" -c "$SELF_CHECK" 2>&1
}

system_micropython() {
    found=$(command -v micropython) && works "$found" >/dev/null && echo "$found"
}

# The shell script that starts the unpacked program: through the dynamic loader that fits it,
# with its own libraries before the system's (which ffi opens).
wrapper() {
    set -- "$PWD/$ROOT"/usr/lib/*-linux-gnu*
    own=$1
    triplet=${own##*/}
    for loader in "$own"/ld-linux*.so.* "$PWD/$ROOT"/usr/lib*/ld-linux*.so.* \
        "/usr/lib/$triplet"/ld-linux*.so.* /lib*/ld-linux*.so.*; do
        [ ! -e "$loader" ] || break
    done
    cat <<END
#!/bin/sh
exec '$loader' --library-path '$own:/usr/lib/$triplet:/lib/$triplet' \\
    '$PWD/$ROOT/usr/bin/micropython' "\$@"
END
}

key=$(key_of tools/setup/common.sh tools/setup/debian13.sh tools/setup/micropython.sh)
case $1 in
plan)
    if has_key "$STAMP" "$key" && [ -z "$(works "$COMMAND")" ]; then
        exit
    elif found=$(system_micropython); then
        echo "in $COMMAND: a link to $found"
    else
        echo "in .toolchain/: MicroPython from Debian 13 ($PACKAGES)"
    fi
    ;;
install)
    mkdir -p .toolchain/bin
    rm -f "$STAMP" "$COMMAND"
    if found=$(system_micropython); then
        ln -s "$found" "$COMMAND"
    else
        libc=$(dpkg-query -W -f '${Version}' libc6)
        dpkg --compare-versions "$libc" ge "$LIBC" || PACKAGES="$PACKAGES libc6"
        # shellcheck disable=SC2086  # a list of words
        fetch "$ROOT" "$(dpkg --print-architecture)" $PACKAGES
        wrapper >"$COMMAND"
        chmod 755 "$COMMAND"
    fi
    reason=$(works "$COMMAND") || true
    [ -z "$reason" ] || die "$COMMAND cannot run the gateway: $reason"
    echo "$key" >"$STAMP"
    ;;
esac
