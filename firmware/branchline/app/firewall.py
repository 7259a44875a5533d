"""Keeps the policy of `filter` in the kernel, as a table of nftables."""

from micropython import const

from branchline.wire.errors import ConfigError
from branchline.wire.overlay import Overlay
from branchline.wire.ticks import ticks_add, ticks_diff

_PATIENCE_MS = const(10_000)
# Who reloads a ruleset of his own usually empties all tables first.
_CHECK_MS = const(5000)
_ENOENT = const(2)
_EEXIST = const(17)


class Kernel:
    """What enforces the table, reached by code that is loaded for that alone."""

    def run(self, argv, standard_input):
        """(exit code, its last lines) of a program; see hal.linux.child.run."""
        with Overlay():
            from branchline.hal.clock import ticks
            from branchline.hal.linux.child import run

            return run(ticks, argv, standard_input, _PATIENCE_MS)

    def ask(self, question):
        """What question(a hal.linux.nf_tables.NfTables) answers. Raises OSError."""
        with Overlay():
            from branchline.hal.linux.nf_tables import NfTables

            tables = NfTables()
            try:
                return question(tables)
            finally:
                tables.close()


class Firewall:
    """table: filter.table.Table; tunnels: of app.settings.Tunnel; kernel: a Kernel; log:
    app.log.Log."""

    def __init__(self, table, tunnels, kernel, log):
        self._table = table
        self._devices = _devices(tunnels)
        self._kernel = kernel
        self._log = log
        self._loaded = False
        self._check_due = None

    def load(self, now):
        """Puts the table into the kernel, in place of an earlier run's and in one step.

        Raises OSError with a text; what was in the kernel is there still.
        """
        if self._kernel.ask(_owner) == "theirs":
            raise OSError(
                _EEXIST,
                "there is a table `inet branchline` that is not a gateway's: where a hub runs, no "
                "gateway with a filter can; otherwise remove it by `nft delete table inet "
                "branchline`",
            )
        self._run_nft(self._table, self._devices)
        self._loaded = True
        self._check_due = ticks_add(now, _CHECK_MS)

    def reload(self, table, tunnels, now):
        """Has another table take its place while the tunnels go on; None: it stays. What is no
        device of theirs any more stays with the filter, too: a tunnel may have it for a while.

        Raises ConfigError and OSError; the former table is in force then.
        """
        devices = self._devices + [d for d in _devices(tunnels) if d not in self._devices]
        table = table or self._table
        if devices == self._devices and table.__dict__ == self._table.__dict__:
            return
        self._run_nft(table, devices)
        self._table, self._devices = table, devices
        self._check_due = ticks_add(now, _CHECK_MS)

    def _run_nft(self, table, devices):
        with Overlay():
            from branchline.filter.nft import nft_text

            text = nft_text(table, devices).encode()
        try:
            status, lines = self._kernel.run(("nft", "-f", "-"), text)
        except OSError as error:
            if error.args[0] != _ENOENT:
                raise
            raise OSError(
                _ENOENT,
                "nft is missing, by which the filter is loaded: install nftables, or remove "
                "`filter` from gateway.json",
            ) from None
        if status:
            raise OSError(
                0,
                "nft refuses the filter: %s (exit code %d; it needs root or CAP_NET_ADMIN, and "
                "nf_tables and nf_conntrack in the kernel)"
                % (_complaint(lines), status),
            )

    def unload(self):
        """Removes the table if load() has put it there. Raises OSError."""
        if self._loaded:
            self._loaded = False
            self._kernel.ask(lambda tables: tables.sweep())

    def next_timer(self):
        """The tick at which the table is looked for next; None before it is loaded."""
        return self._check_due

    def handle_timer(self, now):
        """Loads the table again if it has gone; OSError if that fails, which must end the
        tunnels."""
        if self._check_due is None or ticks_diff(now, self._check_due) < 0:
            return
        self._check_due = ticks_add(now, _CHECK_MS)
        try:
            owner = self._kernel.ask(_owner)
        except OSError:
            return  # the kernel is short of something: it is asked again
        if owner != "ours":
            text = "the table was removed, as by `nft flush ruleset`: it is loaded again"
            self._log("error", "gateway", "filter", text)
            self.load(now)

    def status(self):
        """A dict of JSON values."""
        try:
            dropped = self._kernel.ask(lambda tables: tables.dropped())
        except OSError:
            return {"state": "unknown"}
        if not self._loaded or dropped is None:
            return {"state": "missing"}
        return {"state": "loaded", "spoofed": dropped[0], "denied": dropped[1]}


def _devices(tunnels):
    """The names of their devices, by which the filter knows them."""
    for i, tunnel in enumerate(tunnels):
        if tunnel.device is None:
            raise ConfigError(
                "gateway.json: tunnels[%d].device" % i,
                "is missing",
                "the filter knows tunnels by their devices",
            )
    return [tunnel.device for tunnel in tunnels]


def _owner(tables):
    return tables.owner()


def _complaint(lines):
    """What nft has said, on one line: its errors, or its last words."""
    texts = ["".join([chr(o) if 32 <= o < 127 else "?" for o in line]) for line in lines]
    return "; ".join([text for text in texts if "Error" in text][:2] or texts[-1:]) or "no reason"
