"""state.json: what was allocated and issued, which must never change by itself."""

import dataclasses
import json
import uuid

_FORMAT = 1


@dataclasses.dataclass
class Issued:
    """A certificate: of whom, what for ("server", "client", "mesh"), until when (ISO 8601)."""

    name: str
    kind: str
    serial: str  # hexadecimal
    until: str


@dataclasses.dataclass
class Revoked(Issued):
    """A certificate that is refused since `at`."""

    at: str = ""


@dataclasses.dataclass
class Record:
    """The contents of state.json. All names stay here, those of former members, too."""

    fleet: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex[:12])
    network: str = ""
    addresses: dict[str, str] = dataclasses.field(default_factory=dict)
    numbers: dict[str, int] = dataclasses.field(default_factory=dict)  # of branches, in tunnels
    hubs: dict[str, int] = dataclasses.field(default_factory=dict)
    mesh: dict[str, int] = dataclasses.field(default_factory=dict)  # "dublin paris" -> link
    issued: list[Issued] = dataclasses.field(default_factory=list)
    revoked: list[Revoked] = dataclasses.field(default_factory=list)
    blocked: list[str] = dataclasses.field(default_factory=list)  # revoked, nothing new issued
    babel: list[str] = dataclasses.field(default_factory=lambda: ["k1"])  # key ids, old to new
    babel_phase: str = ""  # of a rotation: see rotation.py
    server_keys: dict[str, int] = dataclasses.field(default_factory=dict)  # tls-crypt-v2, by hub
    client_keys: dict[str, int] = dataclasses.field(default_factory=dict)  # by member

    def to_json(self) -> bytes:
        value = {"format": _FORMAT, **dataclasses.asdict(self)}
        return (json.dumps(value, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Record":
        """Raises ValueError, with the reason, for anything else than to_json() wrote."""
        value = json.loads(data)
        if not isinstance(value, dict) or "format" not in value:
            raise ValueError("it is not branchctl's")
        if value.pop("format") != _FORMAT:
            raise ValueError("a newer branchctl wrote it")
        try:
            record = cls(**value)
            record.issued = [Issued(**each) for each in record.issued]
            record.revoked = [Revoked(**each) for each in record.revoked]
        except TypeError:
            raise ValueError("it lacks parts, or has others than this branchctl knows") from None
        fields = {each.name: each for each in dataclasses.fields(cls)}
        for name, field in fields.items():
            default = field.default_factory() if callable(field.default_factory) else ""
            if type(getattr(record, name)) is not type(default):
                raise ValueError(f"{name} is of a wrong kind")
        return record

    def pair(self, a: str, b: str) -> str:
        """The name of the link between two hubs: the one that listens, the one that connects."""
        return " ".join(sorted((a, b), key=lambda name: self.hubs[name]))
