"""The table of directives agrees with itself and with the code that acts on it."""

from branchline.openvpn import profile_handlers
from branchline.openvpn.directives import directive_names, find_directive, find_reason
from branchline.openvpn.options import TunnelOptions
from branchline.openvpn.profile import Profile


def test_every_name_is_found_once_with_sound_fields():
    names = list(directive_names())
    assert len(names) == len(set(names)) > 300
    for name in names:
        verdict, letter, least, most, flags = find_directive(name)
        assert verdict in "+-!" and least <= most, name
        assert all([flag in "prci" for flag in flags]), name
        if verdict == "+":
            assert letter in "fnobt" or letter in profile_handlers.GROUPS, name
        else:
            reason, hint = find_reason(letter)
            assert reason and bool(hint) == (verdict == "!"), name


def test_unknown_names_are_not_found():
    for name in ("", " ", "x", "tun", "+f00", "verb mute", "\n", "verb\n", "Verb"):
        assert find_directive(name) is None, name


def test_honoured_directives_have_what_keeps_them():
    profile, options = Profile(), TunnelOptions()
    for name in directive_names():
        verdict, letter, least, most, flags = find_directive(name)
        field = name.replace("-", "_")
        if verdict != "+":
            continue
        if letter in profile_handlers.GROUPS:
            continue
        if letter == "t":
            for count in range(18):
                words = [name] + ["1"] * count
                assert options.accepts(words, False) == (least <= count <= most), name
                assert options.accepts(words, True) == (
                    ("p" in flags or "r" in flags) and least <= count <= most
                ), name
            assert options.accepts([name] + ["1"] * least, True, True) == ("r" not in flags), name
        else:
            getattr(profile, field)


def test_push_only_options_are_refused_in_a_profile():
    for name in ("auth-token", "auth-token-user", "key-derivation", "peer-id", "protocol-flags"):
        assert find_directive(name)[:2] == ("!", "Y"), name
        assert not TunnelOptions().accepts([name, "1"], False)
        assert TunnelOptions().accepts([name, "1"], True)
