"""Splits a line of a profile, or a pushed option, into its words, by the stock client's rules."""

from micropython import const

_MAX_WORDS = const(16)
_MAX_WORD = const(256)

_START = const(0)
_PLAIN = const(1)
_DOUBLE = const(2)
_SINGLE = const(3)


def _space(octet):
    return octet == 32 or 9 <= octet <= 13 or octet == 0


def split_words(line):
    """The words (str) of a line of octets; [] for a blank line or a comment.

    OpenVPN manual, "Encapsulation of options with spaces": a word may stand in double quotes,
    where a backslash escapes, or in single quotes, where it does not; # and ; begin a comment
    where a word could begin. Words past the 16th are dropped, as stock does.
    Raises ValueError, which says what is wrong without quoting the line.
    """
    words = []
    word = bytearray()
    state = _START
    escaped = False
    for octet in line + b"\0":
        if octet == 92 and not escaped and state != _SINGLE:
            escaped = True
            continue
        taken = False
        done = False
        if state == _START:
            if not _space(octet):
                if octet in b"#;":
                    break
                if octet == 34 and not escaped:
                    state = _DOUBLE
                elif octet == 39 and not escaped:
                    state = _SINGLE
                else:
                    taken = True
                    state = _PLAIN
        elif state == _PLAIN:
            done = _space(octet) and not escaped
            taken = not done
        else:
            done = octet == (34 if state == _DOUBLE else 39) and not escaped
            taken = not done
        if taken:
            if octet == 0:
                break
            if escaped and not (octet == 92 or octet == 34 or _space(octet)):
                raise ValueError("a backslash escapes only a backslash, double quote or space")
            if len(word) == _MAX_WORD:
                raise ValueError("a word is longer than 256 octets")
            word.append(octet)
        elif done:
            words.append(_text(word))
            if len(words) == _MAX_WORDS:
                return words
            word = bytearray()
            state = _START
        escaped = False
    if state == _PLAIN:
        raise ValueError("it ends in a backslash")
    if state != _START:
        raise ValueError("a closing quote is missing")
    return words


def _text(word):
    try:
        return bytes(word).decode()
    except UnicodeError:
        raise ValueError("it is not UTF-8 text")
