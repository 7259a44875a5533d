"""app.board_config: board.json read, and every mistake in it named."""

import os

from branchline.app import board_config
from branchline.app.settings import Lan
from branchline.wire.errors import ConfigError

_FOLDER = "board-config-test"
_LANS = [Lan("eth0.11", b"\xc0\xa8\x0b\x00", 24, False), Lan("eth0.12", bytes(16), 64, False)]


def _read(text):
    path = _FOLDER + "/board.json"
    os.mkdir(_FOLDER)
    try:
        if text is not None:
            with open(path, "w") as file:
                file.write(text)
        return board_config.read_board(_FOLDER, _LANS)
    finally:
        if text is not None:
            os.remove(path)
        os.rmdir(_FOLDER)


def test_without_a_file_the_wan_is_dhcps_and_a_lan_has_its_first_address():
    for text in (None, "{}"):
        board = _read(text)
        assert board.static is None
        assert board.lans == [("eth0.11", b"\xc0\xa8\x0b\x01", 24)]
        assert list(board.time_servers) == ["pool.ntp.org"]


def test_all_of_it_is_read():
    board = _read(
        '{"wan": {"address": "192.0.2.5/24", "gateway": "192.0.2.1", "dns": "192.0.2.2"},'
        ' "lans": {"eth0.11": "192.168.11.254"}, "time": ["a.example", "192.0.2.3"]}'
    )
    assert board.static == (b"\xc0\0\2\5", 24, b"\xc0\0\2\1", b"\xc0\0\2\2")
    assert board.lans == [("eth0.11", b"\xc0\xa8\x0b\xfe", 24)]
    assert board.time_servers == ["a.example", "192.0.2.3"]


def test_mistakes_are_named():
    wan = '{"wan": {"address": "%s", "gateway": "192.0.2.1", "dns": "192.0.2.2"}}'
    for text, where in (
        ("[]", "board.json"),
        ("{", "board.json: 1"),
        ('{"van": {}}', "board.json: van"),
        ('{"wan": {"address": "192.0.2.5/24"}}', "board.json: wan.gateway"),
        (wan % "192.0.2.5", "board.json: wan.address"),
        (wan % "192.0.2.5/33", "board.json: wan.address"),
        (wan % "192.0.2.x/24", "board.json: wan.address"),
        ('{"lans": {"eth9": "192.0.2.1"}}', "board.json: lans.eth9"),
        ('{"lans": {"eth0.11": "192.0.2.1"}}', "board.json: lans.eth0.11"),
        ('{"time": [7]}', "board.json: time[0]"),
        ('{"time": ["a", "b", "c", "d", "e"]}', "board.json: time"),
    ):
        try:
            _read(text)
        except ConfigError as error:
            assert error.where == where, (text, error.where)
        else:
            raise AssertionError(text)
