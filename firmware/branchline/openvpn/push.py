"""The server's PUSH_REPLY, gathered from its parts; openvpn.pull applies it."""

from micropython import const

from branchline.wire.errors import BranchlineError, ProtocolError

_MAX_OPTIONS = const(512)
_MAX_OCTETS = const(32768)


class PushRejected(BranchlineError):
    """The server pushed what this client must not or cannot follow; args[0] says what and why.

    The tunnel is to be restarted, as for a failed connection.
    """


class PushReply:
    """Gathers the parts of one PUSH_REPLY (manual: push-continuation 2 means more will come)."""

    def __init__(self):
        self.options = []
        self._octets = 0

    def add(self, message):
        """Takes one "PUSH_REPLY,..." (bytes without the final NUL); True once it is complete.

        Raises ProtocolError if it is another message, or too long.
        """
        parts = bytes(message).split(b",")
        if parts[0] != b"PUSH_REPLY":
            raise ProtocolError("not a PUSH_REPLY")
        self._octets += len(message)
        options = [option for option in parts[1:] if option]
        more = b"push-continuation 2" in options
        options = [o for o in options if not o.startswith(b"push-continuation ")]
        if len(self.options) + len(options) > _MAX_OPTIONS or self._octets > _MAX_OCTETS:
            raise ProtocolError("too many pushed options")
        self.options += options
        return not more
