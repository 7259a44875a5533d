"""The data channel: both ends of each format, every reason for a drop, and no allocation."""


from branchline.crypto.aead import KEY_SIZES, Providers
from branchline.crypto.pure import Pure
from branchline.hal.linux.gnutls import Gnutls
from branchline.hal.linux.libcrypto import Libcrypto
from branchline.openvpn import packet_id
from branchline.openvpn.data import DataChannel
from branchline.wire.counters import Counters
from branchline.wire.errors import Unsupported
from branchline.wire.slot import HEADROOM, Slot
from support import MACHINE_CODE, SMALL_ADDRESSES, heap_lock, heap_unlock, raises, unhex

_KEYS = bytes((i * 167 + 13) & 255 for i in range(256))
_PURE_CIPHERS = ("AES-128-GCM", "AES-256-GCM", "AES-128-CBC", "AES-256-CBC")


class _Options:
    def __init__(self, cipher, peer_id, compress):
        self.cipher = cipher
        self.peer_id = peer_id
        self.compress = compress


class End:
    """One end: its channel, its counters and a slot."""

    def __init__(self, cipher="AES-256-GCM", peer_id=5, compress="", auth="SHA256", kind=Gnutls,
                 server=False, key_id=1, window=64):  # fmt: skip
        self.counters = Counters(DataChannel.COUNTERS)
        self.slot = Slot(1500)
        options = _Options(cipher, peer_id, compress)
        provider = Providers([kind], lambda level, text: None)
        self.data = DataChannel(
            _KEYS, key_id, options, provider, self.counters, auth, window, server
        )

    def seal(self, payload):
        """The packet for a payload; empty when it is dropped."""
        self.slot.at(HEADROOM)[: len(payload)] = payload
        n = self.data.seal(self.slot, len(payload))
        return bytes(self.slot.at(self.data.wire_offset)[:n])

    def open(self, packet):
        """The payload of a packet; empty when it is dropped."""
        self.slot.at(self.data.wire_offset)[: len(packet)] = packet
        n = self.data.open(self.slot, len(packet))
        return bytes(self.slot.at(HEADROOM)[:n])


def pair(**arguments):
    """A client and a server with the same key."""
    return End(**arguments), End(server=True, **arguments)


def _all_formats():
    """(kind, cipher, peer id, compress) of all that must work."""
    for kind in (Gnutls, Libcrypto, Pure):
        for cipher in KEY_SIZES:
            if kind is Pure and cipher not in _PURE_CIPHERS:
                continue
            for peer_id in (None, 0xABCDEF):
                for compress in ("", "stub", "lzo-stub", "stub-v2"):
                    yield kind, cipher, peer_id, compress


def test_round_trips_of_every_format():
    payloads = [bytes([first]) * n for n in (1, 2, 11, 12, 13, 1400) for first in (0x45, 0x50)]
    for kind, cipher, peer_id, compress in _all_formats():
        ends = pair(kind=kind, cipher=cipher, peer_id=peer_id, compress=compress)
        for sender, receiver in (ends, (ends[1], ends[0])):
            for payload in payloads:
                packet = sender.seal(payload)
                assert packet[0] == sender.data.first_octet
                assert len(packet) <= len(payload) + sender.data.overhead + 2
                assert payload not in packet or len(payload) < 11
                assert receiver.open(packet) == payload, (kind, cipher, peer_id, compress)
            assert sender.data.tx_packets == receiver.data.rx_packets == len(payloads)
            assert sender.data.tx_octets == receiver.data.rx_octets
        for end in ends:
            assert not end.counters.nonzero()
            end.data.close()


def test_aead_layout_of_data_v2_and_v1():
    for peer_id, key_id, head in ((0x012345, 3, "4b012345"), (None, 7, "37")):
        packet = End(peer_id=peer_id, key_id=key_id).seal(b"payload")
        size = len(unhex(head))
        assert packet[: size + 4] == unhex(head) + b"\0\0\0\x01"
        text, tag = bytearray(packet[size + 20 :]), bytearray(packet[size + 4 : size + 20])
        nonce = b"\0\0\0\x01" + _KEYS[64:72]
        # Of P_DATA_V1 only the packet id is authenticated with the text.
        aad = packet[:8] if peer_id else packet[1:5]
        aead = Gnutls().aead("AES-256-GCM", _KEYS[:32])
        assert aead.open(nonce, aad, len(aad), text, 7, tag)
        assert text == b"payload"


