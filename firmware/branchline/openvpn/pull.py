"""Pushed options: filtered, and applied to the tunnel's own."""

from micropython import const

from branchline.openvpn.push import PushRejected
from branchline.openvpn.tokens import split_words
from branchline.wire.counters import Counters

_MAX_NOTES = const(16)
_COUNTERS = ("accepted", "filtered", "ignored", "malformed")
# What the tunnel cannot work without understanding, so that a bad value is not passed over.
_VITAL = (
    "cipher", "comp-lzo", "compress", "ifconfig", "key-derivation", "peer-id", "protocol-flags",
    "topology", "tun-mtu",
)  # fmt: skip


class Pull:
    """Applies pushed options to a copy of the profile's; `options` is the result."""

    def __init__(self, profile):
        self._profile = profile
        self.options = profile.options.copy()
        # The profile's own `cipher` takes no part in the negotiation.
        self.options.cipher = None
        self.counters = Counters(_COUNTERS)
        self.notes = []  # (counter, option, reason) of the first that were not accepted

    def apply(self, pushed):
        """Applies a list of options (bytes). Raises PushRejected; never for what stock ignores."""
        for option in pushed:
            option = option.lstrip()
            verdict = self._filter(option)
            if verdict == "reject":
                raise PushRejected("a pull-filter of the profile rejects a pushed option")
            if verdict == "ignore":
                self.counters.bump("filtered")
            else:
                self._apply_one(option)
        self._check()
        return self.options

    def _filter(self, option):
        """The action of the first pull-filter whose text the option begins with."""
        for action, text in self._profile.pull_filters:
            if option.startswith(text):
                return action
        return "accept"

    def _apply_one(self, option):
        try:
            words = split_words(option)
        except ValueError as error:
            return self._note("malformed", "?", str(error))
        if not words:
            return None
        name = words[0]
        if not self.options.accepts(words, True, self._profile.route_nopull):
            return self._note("ignored", name, "not for a server to push, or not used here")
        try:
            self.options.apply(words)
        except ValueError as error:
            if name in _VITAL:
                raise PushRejected("pushed " + name + ": " + str(error))
            return self._note("malformed", name, str(error))
        self.counters.bump("accepted")
        return None

    def _note(self, counter, name, reason):
        self.counters.bump(counter)
        if len(self.notes) < _MAX_NOTES:
            shown = "".join([c if " " < c < "\x7f" else "?" for c in name[:40]])
            self.notes.append((counter, shown, reason))

    def _check(self):
        """What can only be judged once all options are there."""
        options, profile = self.options, self._profile
        if options.tun_mtu > max(profile.tun_mtu_max, profile.tun_mtu):
            raise PushRejected("pushed tun-mtu exceeds tun-mtu-max")
        try:
            options.addresses(profile.dev_type)
        except ValueError:
            raise PushRejected("pushed ifconfig does not fit the topology")
