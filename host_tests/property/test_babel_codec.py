"""Any octets at all: the Babel parser and agent count them and go on; what is written is read."""

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from test_babel_codec import HOP4, SOURCE, parsed

from babel_pair import GROUP, Bench, Peer
from branchline.babel import mac, tlv
from branchline.babel.packet import Packet
from branchline.babel.prefix import prefix_key

# TLVs of known types with any contents find more than octets alone do.
tlv_octets = st.builds(
    lambda kind, body: bytes((kind, len(body))) + body,
    st.one_of(st.integers(0, 19), st.integers(0, 255)),
    st.binary(max_size=40),
)
bodies = st.one_of(
    st.binary(max_size=300), st.lists(tlv_octets, max_size=12).map(lambda tlvs: b"".join(tlvs))
)
keys = st.one_of(
    st.builds(prefix_key, st.binary(min_size=4, max_size=4), st.integers(0, 32)),
    st.builds(prefix_key, st.binary(min_size=16, max_size=16), st.integers(0, 128)),
)
updates = st.lists(
    st.tuples(
        keys,
        st.integers(1, 0xFFFF),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFE),
        st.sampled_from((b"router-1", b"router-2")),
        st.booleans(),
    ),
    max_size=40,
)


@given(bodies)
def test_any_body_is_parsed(body):
    parsed(body)


@given(bodies, st.integers(0, 310), st.booleans())
def test_any_packet_leaves_the_agent_at_work(body, length, cut):
    bench = Bench("ab")
    peer = Peer(bench).up()
    data = b"\x2a\x02" + (length if cut else len(body)).to_bytes(2, "big") + body
    bench.agent.receive_datagram("a", peer.address, GROUP, data, len(data), bench.now, 1)
    said = bench.wait(1_000, (peer,))
    assert [call for call in said if call[2] == "hello"]
    bench.events()


@given(bodies)
def test_any_packet_leaves_authentication_at_work(body):
    keys = mac.Keyring([mac.Key("k", "hmac-sha256", b"secret")])
    bench = Bench("a", options={"keyring": keys})
    data = b"\x2a\x02" + len(body).to_bytes(2, "big") + body
    address = Peer(bench).address
    code = keys.sending[0].mac(mac.pseudo_header(address, GROUP) + data)
    data += bytes((tlv.MAC, len(code))) + code
    bench.agent.receive_datagram("a", address, GROUP, data, len(data), bench.now)
    assert not bench.agent.counters["bad_mac"]
    assert [call for call in bench.wait(1_000) if call[2] == "hello"]


@given(updates, st.integers(80, 1400))
def test_what_is_written_is_read(wanted, limit):
    buf = bytearray(limit)
    p = Packet(buf, limit)
    sent = []
    for key, interval, seqno, metric, router_id, via_ipv4 in wanted:
        hop = HOP4 if key[0] == 1 and via_ipv4 else None
        if not p.update(key, interval, seqno, metric, router_id, hop):
            break
        sent.append(("update", key, interval, seqno, metric, router_id, hop or SOURCE))
    n = p.finish(b"")
    assert n <= limit
    assert parsed(bytes(buf[4:n])) == (sent, {})


@given(st.binary(min_size=1, max_size=100), st.binary(max_size=300))
def test_macs_are_those_of_the_standard_library(secret, message):
    ours = mac.Key("k", "hmac-sha256", secret).mac(message)
    assert ours == hmac.new(secret, message, hashlib.sha256).digest()
