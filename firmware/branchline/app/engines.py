"""Makes the engine of each tunnel: our own client with its TLS and ciphers, or a stock process."""

from branchline import BUILD_TIME
from branchline.crypto.aead import Providers
from branchline.hal.linux import mbedtls
from branchline.openvpn.session import Environment
from branchline.tunnel.native import NativeEngine
from branchline.wire.errors import ConfigError
from branchline.wire.overlay import Overlay

try:
    from branchline.hal.tls_micropython import TlsContext
except ImportError:
    from branchline.hal.tls_cpython import TlsContext

_RUN_FOLDER = "run"  # of the management sockets, in the gateway's own


def _gnutls():
    from branchline.hal.linux.gnutls import Gnutls

    return Gnutls()


def _libcrypto():
    from branchline.hal.linux.libcrypto import Libcrypto

    return Libcrypto()


def _pure():
    from branchline.crypto.pure import Pure

    return Pure()


# Best first, as measured: one call of libgnutls does what takes libcrypto five. Each is loaded
# only when those before it lack something.
PROVIDERS = (("gnutls", _gnutls), ("libcrypto", _libcrypto), ("pure", _pure))


def _hostname(certificate):
    with Overlay():
        from branchline.crypto.x509 import hostname

        return hostname(certificate)


def make_engines(folder, config, profiles, system, crypto=None, portable_tls=False, names=None):
    """A list of engines, in the order of the tunnels; names: of those tunnels only.

    folder: of gateway.json; profiles: tunnel name -> Profile, or (file name, octets) for the
    engine `openvpn`; crypto: the names of the only providers to use, or None; portable_tls: verify
    servers as a build does that offers no access to its mbedtls. Raises ConfigError for what a
    profile asks of TLS that this build does not have.
    """
    provider = Providers(
        [make for name, make in PROVIDERS if crypto is None or name in crypto],
        lambda level, text: system.log(level, "gateway", "crypto", text),
    )
    native = None if portable_tls else mbedtls.load()
    engines = []
    for rank, tunnel in enumerate(config.tunnels):
        if names is not None and tunnel.name not in names:
            continue
        profile = profiles[tunnel.name]
        if tunnel.engine == "openvpn":
            engines.append(_stock(tunnel, profile, folder, system, rank))
        else:
            engines.append(_native(tunnel, profile, provider, native, system, rank))
    return engines


def _stock(tunnel, profile, folder, system, rank):
    from branchline.tunnel.process import ProcessEngine

    path = profile[0] if profile[0][0] == "/" else folder + "/" + profile[0]
    socket = folder + "/" + _RUN_FOLDER + "/" + tunnel.name
    beside = path[: path.rfind("/")]
    return ProcessEngine(tunnel.name, profile, beside, socket, system, tunnel.device, rank)


def _native(tunnel, profile, provider, native, system, rank):
    try:
        tls = TlsContext(profile, _hostname, native)
    except ConfigError as error:
        where = profile.name + ": " + error.where
        raise ConfigError(where, error.reason, error.hint) from None
    # TLS has its own copies.
    profile.ca = profile.cert = profile.key = profile.extra_certs = None

    def check(certificate):
        with Overlay():
            from branchline.openvpn.verify import check_peer

            check_peer(profile, certificate, system.unix_time(), BUILD_TIME)

    env = Environment(tls, provider, system.random, check)
    return NativeEngine(tunnel.name, profile, env, system, tunnel.device, rank)
