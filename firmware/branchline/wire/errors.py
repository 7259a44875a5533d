"""The exceptions of the firmware: one for each way of failing that somebody must tell apart."""


class BranchlineError(Exception):
    """The base of all the firmware's own exceptions."""


class ProtocolError(BranchlineError):
    """A peer sent octets that the protocol does not allow; the packet is dropped and counted."""


class StateError(BranchlineError):
    """A local caller asked for what the present state does not allow; nothing was changed."""


class TlsError(BranchlineError):
    """TLS failed: the handshake, the peer's certificate or its records; args[0] says why."""


class NameLearnt(TlsError):
    """The handshake was a probe that learnt the server's name; the next one can verify it."""


class Unsupported(BranchlineError):
    """A cipher, digest or facility that this interpreter or provider does not have."""


class ConfigError(BranchlineError):
    """A mistake in a file that the user wrote.

    where: what names the spot, such as "gateway.json: tunnels[0].profile" or
    "paris.ovpn:12: cipher"; reason: what is wrong; hint: what to do about it, or "".
    """

    def __init__(self, where, reason, hint=""):
        super().__init__(where, reason, hint)
        self.where = where
        self.reason = reason
        self.hint = hint

    def __str__(self):
        text = self.where + ": " + self.reason
        return text + " (" + self.hint + ")" if self.hint else text
