"""The present time, and whether it can be believed."""

import datetime

from branchctl.problems import Refusal

# Before this nobody can have run this program.
_EARLIEST = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
# Certificates are dated back, for boards whose clock is a little slow.
LEEWAY = datetime.timedelta(hours=1)


def now() -> datetime.datetime:
    """The time in UTC, in whole seconds."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def check(latest: datetime.datetime | None, what: str) -> None:
    """Raises Refusal if it is before the time at which something was certainly done."""
    present = now()
    if present < _EARLIEST or latest is not None and present < latest:
        known = f", but {what} was made at {latest:%Y-%m-%d %H:%M}" if latest else ""
        raise Refusal(f"this machine's clock says {present:%Y-%m-%d %H:%M} UTC{known}",
                      "set the clock; certificates would begin and end at wrong times")
