"""What a hub's gateway.json says, as octets and numbers.

Apart from hub_config.py, which reads it: a class keeps its whole module in memory.
"""


class HubConfig:
    """The whole of gateway.json with the role "hub"."""

    role = "hub"

    def __init__(self):
        self.name = ""
        self.address = None  # 4 or 16 octets: this hub's virtual address
        self.servers = []  # of Server, at least one
        self.accept = []  # of (octets, length): where clients' prefixes may lie
        self.skip = []  # names that announce themselves
        self.revoked = []  # names whose sessions are ended
        self.hubs = []  # of (name, octets): the others
        self.protocol = 190  # of the kernel's routes to clients
        self.routing = None  # settings.Routing, if this is the Babel router itself
        self.lans = []
        self.state = "state"
        self.api = (b"\x7f\x00\x00\x01", 8086)
        self.log_level = "info"


class HubServer:
    """One entry of `servers`."""

    def __init__(self, name, device, path, endpoint, password):
        self.name = name
        self.device = device
        self.path = path  # of its management socket, or None:
        self.endpoint = endpoint  # (4 or 16 octets, port)
        self.password = password  # the name of the file that holds it, or None; later its octets
