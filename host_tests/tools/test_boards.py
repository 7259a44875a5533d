"""boards/*/board.toml, and what `branchctl boards` says of them."""

import json

import pytest
from typer.testing import CliRunner

from branchctl import boards
from branchctl.cli import app
from branchctl.problems import Problems

_GOOD = """title = "A board"
hal = "lwip"
port = "rp2"
mcu = "RP2350"
flashing = "uf2"
"""


def _load(tmp_path, text: str):
    folder = tmp_path / "tried"
    folder.mkdir()
    (folder / boards.FILE).write_text(text)
    return boards.load(tmp_path)["tried"]


def test_the_boards_of_this_checkout_are_described_without_mistakes():
    known = boards.load()
    assert {"linux", "qemu_mps2"} <= set(known)
    assert [name for name, board in known.items() if board.is_linux] == ["linux"]


def test_what_has_no_image_claims_nothing():
    for board in boards.load().values():
        assert board.build or not (board.tested or board.abilities), board.name


@pytest.mark.parametrize("text, words", [
    (_GOOD + 'colour = "red"\n', ["colour", "unknown key"]),
    (_GOOD.replace('"lwip"', '"lwlp"'), ['"lwlp" is not known', "did you mean lwip?"]),
    (_GOOD.replace('port = "rp2"\n', ""), ["port", "is missing"]),
    (_GOOD + 'can = ["native"]\n', ["can", "without an image"]),
    (_GOOD + 'build = "make it"\ncan = ["fly"]\n', ["can[0]", '"fly" is not known']),
    (_GOOD + '[[tested]]\nwhat = "it"\nhow = "so"\n', ["tested", "without an image"]),
    (_GOOD + '[flash]\naddress = 0\nfilesystem_kb = 1\nblock = 4096\n', ["out of range"]),
    (_GOOD + "title\n", ["not TOML"]),
])
def test_mistakes_are_named(tmp_path, text, words):
    with pytest.raises(Problems) as caught:
        _load(tmp_path, text)
    said = str(caught.value.problems[0])
    assert all(word in said for word in words), said


def test_a_good_description_is_read(tmp_path):
    board = _load(tmp_path, _GOOD + '[[interfaces]]\nname = "eth0"\nkind = "Ethernet"\n')
    assert board.interfaces == {"eth0": "Ethernet"} and not board.is_linux


def test_boards_are_listed_with_what_was_tested():
    done = CliRunner().invoke(app, ["boards"])
    assert done.exit_code == 0
    for name, board in boards.load().items():
        assert name in done.stdout and board.title in done.stdout
        assert all(test.how in done.stdout for test in board.tested)


def test_one_board_is_shown_as_json():
    done = CliRunner().invoke(app, ["boards", "qemu_mps2", "--json"])
    assert json.loads(done.stdout)["qemu_mps2"]["hal"] == "lwip"


def test_an_unknown_board_is_refused_by_name():
    done = CliRunner().invoke(app, ["boards", "abacus", "--json"])
    assert done.exit_code == 2 and "abacus" in json.loads(done.stdout)["error"]
