#!/bin/sh
# Installs this hub on a Debian machine, or upgrades what an earlier kit has installed:
#
#   ./install.sh                 on the hub itself, as root
#   ./install.sh --root DIR      into a folder; nothing is started, paths in files begin with DIR
#   ./install.sh --no-start      everything but starting
#   ./install.sh --interpreter FILE   what runs the hub's agent: MicroPython 1.24 or newer with
#                                ffi, or Python 3.11; by default Debian's, and kept once chosen
#
# Running it again changes nothing. Only what has changed is restarted.

set -eu
umask 077

say() {
    printf '%s\n' "$*"
}

die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

ROOT=
start=yes
chosen=
while [ $# -gt 0 ]; do
    case $1 in
    --root)
        [ $# -ge 2 ] && [ -d "$2" ] || die "--root needs a folder that exists"
        ROOT=$(cd "$2" && pwd)
        start=no
        shift
        ;;
    --no-start) start=no ;;
    --interpreter)
        [ $# -ge 2 ] || die "--interpreter needs a program"
        chosen=$2
        case $chosen in /*) ;; *) chosen=$PWD/$chosen ;; esac
        shift
        ;;
    *) die "unknown argument $1; the arguments stand at the top of this file" ;;
    esac
    shift
done
case $ROOT$chosen in *[!A-Za-z0-9/._-]*) die "--root or --interpreter: the name has a character
that is none of A-Z a-z 0-9 / . _ -" ;; esac
cd "$(dirname "$0")"

OURS=$ROOT/etc/branchline
FIRMWARE=usr/local/lib/branchline/firmware
AGENT_UNIT=etc/systemd/system/branchline-agent.service

# ---- before anything is changed ----

field() {  # field NAME FILE
    sed -n "s/^$1 //p" "$2"
}

paths=$(sed -n 's/^[0-9a-f]\{64\}  files\///p' MANIFEST 2>/dev/null) || paths=
[ -n "$paths" ] || die "this kit is incomplete: run branchctl provision again, then copy all of it"
sha256sum --check --quiet --strict MANIFEST >&2 ||
    die "files of this kit are damaged or from another run: copy the whole kit again"
if [ -f "$OURS/kit" ]; then
    for name in fleet network hub; do
        [ "$(field $name "$OURS/kit")" = "$(field $name files/etc/branchline/kit)" ] ||
            die "this machine is the hub $(field hub "$OURS/kit") of the network
$(field network "$OURS/kit"), and this kit is of another $name: use that hub's own kit, or remove
$OURS if the machine is to change"
    done
fi
[ "$(date +%s)" -ge "$(field made files/etc/branchline/kit)" ] ||
    die "this machine's clock is in the past ($(date -u)): set it, or certificates are refused"
[ -n "$ROOT" ] || [ "$(id -u)" -eq 0 ] || die "only root can install a hub"

# ---- what runs the agent ----

trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
tar -xf "files/$FIRMWARE.tar" -C "$trial"

runs() {  # runs PROGRAM: whether it is new enough, and loads the firmware
    [ -x "$1" ] && "$1" -c 'import sys
kind = sys.implementation.name
sys.exit(sys.implementation.version < ((1, 24) if kind == "micropython" else (3, 11)))' &&
        PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$trial/cpython "$1" "$trial/main.py" --help
} >/dev/null 2>&1

find_interpreter() {  # find_interpreter NAME...: the one used so far, or one of the system's
    former=$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$ROOT/$AGENT_UNIT" 2>/dev/null) || :
    if [ -n "$former" ] && runs "$former"; then
        echo "$former"
        return
    fi
    for name in "$@"; do
        for found in "/usr/local/bin/$name" "/usr/bin/$name"; do
            if runs "$found"; then
                echo "$found"
                return
            fi
        done
    done
    return 1
}

new_enough() {  # whether apt has a MicroPython that is
    candidate=$(apt-cache policy micropython 2>/dev/null | sed -n 's/^ *Candidate: //p')
    dpkg --compare-versions "${candidate:-0}" ge 1.24 2>/dev/null
}

if [ -n "$chosen" ]; then
    runs "$chosen" || die "$chosen cannot run the agent: it must be MicroPython 1.24 or newer, built
with ffi, or Python 3.11 or newer"
    [ -n "$ROOT" ] || case $chosen in /home/* | /root/* | /tmp/*) die "services do not see $chosen:
move it to /usr/local/bin, for example" ;; esac
fi

# ---- packages ----

babel=$(field babel files/etc/branchline/kit)
case $babel in bird) packages=bird2 ;; babeld) packages=babeld ;; *) packages= ;; esac

if [ -z "$ROOT" ]; then
    updated=no
    if [ -z "$chosen" ] && ! find_interpreter micropython >/dev/null; then
        # Debian 13 has one; its lists may not be there yet.
        new_enough || { apt-get -qq update && updated=yes; } || :
        if new_enough; then
            packages="$packages micropython"
        else
            packages="$packages python3"
        fi
    fi
    missing=
    for each in openvpn nftables iproute2 $packages; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' $each 2>/dev/null)" = installed ] ||
            missing="$missing $each"
    done
    if [ -n "$missing" ]; then
        say "installing with apt:$missing"
        # shellcheck disable=SC2086  # a list of words
        { [ $updated = yes ] || apt-get -qq update; } && DEBIAN_FRONTEND=noninteractive \
            apt-get -qq --no-install-recommends install $missing ||
            die "apt-get failed; its message is above"
        # The packages' own instances would run beside ours.
        case $missing in *$babel*) systemctl disable --quiet --now $babel 2>/dev/null || : ;; esac
    fi
    version=$(dpkg-query -W -f '${Version}' openvpn)
    dpkg --compare-versions "$version" ge 2.6 ||
        die "OpenVPN $version is too old: 2.6 or newer is needed (Debian 12 has it)"
fi
interpreter=${chosen:-$(find_interpreter micropython python3)} ||
    die "nothing here runs the hub's agent. Install Debian 13's package micropython, or python3
(3.11 or newer), or name another MicroPython 1.24, built with ffi, with --interpreter"
if [ "$("$interpreter" -c 'import sys; print(sys.implementation.name)')" = micropython ]; then
    command="$interpreter -X heapsize=8M"
else
    command=$interpreter
fi

# ---- files ----

mode_of() {
    case $1 in
    *.key | */babeld-keys.conf | */bird.conf | */gateway.json) echo 600 ;;
    *.tar) echo 644 ;;
    usr/*) echo 755 ;;
    *) echo 644 ;;
    esac
}

place() {  # place PATH: puts a file there if it differs, and notes that
    target=$ROOT/$1
    new=$target.branchline-new
    [ -d "${target%/*}" ] || (umask 022 && mkdir -p "${target%/*}")
    case $1 in
    *.tar) cat "files/$1" ;;
    *) sed "s|@ROOT@|$ROOT|g; s|@INTERPRETER@|$command|g" "files/$1" ;;
    esac >"$new"
    chmod "$(mode_of "$1")" "$new"
    if cmp -s "$new" "$target"; then
        chmod "$(mode_of "$1")" "$target"
        rm "$new"
    else
        say "  $1"
        echo "$1" >>"$OURS/pending"
        mv "$new" "$target"
    fi
}

unpack() {  # the firmware's archive beside it, replacing what was there
    folder=$ROOT/$FIRMWARE
    rm -rf "$folder.new"
    (umask 022 && mkdir "$folder.new" && tar -xf "$folder.tar" -C "$folder.new" --no-same-owner)
    rm -rf "$folder"
    mv "$folder.new" "$folder"
}

(umask 022 && mkdir -p "$OURS")
mkdir -p "$ROOT/run/branchline" "$ROOT/var/lib/branchline"
(umask 022 && mkdir -p "$ROOT/etc/openvpn/server") && mkdir -p "$ROOT/etc/openvpn/server/branchline"
chmod 700 "$ROOT/etc/openvpn/server/branchline"
# What an interrupted run has placed counts as installed and as changed.
touch "$OURS/installed" "$OURS/pending" "$OURS/units"
{ cat "$OURS/installed"; echo "$paths"; } | sort -u >"$OURS/installed.new"
mv "$OURS/installed.new" "$OURS/installed"
if [ "$start" = yes ]; then
    # While their unit files are still there.
    while read -r unit _; do
        grep -q "^$unit " units || systemctl disable --quiet --now "$unit" || :
    done <"$OURS/units"
fi
say "files that change:"
for path in $paths; do
    place "$path"
done
if [ ! -d "$ROOT/$FIRMWARE" ] || grep -qxF "$FIRMWARE.tar" "$OURS/pending"; then unpack; fi
while read -r path; do
    if ! printf '%s\n' "$paths" | grep -qxF "$path"; then
        say "  $path (removed)"
        rm -f "$ROOT/$path"
    fi
done <"$OURS/installed"

# ---- services ----

if [ "$start" = yes ]; then
    drain=$ROOT/usr/local/lib/branchline/hub-drain
    trap 'rm -rf "$trial"; "$drain" end' EXIT
    systemctl daemon-reload
    fresh=  # units that have taken up everything
    while read -r unit how needs; do
        changed=no
        for path in $needs; do
            if grep -qxF "$path" "$OURS/pending"; then changed=yes; fi
        done
        case $fresh in *" $unit "*) continue ;; esac
        systemctl enable --quiet "$unit"
        if ! systemctl is-active --quiet "$unit"; then
            say "starting $unit"
            systemctl start "$unit"
            fresh="$fresh $unit "
        elif [ $changed = yes ]; then
            say "$how: $unit, when nothing depends on it"
            "$drain" away "$unit"
            systemctl "$how" "$unit"
            "$drain" back "$unit"
            if [ "$how" = restart ]; then fresh="$fresh $unit "; fi
        fi
    done <units
fi
cat units >"$OURS/units"
printf '%s\n' "$paths" >"$OURS/installed"
rm -f "$OURS/pending"
say "the hub $(field hub "$OURS/kit") is installed${ROOT:+ in $ROOT}"
