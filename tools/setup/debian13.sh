# Packages of Debian 13, unpacked into a folder of ours and run from there; the scripts that need
# them source this. The system's own packages and apt lists stay as they are.

SUITE=trixie
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that this machine takes Debian from.
debian_mirror() {
    codename=$(. /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_CODENAME:-}") || return 1
    apt-get indextargets --no-release-info --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' \
        'Created-By: Packages' |
        awk -v codename="$codename" '
            $1 ~ "^(" codename "|stable|testing|unstable|sid)$" && $2 == "main" { print $3; exit }'
}

# private_apt ARGUMENT...: apt-get with lists and a cache of its own, so that the system's stay.
private_apt() {
    apt-get -qq -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
        -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$apt/lists" -o Dir::State::status=/dev/null \
        -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)" "$@" >&2
}

# fetch FOLDER ARCHITECTURE PACKAGE...: downloads Debian 13's packages and unpacks them there.
fetch() {
    mirror=$(debian_mirror) && [ -n "$mirror" ] || die "this system's apt sources name no Debian
mirror to take MicroPython from; install MicroPython 1.24 or newer, built with ffi and tls, as
'micropython' on PATH, then run the same make command again"
    folder=$1
    architecture=$2
    shift 2
    apt=$PWD/.toolchain/apt
    rm -rf "$apt" "$folder"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$folder"
    echo "deb [signed-by=$KEYRING] $mirror $SUITE main" >"$apt/sources.list"
    attempt private_apt update || die "apt-get update for $SUITE failed; its message is above"
    (cd "$apt/debs" && attempt private_apt download "$@") ||
        die "the download of Debian's packages failed; its message is above"
    for deb in "$apt"/debs/*.deb; do
        dpkg -x "$deb" "$folder"
    done
    rm -rf "$apt"
}
