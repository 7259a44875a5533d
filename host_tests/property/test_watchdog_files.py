"""The store on a disk that fails at random, and the journal and the crash record of any octets."""

from hypothesis import given
from hypothesis import strategies as st

from branchline.hal.store import Store
from branchline.watchdog.crash_loop import LIMIT_OF_ANY_AGE, CrashLoop
from branchline.watchdog.journal import GENERATION, LIMIT, MAX_REASON, MAX_WORD, Journal
from fake_disk import FakeDisk, PowerCut

_FILE_LIMIT = 64
_CONTENT = st.binary(min_size=1, max_size=40)
_OPERATIONS = st.lists(
    st.tuples(st.sampled_from(("write", "append", "read")), st.sampled_from("ab"), _CONTENT),
    max_size=12,
)


@given(_OPERATIONS, st.dictionaries(st.integers(0, 80), st.sampled_from((5, 13, 28, 30, 99))))
def test_failures_are_told_and_mix_nothing(operations, failing):
    disk = FakeDisk(lambda n: failing.get(n, 0))
    store = Store("state", disk)
    possible = {"a": {None}, "b": {None}}
    for operation, name, content in operations:
        if operation == "write":
            if store.write(name, content):
                possible[name] = {content}
            else:
                possible[name].add(content)
                assert store.problem
        elif operation == "append":
            assert store.append("log", content, _FILE_LIMIT) or store.problem
        else:
            found = store.read(name)
            assert found in possible[name] or (found is None and store.problem)
    files = disk.files()
    for name, contents in possible.items():
        assert files.get("state/" + name) in contents
    for name in ("state/log", "state/log.old"):
        assert len(files.get(name, b"")) <= _FILE_LIMIT


@given(_OPERATIONS, st.integers(0, 100))
def test_after_a_power_cut_every_file_is_whole(operations, moment):
    def fails(n):
        if n == moment:
            raise PowerCut
        return 0

    disk = FakeDisk(fails)
    store = Store("state", disk)
    certain, possible = {}, {}
    try:
        for operation, name, content in operations:
            if operation == "write":
                possible[name] = content
                assert store.write(name, content)
                certain[name] = possible.pop(name)
    except PowerCut:
        pass
    for left in disk.after_power_cut():
        for name in "ab":
            found = Store("state", left).read(name)
            assert found in (certain.get(name), possible.get(name, certain.get(name)))


_LINES = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from((b'[1, "s", "e", "r", 1]', b"[1, 2]", b"[" * 600, b"\0" * 20)),
        st.tuples(st.integers(), st.text(max_size=5)).map(
            lambda pair: ('[%d, "s", "e", "%s", 1]' % pair).encode("utf-8", "surrogatepass")
        ),
    ),
    max_size=20,
).map(b"\n".join)


@given(_LINES, _LINES)
def test_a_journal_of_any_octets(older, present):
    journal = Journal(0)
    journal.load(older)
    journal.load(present)
    journal.note(1, "later", "event", "reason")
    data = journal.pending(0)
    for entry in journal.tail(LIMIT):
        assert len(entry.reason) <= MAX_REASON and entry.reason.isascii()
        assert len(entry.subject) <= MAX_WORD and len(entry.event) <= MAX_WORD
    again = Journal(0)
    again.load(older)
    again.load(present + data)
    assert [entry.status() for entry in again.tail(LIMIT)] == [
        entry.status() for entry in journal.tail(LIMIT)
    ]


_NOTES = st.tuples(st.text(max_size=200), st.text(max_size=50), st.booleans())


@given(st.lists(_NOTES, max_size=60))
def test_any_text_can_be_noted_and_is_read_again(notes):
    journal = Journal(0)
    data = b""
    for number, (reason, subject, write) in enumerate(notes):
        journal.note(number, subject, "event", reason)
        if write:
            data += journal.pending(0, True)
            journal.written(True)
    while journal.dirty:
        data += journal.pending(0, True)
        journal.written(True)
    again = Journal(0)
    again.load(data)
    assert again.garbage == 0
    if len(data) < GENERATION:
        assert [(entry.last, entry.reason, entry.count) for entry in again.tail(LIMIT)] == [
            (entry.last, entry.reason, entry.count) for entry in journal.tail(LIMIT)
        ]


@given(st.binary(max_size=300) | st.lists(st.integers()).map(lambda starts: str(starts).encode()))
def test_a_crash_record_of_any_octets(data):
    loop = CrashLoop(data)
    loop.starting(1700000000)
    assert 1 <= loop.starts <= LIMIT_OF_ANY_AGE
    assert loop.stopped() and not CrashLoop(loop.data()).starting(1700000000)
