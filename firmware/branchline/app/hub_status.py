"""The part of a hub's status that tells of servers, clients and what is announced."""

from micropython import const

from branchline.babel.prefix import prefix_text
from branchline.wire.ticks import ticks_diff

_SHOWN = const(1024)  # clients


def hub_status(servers, announced, counters, now):
    """A dict of JSON values. servers: of hub.clients.Server; announced: key -> device; counters:
    those of the choice, and those of the arrivals."""
    clients = []
    for server in servers:
        for session in server.sessions.values():
            if len(clients) == _SHOWN:
                break
            clients.append(_client(server, session, announced, now))
    return {
        "servers": [_server(server) for server in servers],
        "clients": clients,
        "announced": [
            {"prefix": prefix_text(key), "device": device} for key, device in announced.items()
        ],
        "prefixes": counters[0].nonzero(),
        "arrivals": counters[1].nonzero(),
    }


def _server(server):
    return {
        "name": server.name,
        "device": server.device,
        "state": "up" if server.is_connected else "down",
        "problem": server.problem,
        "clients": len(server.sessions),
        "counters": server.counters.nonzero(),
    }


def _client(server, session, announced, now):
    mine = [key for key in session.prefixes if announced.get(key) == server.device]
    return {
        "name": session.name,
        "server": server.name,
        "from": session.real,
        "for_s": ticks_diff(now, session.since) // 1000,
        "prefixes": [prefix_text(key) for key in session.prefixes],
        "announced": [prefix_text(key) for key in mine] if session.ended is None else [],
        "note": session.note,
    }
