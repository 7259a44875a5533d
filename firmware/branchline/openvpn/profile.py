"""What a profile (.ovpn) says: its attributes, under the stock client's directive names.

profile_parser.py makes it and can be unloaded afterwards.
"""

from branchline.openvpn.options import TunnelOptions

DATA_CIPHERS = ("AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305")


class Remote:
    """One `remote` or <connection>: where to connect, and what differs there."""

    def __init__(self, host, port, proto):
        self.host = host
        self.port = port
        self.proto = proto  # udp udp4 udp6 tcp tcp4 tcp6
        self.overrides = {}  # attribute of Profile: value
        self.options = ()  # word lists for TunnelOptions.apply

    def is_tcp(self):
        """Whether it is reached by TCP."""
        return self.proto[0] == "t"

    def family(self):
        """4 or 6 where the protocol fixes it, or 0 for either."""
        return int(self.proto[3:] or 0)


class Profile:
    """A profile. What it does not set has the stock client's default.

    Class attributes are defaults. Times are in seconds, blobs (ca, cert, ...) PEM octets. What a
    server may also push (ifconfig, route, ping, tun-mtu, compress, ...) lies in `options`; its
    local value can be read from the profile itself: `profile.tun_mtu`.
    """

    name = ""
    remotes = ()  # list of Remote, in the file's order
    remote_random = False
    remote_random_hostname = False
    proto_force = None  # "udp" or "tcp": remotes of the other kind are dropped
    dev = None
    dev_type = None  # "tun" or "tap"
    # The address and port to bind; None leaves them to the system (no `bind`, `lport`, `local`).
    local = None
    lport = None
    nobind = False
    bind_dev = None
    mark = None
    float = False
    sndbuf = 0  # octets; 0 leaves it to the gateway
    rcvbuf = 0
    txqueuelen = 0

    tls_client = False
    ca = None
    cert = None
    key = None  # a secret
    extra_certs = None
    crl = None
    tls_wrap = None  # None "auth" "crypt" "crypt-v2"
    tls_key = None  # 256 octets; a secret
    wkc = None  # the wrapped client key of tls-crypt-v2, with its length field; a secret
    key_direction = None  # None 0 1
    tls_version_min = "1.2"  # or "1.3"
    tls_version_max = None  # None "1.2" "1.3"
    tls_cipher = None  # tuple of TLS 1.2 suites: "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384"
    tls_ciphersuites = None  # tuple of TLS 1.3 suites: "TLS_AES_256_GCM_SHA384"
    tls_cert_profile = "legacy"  # or "preferred"
    verify_x509_name = None  # (name, "subject" "name" or "name-prefix")
    remote_cert_tls = None  # "server"; it also sets the next two
    remote_cert_ku = None  # None, () for "must have some", or a tuple of accepted bit masks
    remote_cert_eku = None  # dotted OID

    auth = "SHA1"  # "none" or a digest, upper case
    data_ciphers = DATA_CIPHERS
    data_ciphers_fallback = None
    auth_user_pass = None  # (user, password) in bytes; a secret
    auth_retry = "none"  # nointeract interact
    allow_compression = "no"  # no asym yes; nothing is ever compressed here
    push_peer_info = False
    peer_info = ()  # (name, value) of setenv UV_...

    pull = False
    route_nopull = False
    pull_filters = ()  # (action, beginning of an option in bytes): accept ignore reject
    ifconfig_noexec = False
    route_noexec = False
    tun_mtu_max = 1600
    mssfix = (1492, "mtu")  # (octets, what they measure: "" "mtu" "fixed"); 0 for off
    max_packet_size = 1250  # of a control packet

    reneg_sec = 3600
    reneg_bytes = 0
    reneg_pkts = 0
    hand_window = 60
    tran_window = 3600
    tls_timeout = 2
    replay_window = (64, 15)
    connect_retry = None  # (first, most)
    connect_retry_max = 0  # 0: for ever
    server_poll_timeout = None
    resolv_retry = None  # None: for ever

    ignored = ()  # (directive, line, reason) for the log

    def __init__(self):
        self.options = TunnelOptions()

    def __getattr__(self, name):
        if name == "options":
            raise AttributeError(name)
        return getattr(self.options, name)

    def at(self, remote):
        """The profile as it holds for one of its remotes: itself if nothing differs there."""
        if not remote.overrides and not remote.options:
            return self
        other = Profile()
        for source in (self.__dict__, remote.overrides):
            for name, value in source.items():
                setattr(other, name, value)
        other.options = self.options.copy()
        for words in remote.options:
            other.options.apply(words)
        return other
