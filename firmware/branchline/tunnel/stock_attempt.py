"""What is known of one attempt of a stock OpenVPN process, from its own words."""

from branchline.tunnel.stock_link import DeviceNews
from branchline.tunnel.stock_reasons import explain
from branchline.tunnel.stock_words import read_cipher, read_log, read_password, read_state

_LEAVING = ("RECONNECTING", "EXITING")


class Attempt:
    """`link`: the tunnel.engine.Link once it is up; `news`: what its device was given; `query`:
    the RemoteQuery that leads to its remote; `base`: the octets counted before it began."""

    def __init__(self, base=(0, 0)):
        self.base = base
        self.link = None
        self.query = None
        self.news = DeviceNews()
        self.fatal = ""  # its last message
        self.refusal = ""  # why the server refused the credentials
        self._cause = ""  # as of STATE
        self._given_up = False
        self._warning = ""  # the latest
        self._ciphers = {}

    def log(self, text):
        """Takes a LOG; (level, message) for the gateway's log."""
        level, message = read_log(text)
        if level != "debug":
            self._warning = message
        negotiated = read_cipher(message)
        if negotiated:
            self._ciphers[negotiated[0]] = negotiated[1]
        return level, message

    def state(self, text):
        """Takes a STATE; (its name, what goes with it)."""
        name, cause = read_state(text)
        if name in _LEAVING:
            self._cause = cause
        return name, cause

    def updown(self, text):
        """Takes an UPDOWN."""
        if text.startswith("ENV,"):
            self.news.take(text[4:])
        elif text == "UP":
            self.news = DeviceNews()

    def password(self, text):
        """Takes a PASSWORD; (reason, hint) where that is the end, or (None, None)."""
        refusal, reason, hint = read_password(text)
        self.refusal = refusal or self.refusal
        return reason, hint

    def give_up(self):
        """The server takes too long to answer."""
        self._given_up = True

    def restarted(self):
        """(reason, text, whether it is final), as the process is back in hold."""
        if self._given_up:
            return "timeout", "no answer from the server", False
        cause = self._cause or "connection-failed"
        reason, text, final = explain(cause, "", self.refusal or self._warning)
        return "transport" if reason == "exited" else reason, text, final

    def ended(self, status, lines):
        """The same, as the process has ended; lines: the last that it wrote."""
        reason, text, final = explain(self._cause, self.fatal, self.refusal or self._warning)
        if reason == "exited":
            how = "signal %d" % -status if status < 0 else "code %d" % status
            last = text or (lines[-1] if lines else "")
            text = "openvpn ended by " + how + (": " + last if last else "")
        return reason, text, final

    def cipher(self, key):
        """What was negotiated for the "cipher" of the data channel or for "tls", or None."""
        return self._ciphers.get(key)
