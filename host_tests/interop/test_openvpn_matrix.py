"""The client against the stock server: every two kinds of transport, wrapping, cipher, TLS version
and key meet in some row."""

import pytest

from host_tests.interop.openvpn_support import (
    TUNNEL,
    assert_carries,
    assert_echoes,
    connect,
    negotiated,
)
from host_tests.interop.pairwise import covered, pairs_of, pairwise

_FACTORS = {
    "proto": ("udp", "tcp"),
    "wrap": ("none", "tls-auth", "tls-crypt", "tls-crypt-v2"),
    "cipher": ("AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305", "AES-256-CBC"),
    "tls": ("1.2", "1.3"),
    "key": ("RSA-2048", "P-256", "P-384"),
}
_ROWS = pairwise(_FACTORS)
_KEYS = {"RSA-2048": "2048 bits RSA", "P-256": "256 bits ECprime256v1",
         "P-384": "384 bits ECsecp384r1"}


def test_every_pair_is_in_some_row():
    assert covered(_ROWS) == pairs_of(_FACTORS)


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: "-".join(row.values()))
def test_pairwise(pair, row):
    cbc = row["cipher"].endswith("CBC")
    server = pair.server(
        proto=row["proto"], wrap=row["wrap"], key=row["key"], tls_min=row["tls"],
        tls_max=row["tls"], data_ciphers=row["cipher"], auth="SHA256" if cbc else "SHA1",
    )
    gateway = connect(pair, server)
    assert_carries(pair, server)
    assert_echoes(pair, server)

    agreed = negotiated(server)
    assert agreed["tls"] == f"TLSv{row['tls']}"
    assert agreed["key"] == _KEYS[row["key"]]
    assert (agreed["cipher"], agreed["auth"]) == (row["cipher"], "SHA256" if cbc else None)
    status = gateway.tunnel_status(TUNNEL)
    assert (status["state"], status["cipher"], status["counters"]) == ("up", row["cipher"], {})
    assert status["tls"].startswith(f"TLSv{row['tls']} ")
    assert pair.remote() in status["remote"] and row["proto"] in status["remote"]
    gateway.stop()
