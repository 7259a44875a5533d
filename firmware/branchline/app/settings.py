"""What gateway.json says, as octets and numbers.

Apart from config.py, which reads it: a class keeps its whole module in memory.
"""


class Config:
    """The whole of gateway.json."""

    def __init__(self):
        self.name = ""
        self.address = None  # 4 or 16 octets: this gateway's virtual address
        self.lans = []  # of (interface, network octets, prefix length)
        self.tunnels = []  # of Tunnel, at least one
        self.routing = None  # Routing
        self.log_level = "info"  # debug info warning error


class Tunnel:
    """One entry of `tunnels`."""

    def __init__(self, name, profile, device):
        self.name = name
        self.profile = profile  # the file's name, relative to the folder
        self.engine = "native"
        self.device = device  # or None: as the profile says


class Routing:
    """`routing`: how Babel runs over the tunnels."""

    def __init__(self):
        self.hello_ms = 500
        self.rtt = True
        self.keys = []  # of (id, algorithm, secret octets)
        self.announce = []  # of (network octets, prefix length)
        self.accept = []  # the same
