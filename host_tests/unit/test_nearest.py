"""The nearest known word."""

from branchline.wire.nearest import distance, nearest


def test_distance_counts_edits():
    table = (
        ("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("abc", "abd", 1), ("abc", "acb", 1),
        ("tunels", "tunnels", 1), ("nmae", "name", 1), ("kitten", "sitting", 3), ("ca", "abc", 3),
    )  # fmt: skip
    for a, b, edits in table:
        assert distance(a, b) == edits, (a, b)
        assert distance(b, a) == edits, (b, a)


def test_nearest_word():
    known = ("name", "tunnels", "routing", "watchdog", "log")
    table = (
        ("tunels", "tunnels"), ("nmae", "name"), ("Routing", "routing"), ("logs", "log"),
        ("zzzzzzz", None), ("", None),
    )  # fmt: skip
    for word, expected in table:
        assert nearest(word, known) == expected, word
    assert nearest("x", ()) is None
