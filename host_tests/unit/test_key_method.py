"""Key method 2, peer info, and which data cipher both sides use."""

from branchline.openvpn.key_method import build_client, parse_server
from branchline.openvpn.ncp import agreed_cipher, printable, usable_ciphers
from branchline.openvpn.peer_info import options_string, peer_info
from branchline.wire.errors import ConfigError, ProtocolError, Unsupported
from openvpn_link import make_profile, make_provider
from support import raises

_RANDOM = bytes(range(64))
_OPTIONS = b"V4,dev-type tun"
_START = b"\0\0\0\0\2" + _RANDOM + b"\0\x10" + _OPTIONS + b"\0"


def test_the_clients_message():
    source = bytes(range(112))
    message = build_client(source, b"V4", b"anna", b"", b"IV_VER=2\n")
    assert message == (
        b"\0\0\0\0\2" + source + b"\0\3V4\0" + b"\0\5anna\0" + b"\0\0" + b"\0\x0aIV_VER=2\n\0"
    )


def test_the_servers_message_with_and_without_what_recent_ones_add():
    for extra in (b"", bytes(6), b"\0\3ab\0\0\0\0\5info\0"):
        message = _START + extra
        assert parse_server(message) == (_RANDOM, _OPTIONS, len(message))
        # Control messages may follow at once.
        assert parse_server(message + b"PUSH_REPLY\0") == (_RANDOM, _OPTIONS, len(message))


def test_the_servers_message_cut_short_at_every_octet():
    for n in range(len(_START)):
        assert parse_server(_START[:n]) is None, n


def test_another_key_method():
    for start in (b"\0\0\0\0\1", b"\0\0\0\1\2", b"AUTH_"):
        raises(ProtocolError, parse_server, start + _START[5:])


def test_peer_info():
    lines = peer_info(["A", "B"], False, 1500, [("UV_SITE", "lyon")]).decode().split("\n")
    assert lines.pop() == "" and lines[-1] == "UV_SITE=lyon"
    info = dict([line.split("=", 1) for line in lines])
    assert (info["IV_CIPHERS"], info["IV_MTU"], info["IV_NCP"]) == ("A:B", "1600", "2")
    # DATA_V2, push by itself, AUTH_PENDING, cc-exit, AUTH_FAILED,TEMP; export is bit 3.
    assert int(info["IV_PROTO"]) == 2 + 4 + 16 + 128 + 256
    assert b"IV_PROTO=414\n" in peer_info([], True, 1500, [])
    assert b"IV_MTU=9000\n" in peer_info([], True, 9000, [])


def test_the_options_string():
    profile = make_profile(auth="SHA256", data_ciphers_fallback="AES-256-CBC")
    for tcp, ipv6, proto in (
        (False, False, b"UDPv4"),
        (False, True, b"UDPv6"),
        (True, False, b"TCPv4_CLIENT"),
        (True, True, b"TCPv6_CLIENT"),
    ):
        options = options_string(profile, tcp, ipv6).split(b",")
        assert options[0] == b"V4" and b"proto " + proto in options
        for option in (b"cipher AES-256-CBC", b"auth SHA256", b"dev-type tun", b"tls-client"):
            assert option in options


def test_usable_ciphers():
    provider = make_provider()
    for names, fallback, usable in (
        (("AES-192-GCM", "AES-256-GCM", "AES-128-CBC"), None, ["AES-256-GCM", "AES-128-CBC"]),
        (("AES-192-GCM",), "AES-128-CBC", []),
    ):
        profile = make_profile(data_ciphers=names, data_ciphers_fallback=fallback)
        assert usable_ciphers(profile, provider) == usable
    raises(Unsupported, usable_ciphers, make_profile(data_ciphers=("BF-CBC",)), provider)


def test_the_agreed_cipher():
    for pushed, fallback, expected in (
        ("A", None, "A"),
        ("A", "F", "A"),
        ("F", "F", "F"),
        (None, "F", "F"),
        (None, None, "options name X?Y"),
        ("B", "F", "the server chose cipher B"),
        ("B", None, "the server chose cipher B"),
    ):
        profile = make_profile(data_ciphers_fallback=fallback)
        arguments = profile, ["A"], pushed, b"V4,cipher X\xffY,auth SHA1"
        if len(expected) == 1:
            assert agreed_cipher(*arguments) == expected
        else:
            assert expected in str(raises(ConfigError, agreed_cipher, *arguments))
    error = raises(ConfigError, agreed_cipher, make_profile(), ["A"], None, b"")
    assert "options name none" in str(error)


def test_text_for_the_log():
    assert printable(b"plain\n\x1b[1m\xff\0~") == "plain??[1m??~"
    assert printable(b"x" * 500) == "x" * 200
