"""Addresses: the same verdict and the same canonical text as Python's own ipaddress."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from branchline.wire import ip


@given(st.ip_addresses())
def test_text_of_every_address(address):
    assert ip.parse_address(str(address)) == address.packed
    mapped = getattr(address, "ipv4_mapped", None)
    expected = f"::ffff:{mapped}" if mapped else str(address)
    assert ip.format_address(address.packed) == expected


@given(st.text("0123456789abcdefABCDEF:./ ٣", max_size=24))
def test_same_verdict_as_ipaddress(text):
    try:
        expected = ipaddress.ip_address(text).packed
    except ValueError:
        expected = None
    try:
        octets = ip.parse_address(text)
    except ValueError:
        octets = None
    assert octets == expected


@given(
    st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)), st.data()
)
def test_prefixes_come_back(octets, data):
    plen = data.draw(st.integers(0, 8 * len(octets)))
    network = ip.masked(octets, plen)
    assert network == ipaddress.ip_network((octets, plen), strict=False).network_address.packed
    assert ip.parse_prefix(ip.format_prefix(network, plen)) == (network, plen)
