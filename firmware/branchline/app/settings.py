"""What gateway.json says, as octets and numbers.

Apart from config.py, which reads it: a class keeps its whole module in memory.
"""


class Config:
    """The whole of gateway.json."""

    role = "gateway"

    def __init__(self):
        self.name = ""
        self.address = None  # 4 or 16 octets: this gateway's virtual address
        self.lans = []  # of Lan
        self.tunnels = []  # of Tunnel, at least one
        self.routing = None  # Routing
        self.filter = None  # filter.table.Table, or None: whatever the tunnels carry may pass
        self.watchdog = Watchdog()
        self.state = "state"  # the folder of what is kept over a restart, or None: nothing is
        # Where the API listens: (4 or 16 octets, port), or None.
        self.api = (b"\x7f\x00\x00\x01", 8086)
        self.log_level = "info"  # debug info warning error

    def simplify(self):
        """What is optional goes, as after several crashes any of it may be the reason; the filter
        stays, which is not for its own sake."""
        device = self.watchdog.device
        self.watchdog = Watchdog()
        # A hardware watchdog that runs may be impossible to stop.
        self.watchdog.device = device
        self.routing = None


class Lan:
    """One entry of `lans`."""

    def __init__(self, interface, prefix, plen, babel):
        self.interface = interface
        self.prefix = prefix  # 4 or 16 octets
        self.plen = plen
        self.babel = babel  # whether Babel runs there, too


class Tunnel:
    """One entry of `tunnels`."""

    def __init__(self, name, profile, device, engine="native", probe=None):
        self.name = name
        self.profile = profile  # the file's name, relative to the folder
        self.engine = engine  # "native" or "openvpn"
        self.device = device  # or None: as the profile says
        self.probe = probe  # 4 or 16 octets, or None: the hub's address in the tunnel
        self.digest = None  # of the profile and of the files that it names


class Routing:
    """`routing`: how Babel runs over the tunnels."""

    def __init__(self):
        self.hello_ms = 500
        self.rtt = True
        self.stub = False  # announces its own prefixes and relays nothing
        self.max_routes = 1024  # prefixes
        self.max_neighbours = 128
        # of (id, algorithm, secret octets, send, accept), the last two (from, until) or None each
        self.keys = []
        self.announce = None  # of (network octets, prefix length); None: address and lans
        # of (network octets, prefix length, shortest, longest, device, neighbour's octets)
        self.accept = []
        self.interfaces = []  # a hub's: of (device, whether packets are signed there)


class Watchdog:
    """`watchdog`: how dead and flapping tunnels are noticed, and what may be done about them."""

    def __init__(self):
        self.probe_ms = 250  # 0: no probes
        self.idle_probe_ms = 250
        self.half_life_s = 30
        self.suppress = 3000
        self.reuse = 1000
        self.max_suppress_s = 300
        self.restarts_per_hour = 60
        self.engines_per_hour = 6
        self.wan = None  # the interface that may be bounced
        self.wan_per_hour = 2
        self.reboots_per_hour = 0
        self.always = False  # bounce and reboot even while another tunnel works
        self.device = None  # of the hardware watchdog, such as "/dev/watchdog"
        self.device_s = 30
