"""What the client tells of itself: the peer info and the options string."""

from micropython import const

from branchline import __version__

# IV_PROTO bits (openvpn 2.6, ssl.h): DATA_V2, server pushes by itself, AUTH_PENDING keywords,
# EXIT as a control message, AUTH_FAILED,TEMP.
_PROTO_BASE = const(1 << 1 | 1 << 2 | 1 << 4 | 1 << 7 | 1 << 8)
_PROTO_KEY_EXPORT = const(1 << 3)


def peer_info(ciphers, can_export, tun_mtu, extra):
    """The IV_ and UV_ lines as bytes. extra: (name, value) pairs of the profile."""
    proto = _PROTO_BASE | (_PROTO_KEY_EXPORT if can_export else 0)
    lines = [
        # Scripts on servers parse this as the version of the protocol that a client speaks.
        "IV_VER=2.6.0",
        "IV_PLAT=linux",
        "IV_TCPNL=1",
        "IV_MTU=" + str(max(1600, tun_mtu)),
        "IV_PROTO=" + str(proto),
        "IV_LZO_STUB=1",
        "IV_COMP_STUB=1",
        "IV_COMP_STUBv2=1",
        "IV_GUI_VER=Branchline_" + __version__,
    ]
    # Without pull there is nobody to push the choice: both sides keep to their fallback.
    if ciphers:
        lines += ["IV_NCP=2", "IV_CIPHERS=" + ":".join(ciphers)]
    lines += [name + "=" + value for name, value in extra]
    return ("\n".join(lines) + "\n").encode()


def options_string(profile, tcp, ipv6):
    """The options that both sides compare for their logs, as bytes ("V4,dev-type tun,...")."""
    proto = ("TCPv6_CLIENT" if ipv6 else "TCPv4_CLIENT") if tcp else "UDPv6" if ipv6 else "UDPv4"
    text = "V4,dev-type " + profile.dev_type + ",tun-mtu " + str(profile.tun_mtu)
    text += ",proto " + proto
    if profile.data_ciphers_fallback:
        text += ",cipher " + profile.data_ciphers_fallback
    if profile.compress:
        # That there is a compression context: by it servers with `compress migrate` know.
        text += ",comp-lzo"
    return (text + ",auth " + profile.auth + ",key-method 2,tls-client").encode()