def test_cbc_layout():
    packet = End(cipher="AES-128-CBC", auth="SHA1", peer_id=7).seal(b"payload")
    assert packet[:4] == unhex("49000007") and len(packet) == 4 + 20 + 16 + 16
    mac = Libcrypto().hmac("SHA1", _KEYS[64:84])
    assert mac.verify(packet[24:], 32, packet[4:24])
    text = bytearray(packet[40:])
    Libcrypto().cbc("AES-128-CBC", _KEYS[:16]).decrypt(packet[24:40], text, 16)
    assert text == b"\0\0\0\x01payload" + b"\x05" * 5


def test_cbc_ivs_differ():
    end = End(cipher="AES-128-CBC", peer_id=None)
    assert len({end.seal(b"same")[33:49] for _ in range(50)}) == 50


def test_stub_framings_inside_the_packet():
    plain = End(peer_id=None)
    for compress, payload, framed in (
        ("stub", b"abc", b"\xfbbca"),
        ("lzo-stub", b"abc", b"\xfaabc"),
        ("stub-v2", b"abc", b"abc"),
        ("stub-v2", b"\x50bc", b"\x50\x00\x50bc"),
    ):
        receiver = End(peer_id=None, server=True)
        assert receiver.open(End(peer_id=None, compress=compress).seal(payload)) == framed
        receiver = End(peer_id=None, server=True, compress=compress)
        assert receiver.open(End(peer_id=None).seal(framed)) == payload
    assert plain.data.max_payload(1000) == 1000 - 21


def test_compressed_packets_are_dropped():
    for compress, framed in (
        ("stub", b"\x66abc"),
        ("stub", b"\xfaabc"),
        ("stub", b"\xfb"),
        ("lzo-stub", b"\x66abc"),
        ("lzo-stub", b"\xfbabc"),
        ("lzo-stub", b"\xfa"),
        ("stub-v2", b"\x50"),
        ("stub-v2", b"\x50\x00"),
        ("stub-v2", b"\x50\x01abc"),
    ):
        receiver = End(server=True, compress=compress)
        assert receiver.open(End().seal(framed)) == b"", (compress, framed)
        assert receiver.counters.nonzero() == {"data_compressed": 1}


def test_every_drop_has_its_counter():
    for cipher in ("AES-256-GCM", "AES-256-CBC"):
        for name, change, reason in (
            ("replay", lambda packet: packet, "data_replay"),
            ("empty", lambda packet: b"", "data_too_short"),
            ("header only", lambda packet: packet[:4], "data_too_short"),
            ("no payload", lambda packet: packet[:24], "data_too_short"),
            ("too long", lambda packet: packet + bytes(1522), "data_too_long"),
            ("last octet", lambda packet: packet[:-1] + b"\0", "data_bad_auth"),
            ("cut", lambda packet: packet[:-1], "data_bad_auth"),
            ("id", lambda packet: packet[:7] + b"\x09" + packet[8:], "data_bad_auth"),
        ):
            client, server = pair(cipher=cipher)
            assert server.open(client.seal(bytes(30))) == bytes(30)
            packet = client.seal(bytes(30))
            if name == "replay":
                server.open(packet)
            packet = change(packet)[: len(server.slot.at(server.data.wire_offset))]
            assert server.open(packet) == b"", (cipher, name)
            assert server.counters.nonzero() == {reason: 1}, (cipher, name)


def test_peer_id_is_authenticated_with_aead():
    client, server = pair()
    packet = client.seal(b"abc")
    assert server.open(packet[:3] + b"\x06" + packet[4:]) == b""
    assert server.counters.nonzero() == {"data_bad_auth": 1}
    assert server.open(packet) == b"abc"


def test_cbc_padding_that_an_authentic_peer_got_wrong():
    cbc = Libcrypto().cbc("AES-256-CBC", _KEYS[:32])
    mac = Libcrypto().hmac("SHA256", _KEYS[64:96])
    for text, reason in (
        (b"\0\0\0\1" + b"x" * 11 + b"\1", None),
        (b"\0\0\0\1" + b"x" * 11 + b"\0", "data_bad_padding"),
        (b"\0\0\0\1" + b"x" * 11 + b"\x11", "data_bad_padding"),
        (b"\0\0\0\1" + b"x" * 10 + b"\1\2", "data_bad_padding"),
        (b"\0\0\0\1" + b"\x0c" * 12, "data_bad_padding"),
        (b"\x10" * 16, "data_bad_padding"),
        (b"\0\0\0\1" + b"x" * 13, "data_bad_padding"),
    ):
        body = bytearray(16) + text
        if len(text) == 16:
            cbc.encrypt(bytes(16), memoryview(body)[16:], 16)
        code = bytearray(32)
        mac.compute(body, len(body), code)
        server = End(cipher="AES-256-CBC", server=True)
        opened = server.open(unhex("49000005") + code + body)
        assert opened == (b"" if reason else b"x" * 11), text
        assert server.counters.nonzero() == ({reason: 1} if reason else {}), text


