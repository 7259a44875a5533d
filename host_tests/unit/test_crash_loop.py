"""watchdog.crash_loop: three crashes in ten minutes, whatever the clock says."""

from branchline.watchdog.crash_loop import LIMIT_OF_ANY_AGE, CrashLoop

_T = 1700000000  # a clock that is set
_DAY = 86400
_TEN_MINUTES_MS = 600000


def _crashes(times, data=None):
    """Starts that each crash; returns (whether each was a safe one, the record)."""
    safe = []
    for time in times:
        loop = CrashLoop(data)
        safe.append(loop.starting(time))
        assert not loop.alive(_TEN_MINUTES_MS - 1)
        data = loop.data()
    return safe, data


_CASES = (
    ("three within ten minutes", (0, 100, 200, 300), (False, False, False, True)),
    ("the fourth goes on being safe", (0, 1, 2, 3, 4), (False, False, False, True, True)),
    ("the first is too old", (0, 300, 590, 601), (False, False, False, False)),
    ("just young enough", (0, 300, 590, 600), (False, False, False, True)),
    ("a crash a day", (0, _DAY, 2 * _DAY, 3 * _DAY), (False,) * 4),
    ("the clock goes back", (0, -_DAY, -_DAY + 60, -_DAY + 120), (False, False, False, True)),
    ("it goes back at each start", (0, -_DAY, -2 * _DAY, -3 * _DAY), (False, False, False, True)),
    ("it goes ahead once", (0, 60, _DAY, _DAY + 60, _DAY + 120, _DAY + 180),
     (False, False, False, False, False, True)),
    ("it goes ahead at each start", tuple([i * _DAY for i in range(7)]), (False,) * 6 + (True,)),
    ("a board begins in 1970", tuple([5 - _T] * 4), (False, False, False, True)),
    ("a board begins in 2000", tuple([946684805 - _T] * 4), (False, False, False, True)),
    ("and is set after two crashes", (5 - _T, 6 - _T, 60, 120), (False, False, False, True)),
)  # fmt: skip


def test_which_starts_are_safe():
    for name, offsets, expected in _CASES:
        safe, _ = _crashes([_T + offset for offset in offsets])
        assert tuple(safe) == expected, name


def test_nothing_lasts_for_ever():
    for name, offsets, _ in _CASES:
        _, data = _crashes([_T + offset for offset in offsets] * 3)
        for end in (
            lambda loop: loop.stopped(),
            lambda loop: loop.alive(_TEN_MINUTES_MS),
        ):
            loop = CrashLoop(data)
            loop.starting(_T)
            assert end(loop) is True and end(loop) is False, name
            assert loop.starts == 0
            safe, _ = _crashes([_T, _T, _T, _T], loop.data())
            assert safe == [False, False, False, True], name


def test_the_record_is_bounded():
    _, data = _crashes(range(_T, _T + 100))
    assert CrashLoop(data).starts == LIMIT_OF_ANY_AGE
    assert len(data) < 100


def test_a_record_that_is_none():
    for data in (
        None, b"", b"\0" * 30, b"garbage", b"{}", b"7", b"null", b'["a", null, -5, 1.5, [], true]',
        b"[" * 300, b"\xff", b"[1700000000",
    ):  # fmt: skip
        loop = CrashLoop(data)
        assert not loop.starting(_T), data
        assert CrashLoop(loop.data()).starts == loop.starts <= 2, data
