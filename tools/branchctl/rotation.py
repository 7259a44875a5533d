"""Keys in the course of being replaced: who uses which, so that nobody is ever shut out.

Babel's keys go through three phases, and whatever a phase has changed must be installed before
the next begins. Gateways and hubs' agents sign with all their keys and accept each; so does BIRD.
babeld knows only one key, which changes in place when all that speak with it know both.

    ""        everybody has one key
    "boards"  gateways, hubs' agents and BIRD have both keys, babeld has the old one
    "hubs"    babeld has the new one
"""

from branchctl.model import BABELD, Hub
from branchctl.record import Record

IDLE, BOARDS, HUBS = "", "boards", "hubs"


def board_keys(record: Record) -> list[str]:
    """The ids of the keys that gateways have."""
    return list(record.babel)


def hub_keys(record: Record, hub: Hub) -> list[str]:
    """The ids of the keys that a hub has."""
    if hub.babel != BABELD:
        return list(record.babel)
    return record.babel[-1:] if record.babel_phase == HUBS else record.babel[:1]


def advance_babel(record: Record) -> str:
    """Go to the next phase; returns it."""
    if record.babel_phase == IDLE:
        number = int(record.babel[-1].removeprefix("k")) + 1
        record.babel.append(f"k{number}")
        record.babel_phase = BOARDS
    elif record.babel_phase == BOARDS:
        record.babel_phase = HUBS
    else:
        record.babel = record.babel[-1:]
        record.babel_phase = IDLE
    return record.babel_phase
