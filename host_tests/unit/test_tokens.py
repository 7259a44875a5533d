"""Words of a profile's line (OpenVPN manual, "Encapsulation of options with spaces")."""

from branchline.openvpn.tokens import split_words
from support import raises

_LINES = (
    (b"", []),
    (b" \t\r\n", []),
    (b"# comment", []),
    (b"  ; comment", []),
    (b"dev tun", ["dev", "tun"]),
    (b"\tdev\ttun \r\n", ["dev", "tun"]),
    (b"dev tun # comment", ["dev", "tun"]),
    (b"dev tun ;comment", ["dev", "tun"]),
    (b"dev tun#no comment", ["dev", "tun#no", "comment"]),
    (b'ca "my ca.crt"', ["ca", "my ca.crt"]),
    (b"ca 'my ca.crt'", ["ca", "my ca.crt"]),
    (b'setenv A ""', ["setenv", "A", ""]),
    (b'a "x"y', ["a", "x", "y"]),
    (b'a x"y z"', ["a", 'x"y', 'z"']),
    (b'a "it\'s"', ["a", "it's"]),
    (b"a 'say \"x\"'", ["a", 'say "x"']),
    (b'a "q\\"q"', ["a", 'q"q']),
    (b"a 'c:\\dir'", ["a", "c:\\dir"]),
    (b"a c:\\\\dir", ["a", "c:\\dir"]),
    (b"a my\\ ca.crt", ["a", "my ca.crt"]),
    (b'a "#1" "; 2"', ["a", "#1", "; 2"]),
    (b'a \\"x', ["a", '"x']),
    ("a zürich".encode(), ["a", "zürich"]),
    (b" ".join([b"w%d" % i for i in range(20)]), ["w%d" % i for i in range(16)]),
    (b"a " + b"x" * 256, ["a", "x" * 256]),
)

_BAD = (
    b'a "open', b"a 'open", b"a \\x", b"a c:\\dir", b"a x\\", b"a " + b"x" * 257, b"a \xff\xfe",
    b'a "open\\"', b"a \\'x'",
)  # fmt: skip


def test_words():
    for line, words in _LINES:
        assert split_words(line) == words, (line, split_words(line))


def test_bad_lines_raise_value_error_without_quoting_them():
    for line in _BAD:
        error = raises(ValueError, split_words, line)
        assert "dir" not in str(error) and "xx" not in str(error), line
