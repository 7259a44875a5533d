"""branchctl's tables, whatever a gateway says or leaves out."""

import io
import json
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from branchctl.status import ApiError, fetch, tables

_text = st.one_of(st.none(), st.text(max_size=12))
_number = st.one_of(st.none(), st.integers(-1, 1 << 20), st.floats(0, 1e6))


def _some(**members):
    """Objects that hold any of these members."""
    return st.fixed_dictionaries({}, optional=members)


_tunnel = _some(
    name=_text, state=_text, engine=_text, remote=_text, cipher=_text,
    health=st.one_of(st.none(), _some(state=_text, rtt_ms=_number, jitter_ms=_number,
                                      loss=_number)),
    damping=st.one_of(st.none(), _some(penalty=_number, suppressed=st.booleans(),
                                       reuse_in_s=_number)),
)
_routing = _some(
    routes=st.lists(_some(prefix=_text, device=_text, via=_text, metric=_number), max_size=3),
    neighbours=st.lists(_some(device=_text, address=_text, rtt_ms=_number, cost=_number),
                        max_size=3),
)
_entry = _some(last=st.integers(0, 1 << 32), time=st.integers(0, 1 << 32), subject=_text,
               event=_text, reason=_text, count=_number)
_status = st.builds(
    lambda optional, tunnels: {**optional, "tunnels": tunnels},
    _some(name=_text, version=_text, uptime_s=st.integers(0, 1 << 31), safe_mode=st.booleans(),
          routing=st.one_of(st.none(), _routing), journal=st.lists(_entry, max_size=3)),
    st.lists(_tunnel, max_size=3),
)


def _shown(status: dict, **options) -> str:
    output = io.StringIO()
    Console(file=output, width=200, **options).print(tables(status))
    return output.getvalue()


@given(_status)
def test_every_status_is_shown(status):
    assert "Tunnels" in _shown(json.loads(json.dumps(status)))


@given(st.text())
def test_nothing_that_a_gateway_says_drives_the_terminal(text):
    status = {"name": text, "tunnels": [{"name": text}],
              "journal": [{"subject": text, "event": text, "reason": text}]}
    shown = _shown(status, color_system=None)
    assert all(char.isprintable() or char == "\n" for char in shown)


def test_markup_is_shown_as_it_is():
    assert "[red]x[/red]" in _shown({"tunnels": [{"name": "[red]x[/red]"}]})


@pytest.mark.parametrize("answer", [
    b"SSH-2.0-x\r\n", b"", b"HTTP/1.0 200 OK\r\n\r\n<html>", b"HTTP/1.0 200 OK\r\n\r\n[]",
    b"HTTP/1.0 302 Found\r\n\r\n", b"HTTP/1.0 500 x\r\n\r\n[1]",
])
def test_another_service_is_told_as_an_error(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(ApiError):
            fetch(f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()