def test_forged_packets_do_not_move_the_window():
    for cipher in ("AES-256-GCM", "AES-256-CBC"):
        client, server = pair(cipher=cipher)
        packets = [client.seal(bytes([i])) for i in range(3)]
        forged = bytearray(client.seal(b"?"))
        forged[4:8] = b"\xff\xff\xff\xff"
        assert server.open(packets[0]) == b"\0"
        assert server.open(forged) == b""
        assert [server.open(packet) for packet in packets[1:]] == [b"\1", b"\2"]


def test_replay_window_is_configurable():
    client, server = pair(window=1024)
    packets = [client.seal(b"%d" % i) for i in range(1025)]
    server.open(packets[1024])
    assert server.open(packets[1]) == b"1"
    assert server.open(packets[0]) == b""


def _jump(end, last):
    """Makes the sender's last id `last`."""
    packet_id.record(end.data._format.sender, last.to_bytes(4, "big"), 0, 0)


def test_ids_are_used_up_before_they_wrap():
    client, server = pair()
    assert not client.data.needs_rekey
    # The sender's state has no bitmap: give it one to be set by record().
    client.data._format.sender = packet_id.new_window()
    _jump(client, 0xFF000000)
    assert client.data.needs_rekey
    _jump(client, 0xFFFFFFFE)
    assert server.open(client.seal(b"last")) == b"last"
    assert client.seal(b"more") == b""
    assert client.counters.nonzero() == {"data_ids_used_up": 1}


def test_gcm_wants_a_new_key_after_too_many_blocks():
    for cipher, wanted in (("AES-256-GCM", True), ("AES-256-CBC", False)):
        end = End(cipher=cipher)
        sender = end.data._format.sender
        for _ in range(895):  # 2^30 octets, 2^26 blocks, at a time
            packet_id.stamp(sender, b"\0\0", bytearray(4), bytearray(4), 1 << 30)
        assert not end.data.needs_rekey
        packet_id.stamp(sender, b"\0\0", bytearray(4), bytearray(4), 1 << 30)
        assert end.data.needs_rekey is wanted


def test_payloads_that_do_not_fit_are_not_sealed():
    for compress in ("", "stub"):
        for n in (0, -1, 1501):
            end = End(compress=compress)
            assert end.data.seal(end.slot, n) == 0
            assert end.counters.nonzero() == {"data_too_long": 1}


def test_max_payload_is_the_largest_that_fits():
    for cipher in ("AES-256-GCM", "AES-256-CBC"):
        for compress in ("", "stub", "lzo-stub"):
            end = End(cipher=cipher, compress=compress)
            for size in range(200, 240):
                n = end.data.max_payload(size)
                assert len(end.seal(bytes(n))) <= size < len(end.seal(bytes(n + 1)))


def test_what_no_provider_has_is_unsupported():
    for cipher, auth in (("none", "SHA1"), ("BF-CBC", "SHA1"), ("AES-256-CBC", "none"),
                         ("CHACHA20-POLY1305", "SHA1"), ("AES-256-OFB", "SHA1")):  # fmt: skip
        raises(Unsupported, End, cipher=cipher, auth=auth, kind=Pure)


def test_the_packet_path_allocates_nothing():
    for kind, cipher, peer_id, compress in _all_formats():
        if kind is Pure and cipher[-3:] == "CBC":
            continue  # cryptolib and hashlib allocate
        client, server = pair(kind=kind, cipher=cipher, peer_id=peer_id, compress=compress)
        slot = client.slot
        server.data.open(slot, client.data.seal(slot, 1400))
        heap_lock(strict=MACHINE_CODE and (kind is Pure or SMALL_ADDRESSES))
        try:
            n = server.data.open(slot, client.data.seal(slot, 1400))
            replayed = server.data.open(slot, 1400)
        finally:
            heap_unlock()
        assert (n, replayed) == (1400, 0), (kind, cipher, peer_id, compress)
