"""What is measured: the stock client, and our gateway with each crypto provider."""

import dataclasses

from host_tests.lab import Client, Gateway, Host


@dataclasses.dataclass(frozen=True)
class Subject:
    """One client program. provider: None for the stock client, else a name of BRANCHLINE_CRYPTO;
    compiled: run the .mpy files of `make compile`."""

    name: str
    provider: str | None = None
    compiled: bool = False

    def start(self, host: Host, profile: str, number: int):
        """Start it on a host with a profile: a lab.Client or lab.Gateway, not yet up.

        `number` tells it from those that have run on the host before.
        """
        if self.provider is None:
            return Client(host, profile, name=f"stock-{number}").start()
        return Gateway(
            host, {"hub": profile}, name=f"bench-{number}", compiled=self.compiled,
            env={"BRANCHLINE_CRYPTO": self.provider},
        ).start()


STOCK = Subject("stock openvpn")
GNUTLS = Subject("gateway, libgnutls", "gnutls")
LIBCRYPTO = Subject("gateway, libcrypto", "libcrypto")
PURE = Subject("gateway, pure Python", "pure")
COMPILED = Subject("gateway, compiled", "gnutls", compiled=True)

# Cipher -> what can run it; the stock client is what the others are compared with.
THROUGHPUT = {
    "AES-256-GCM": (STOCK, GNUTLS, LIBCRYPTO, PURE),
    "CHACHA20-POLY1305": (STOCK, GNUTLS, LIBCRYPTO),
}
STARTS = (STOCK, Subject("gateway, from source", "gnutls"), COMPILED)
