"""Any octets as profile, pushed options or words end in a result or in the error that is meant."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from branchline.openvpn.directives import directive_names
from branchline.openvpn.key_file import parse_static_key, parse_tls_crypt_v2_client_key
from branchline.openvpn.profile import Profile
from branchline.openvpn.profile_parser import parse_profile
from branchline.openvpn.pull import Pull
from branchline.openvpn.push import PushRejected, PushReply
from branchline.openvpn.tokens import split_words
from branchline.wire.errors import ConfigError, ProtocolError

_NAMES = sorted(directive_names())
_CA = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
_KEY = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
_BASE = (
    b"client\ndev tun\nremote hub.example\n<ca>\n" + _CA + b"</ca>\n<cert>\n" + _CA
    + b"</cert>\n<key>\n" + _KEY + b"</key>\n"
)  # fmt: skip

_word = st.one_of(
    st.sampled_from(_NAMES),
    st.sampled_from(
        ["no", "yes", "1", "0", "-1", "99999999999", "10.8.0.1", "255.255.255.0", "fd00::1/64",
         "stub-v2", "subnet", "udp", "server", "name", "dir", "opt", "[inline]", "default", "''"]
    ),
    st.text(max_size=12),
)  # fmt: skip
_line = st.lists(_word, min_size=1, max_size=6).map(" ".join)
_block = st.tuples(st.sampled_from([*_NAMES, "connection"]), st.lists(_line, max_size=3)).map(
    lambda pair: "<{0}>\n{1}\n</{0}>".format(pair[0], "\n".join(pair[1]))
)
_lines = st.lists(st.one_of(_line, _block), max_size=12).map(lambda lines: "\n".join(lines))


def _no_file(name):
    raise OSError(2)


def _parse(data):
    try:
        profile = parse_profile("p.ovpn", data, _no_file)
    except ConfigError as error:
        assert error.where.startswith("p.ovpn") and error.reason
        return None
    assert profile.remotes and profile.ca and profile.dev_type in ("tun", "tap")
    return profile


@given(st.binary(max_size=600))
def test_any_octets(data):
    _parse(data)


@given(_lines.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_directives(data):
    _parse(data)


@given(_lines.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_directives_behind_a_good_profile(data):
    profile = _parse(_BASE + data)
    if profile:
        for remote in profile.remotes:
            assert profile.at(remote).options.addresses is not None


@given(st.binary(max_size=300))
def test_words_of_any_line(line):
    try:
        words = split_words(line)
    except ValueError:
        return
    assert len(words) <= 16 and all(len(word.encode()) <= 256 for word in words)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=10))
def test_quoted_words_come_back(words):
    words = [word.replace("\0", "") for word in words]
    quoted = [word.replace("\\", "\\\\").replace('"', '\\"') for word in words]
    assert split_words(" ".join(f'"{word}"' for word in quoted).encode()) == words


def _apply(options):
    profile = Profile()
    profile.dev_type = "tun"
    pull = Pull(profile)
    try:
        pull.apply(options)
    except PushRejected:
        return
    assert sum(pull.counters.nonzero().values()) <= len(options)


@given(st.lists(st.one_of(st.binary(max_size=60), _line.map(
    lambda text: text.encode("utf-8", "surrogatepass"))), max_size=12))  # fmt: skip
def test_any_pushed_options(options):
    _apply(options)


@given(st.lists(st.binary(max_size=120).map(lambda tail: b"PUSH_REPLY," + tail), max_size=4))
def test_any_push_reply(messages):
    reply = PushReply()
    for message in messages:
        try:
            reply.add(message)
        except ProtocolError:
            return
    _apply(reply.options)


@given(st.binary(max_size=700))
def test_static_keys_come_back_and_others_raise_value_error(key):
    text = b"-----BEGIN OpenVPN Static key V1-----\n%s\n-----END OpenVPN Static key V1-----\n"
    for body in (key.hex().encode(), key):
        try:
            assert len(parse_static_key(text % body)) == 256
        except ValueError:
            assert len(key) != 256 or body is key


@given(st.binary(max_size=1100))
def test_any_tls_crypt_v2_key(octets):
    name = b"OpenVPN tls-crypt-v2 client key"
    for body in (octets, base64.b64encode(octets)):
        try:
            key, wkc = parse_tls_crypt_v2_client_key(
                b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (name, body, name)
            )
        except ValueError:
            continue
        assert len(key) == 256 and int.from_bytes(wkc[-2:], "big") == len(wkc)
