"""Pings and the limits on silence (OpenVPN manual: ping, ping-restart, ping-exit, inactive)."""

from branchline.openvpn.ping import (
    EXIT_NOTICE,
    IDLE,
    INACTIVE,
    PING,
    PING_EXIT,
    PING_RESTART,
    SEND_PING,
    Keepalive,
)
from support import unhex


def test_the_magic_payloads():
    assert unhex("2a187bf3641eb4cb07ed2d0a981fc748") == PING
    assert unhex("287f346bd4ef7a812d56b8d3afc5459c 06") == EXIT_NOTICE


def _run(timers, ticks):
    keepalive = Keepalive(*timers)
    return [keepalive.tick(*tick) for tick in ticks]


def _silence(n):
    return [(1, 0, 0, 0)] * n


def test_each_timer():
    for name, timers, ticks, expected in (
        ("none", (0, 0, 0, 0, 0), _silence(100), [IDLE] * 100),
        ("ping", (3, 0, 0, 0, 0), _silence(7), [IDLE, IDLE, SEND_PING] * 2 + [IDLE]),
        ("ping-restart", (0, 3, 0, 0, 0), _silence(3), [IDLE, IDLE, PING_RESTART]),
        ("ping-exit", (0, 0, 3, 0, 0), _silence(3), [IDLE, IDLE, PING_EXIT]),
        ("inactive", (0, 0, 0, 3, 0), _silence(3), [IDLE, IDLE, INACTIVE]),
        ("seconds at once", (3, 0, 0, 0, 0), [(2, 0, 0, 0), (5, 0, 0, 0)], [IDLE, SEND_PING]),
        ("ping-restart before ping", (2, 2, 0, 0, 0), _silence(2), [IDLE, PING_RESTART]),
        ("ping-exit before ping-restart", (0, 2, 2, 0, 0), _silence(2), [IDLE, PING_EXIT]),
        (
            "sending puts ping off",
            (3, 0, 0, 0, 0),
            [(1, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (1, 1, 0, 0), (1, 1, 0, 0), (1, 1, 0, 0)],
            [IDLE] * 5 + [SEND_PING],
        ),
        (
            "only receiving puts ping-restart off",
            (0, 3, 0, 0, 0),
            [(1, 1, 0, 0), (1, 2, 1, 0), (1, 3, 1, 0), (1, 4, 1, 0), (1, 5, 1, 0)],
            [IDLE] * 4 + [PING_RESTART],
        ),
        (
            "any octet counts as activity",
            (0, 0, 0, 2, 0),
            [(1, 0, 0, 1), (1, 0, 0, 2), (1, 0, 0, 2), (1, 0, 0, 2)],
            [IDLE] * 3 + [INACTIVE],
        ),
        (
            "octets below the limit do not",
            (0, 0, 0, 2, 100),
            [(1, 1, 0, 50), (1, 2, 0, 99)],
            [IDLE, INACTIVE],
        ),
        (
            "as many octets as the limit do",
            (0, 0, 0, 2, 100),
            [(1, 1, 0, 50), (1, 2, 0, 100), (1, 2, 0, 100), (1, 2, 0, 100)],
            [IDLE, IDLE, IDLE, INACTIVE],
        ),
    ):
        assert _run(timers, ticks) == expected, name
