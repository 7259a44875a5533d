#!/bin/sh
# The Debian packages that the lab, the tests and the bench run: packages.sh plan|install.

. tools/setup/common.sh

# The gateway opens libgnutls30 or libssl3 through ffi; the rest is what it is tested against.
PACKAGES="babeld bird2 iperf3 iproute2 iputils-ping libfaketime libgnutls30 libssl3 nftables
    openssh-server openvpn python3-venv"
# The parts "browser" and "cross" are this script by other names.
case $0 in
*browser.sh) PACKAGES=chromium ;;
*cross.sh) PACKAGES="dnsmasq-base gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm" ;;
esac
# Routing daemons that a system with systemd would start at every boot once they are installed.
SERVICES="babeld bird ssh"
POLICY=/usr/sbin/policy-rc.d

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing() {
    separator=
    for package in $PACKAGES; do
        # Debian 13 appended "t64" to the names of some libraries, and finds them by both.
        if ! is_installed "$package" && ! is_installed "${package}t64"; then
            printf '%s%s' "$separator" "$package"
            separator=' '
        fi
    done
}

# Starting nothing: invoke-rc.d and deb-systemd-invoke ask this file, and 101 means "not allowed".
forbid_services() {
    [ -e "$POLICY" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    trap 'rm -f "$POLICY"' EXIT
    trap 'exit 1' HUP INT TERM
}

disable_new_services() {
    command -v systemctl >/dev/null || return 0
    for service in $SERVICES; do
        case " $1 " in *" $service"*) systemctl --quiet disable "$service" || true ;; esac
    done
}

install_packages() {
    packages=$1
    export DEBIAN_FRONTEND=noninteractive
    forbid_services
    attempt apt-get -qq update >&2 || die "apt-get update failed; its message is above"
    # shellcheck disable=SC2086  # a list of words
    attempt apt-get -qq --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install $packages >&2 || die "apt-get install failed; its message is above"
    disable_new_services "$packages"
}

command -v dpkg-query >/dev/null || die "this is not a Debian system: install the counterparts of
  $PACKAGES yourself and run the single make targets that need no setup"

packages=$(missing)
case $1 in
plan)
    [ -z "$packages" ] || echo "with apt, on this system: $packages"
    ;;
install)
    is_root || die "these Debian packages are missing, and only root can install them:
  $packages
Run this as root, then the same make command again:
  apt-get install --no-install-recommends $packages"
    install_packages "$packages"
    ;;
esac
