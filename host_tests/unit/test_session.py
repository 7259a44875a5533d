"""The session joined with a server: connecting, control messages, timers, hostile datagrams."""

from branchline.openvpn import opcodes
from branchline.openvpn import session as ovpn
from branchline.openvpn.ping import EXIT_NOTICE, PING
from branchline.wire.errors import TlsError, Unsupported
from branchline.wire.slot import HEADROOM
from branchline.wire.ticks import PERIOD
from openvpn_link import CAPACITY, PUSH, STATIC_KEY, WKC, Faults, Link, Random
from support import raises

_WRAPS = (
    {},
    {"tls_wrap": "auth", "tls_key": STATIC_KEY},
    {"tls_wrap": "auth", "tls_key": STATIC_KEY, "key_direction": 0, "auth": "SHA256"},
    {"tls_wrap": "auth", "tls_key": STATIC_KEY, "key_direction": 1},
    {"tls_wrap": "crypt", "tls_key": STATIC_KEY},
    {"tls_wrap": "crypt-v2", "tls_key": STATIC_KEY, "wkc": WKC},
)
_CRYPT = _WRAPS[4]
_CRYPT_V2 = _WRAPS[5]
_MESSAGES = (b"E", b"E" * 84, bytes([0x45]) + bytes(range(256)) * 5)
_WRAP = PERIOD - 30  # so that ticks pass 2^30 during the handshake


def _exchange(link):
    """Packets both ways, and what arrived is what was sent."""
    del link.received[:], link.server.packets[:]
    for text in _MESSAGES:
        assert link.send(text)
        link.send_down(text)
    link.run(200)
    assert tuple(link.received) == tuple(link.server.packets) == _MESSAGES


def _info(link):
    return [text for kind, text in link.events if kind == ovpn.INFO]


# ---- connecting ----


def test_each_wrap_comes_up_and_carries_packets():
    for settings in _WRAPS:
        for start in (0, _WRAP):
            link = Link(start=start, **settings).come_up(1000)
            _exchange(link)
            session = link.session
            assert link.kinds() == [ovpn.UP]
            assert session.options is link.events[0][1]
            assert session.options.cipher == "AES-128-CBC" and session.options.peer_id == 5
            assert session.tls_cipher[:4] == "TLSv" and session.rtt_ms == 20
            assert link.checked and link.checked[0][0] == 0x30
            assert not session.counters.nonzero() and not link.server.dropped
            assert session.ring.totals()[0] == session.ring.totals()[1] == len(_MESSAGES)


def test_the_key_message_tells_who_the_client_is():
    settings = {
        "auth_user_pass": (b"anna", b"secret"),
        "peer_info": (("UV_SITE", "lyon"),),
        "push_peer_info": True,
    }
    link = Link(**settings).come_up()
    options, user, password, peer_info = link.server.infos[0]
    assert (user, password) == (b"anna", b"secret")
    assert options.startswith(b"V4,dev-type tun,") and b"proto UDPv4" in options
    lines = peer_info.split(b"\n")
    assert b"IV_CIPHERS=AES-128-CBC" in lines and b"UV_SITE=lyon" in lines and lines[-1] == b""
    options = Link(tcp=True).come_up().server.infos[0][0]
    assert b"proto TCPv4_CLIENT" in options


def test_no_control_packet_exceeds_max_packet_size():
    for size in (154, 300, 1250):
        for settings in _WRAPS[:5]:
            link = Link(max_packet_size=size, **settings).come_up()
            assert max(link.sizes) <= size


def test_a_server_without_state_gets_the_wrapped_key_again():
    flags = {"early_flags": b"\0\1\0\2\0\1"}
    link = Link(server=flags, **_CRYPT_V2).come_up()
    assert opcodes.CONTROL_WKC_V1 in link.server.opcodes and max(link.sizes) <= 1250
    assert opcodes.CONTROL_WKC_V1 not in Link(**_CRYPT_V2).come_up().server.opcodes
    # The longest wrapped key does not make the packet longer than allowed either.
    link = Link(server=flags, tls_wrap="crypt-v2", tls_key=STATIC_KEY, wkc=bytes(1024)).come_up()
    assert max(link.sizes) <= 1250


def test_flags_of_the_servers_reset_may_be_cut_short():
    flags = b"\0\1\0\2\0\1"
    for n in range(len(flags)):
        link = Link(server={"early_flags": flags[:n]}).come_up()
        assert link.session.counters.nonzero() == {}


def test_push_reply_in_parts():
    parts = (
        b"PUSH_REPLY,route 10.1.0.0 255.255.0.0,push-continuation 2",
        b"PUSH_REPLY,route 10.2.0.0 255.255.0.0,push-continuation 2",
        PUSH + b",push-continuation 1",
    )
    link = Link(push=parts).come_up()
    assert [route[0][1] for route in link.session.options.routes] == [1, 2]


def test_push_request_is_repeated():
    link = Link(push=())
    link.run(12_000)
    assert link.server.messages == [b"PUSH_REQUEST"] * 3
    link.server.push = (PUSH,)
    link.come_up(5000)
    link.run(60_000)
    assert link.server.messages == [b"PUSH_REQUEST"] * 4 and link.down() is None


def test_without_pull_it_is_up_once_keys_are_there():
    link = Link(pull=False, data_ciphers_fallback="AES-128-CBC", cipher=None, peer_id=5)
    link.come_up()
    assert link.server.messages == []
    _exchange(link)


def test_what_is_pushed_in_vain_is_told():
    link = Link(push=(PUSH + b",setenv-safe x y,block-outside-dns,route nonsense",)).come_up()
    names = [name for _, name, _ in link.session.push_notes]
    assert names == ["setenv-safe", "block-outside-dns", "route"]


# ---- what the server's words lead to ----


def _refusing(push, **settings):
    link = Link(push=(push,), **settings)
    link.run(2000)
    assert link.kinds()[-1] == ovpn.DOWN
    return link.down()


def test_refusals_before_the_tunnel_is_up():
    for push, reason, words in (
        (b"AUTH_FAILED", "auth-failed", "refused"),
        (b"AUTH_FAILED,no such user\x1b[2J", "auth-failed", "no such user?[2J"),
        (b"AUTH_FAILED,TEMP[backoff 7]:busy", "auth-failed", "TEMP[backoff 7]:busy"),
        (b"RESTART,[N]", "server-restart", "[N]"),
        (b"HALT", "halt", "stop"),
        (PUSH + b",cipher AES-256-CBC", "options-error", "add it to data-ciphers"),
        (b"PUSH_REPLY,ifconfig 10.8.0.2 10.8.0.1", "options-error", "data-ciphers-fallback"),
        (PUSH + b",comp-lzo yes", "options-error", "compression"),
        (PUSH + b",tun-mtu 9000", "options-error", "tun-mtu-max"),
        (b"PUSH_REPLY" + b",a" * 600, "tls-error", "too many pushed options"),
    ):
        found = _refusing(push)
        assert found[0] == reason and words in found[1], (push, found)


def test_the_servers_options_string_may_be_anything():
    link = Link(push=(b"PUSH_REPLY,ping 1",), server={"key_options": b"cipher \xff\xfe\x1b"})
    link.run(2000)
    reason, text = link.down()
    assert reason == "options-error" and all(32 <= ord(char) < 127 for char in text)


def test_keying_material_export_where_tls_cannot():
    link = Link(push=(PUSH + b",key-derivation tls-ekm",), server={"key_options": b"V4"})
    exports = link.env.tls.can_export
    link.run(2000)
    # The server of these tests derives its keys by the PRF: here it only counts what is answered.
    assert (link.down() is None) == exports
    if not exports:
        assert link.down()[0] == "options-error" and "tls-ekm" in link.down()[1]


def test_no_provider_of_any_cipher():
    raises(Unsupported, Link, data_ciphers=("AES-192-GCM", "AES-192-CBC"))


def test_messages_of_a_tunnel_that_is_up():
    for message, reason in (
        (b"AUTH_FAILED,SESSION: token expired", ("auth-failed", "SESSION: token expired")),
        (b"RESTART,[P]moved", ("server-restart", "[P]moved")),
        (b"HALT,maintenance", ("halt", "maintenance")),
        (b"EXIT", ("server-restart", "the server leaves")),
    ):
        link = Link(**_CRYPT).come_up()
        link.server.say(message, link.now())
        link.run(100)
        assert link.down() == reason
        assert link.session.next_timer() is None


def test_info_and_what_is_not_known():
    link = Link().come_up()
    for message in (b"INFO,hello\n", b"INFO_PRE,later", b"CR_TEXT,x", b"", b"PUSH_REPLY,ping 1"):
        link.server.say(message, link.now())
    link.run(100)
    assert _info(link) == ["hello?", "later"] and link.down() is None
    assert link.session.counters.nonzero() == {"control_unknown_message": 1}
    assert link.session.options.ping == 0


def test_auth_pending_gives_more_time():
    for message, seconds in (
        (b"AUTH_PENDING,timeout 100", 100),
        (b"AUTH_PENDING,timeout 99999", 3600),
        (b"AUTH_PENDING", 60),
        (b"AUTH_PENDING,timeout x,foo", 60),
    ):
        link = Link(push=(), hand_window=60)
        link.run(200)
        link.server.say(message, link.now())
        link.run(seconds * 1000 - 400)
        assert link.down() is None, message
        link.run(1000)
        assert link.down() == ("timeout", "the server sent no PUSH_REPLY"), message


def test_auth_token_takes_the_passwords_place():
    for pushed, user in (
        (b",auth-token SESS_ID_x", b"anna"),
        (b",auth-token SESS_ID_x,auth-token-user Ym9i", b"bob"),
    ):
        link = Link(push=(PUSH + pushed,), auth_user_pass=(b"anna", b"secret")).come_up()
        assert link.session.credentials == (user, b"SESS_ID_x")
        link.server.rekey(link.now())
        link.run(1000)
        assert [info[1:3] for info in link.server.infos] == [
            (b"anna", b"secret"),
            (user, b"SESS_ID_x"),
        ]


def test_a_wrong_certificate():
    link = Link()

    def refuse(certificate):
        raise TlsError("not this one")

    link.env.check_peer = refuse
    link.run(2000)
    assert link.down() == ("tls-error", "not this one")


# ---- loss and worse ----


def test_it_comes_up_and_stays_up_over_bad_lines():
    push = (PUSH + b",ping 3,ping-restart 20",)
    replays = 0
    for seed, settings in enumerate(_WRAPS + _WRAPS):
        faults = Faults(seed, loss=25, double=20, delay=30, flip=10 if settings else 0)
        start = PERIOD - 1000 if seed < len(_WRAPS) else 0
        link = Link(faults, start=start, push=push, **settings).come_up()
        for i in range(100):
            link.send(b"E" + bytes([i]) * i)
            link.send_down(b"E" + bytes([i]) * i)
            link.run(500)
        assert link.down() is None
        assert 40 < len(link.received) <= 100 and 40 < len(link.server.packets) <= 100
        counters = link.session.counters
        assert counters["data_replay"] and bool(counters["data_bad_auth"]) == bool(faults.flip)
        replays += counters["control_replay"]
    assert replays


def _floods(link):
    """(counter, datagram) of packets that are to be dropped."""
    server = link.server
    other = bytes(8)
    ack = b"\1\0\0\0\0" + other
    forge = server.forge
    authentic = forge(opcodes.CONTROL_V1)
    yield "too_short", b""
    yield "too_long", bytes(CAPACITY + HEADROOM - link.session.wire_offset + 1)
    yield "unknown_opcode", b"\0" * 100
    yield "unknown_opcode", bytes([opcodes.HARD_RESET_CLIENT_V2 << 3]) + bytes(99)
    yield "unknown_opcode", bytes([31 << 3]) + bytes(1400)
    yield "unknown_key", bytes([opcodes.DATA_V1 << 3]) + bytes(99)
    yield "unknown_key", bytes([opcodes.DATA_V2 << 3 | 5]) + bytes(99)
    for n in (1, 8, 9, len(authentic) - 6):
        yield "too_short", authentic[:n]
    yield "malformed", forge(opcodes.CONTROL_V1, b"")
    yield "malformed", forge(opcodes.CONTROL_V1, b"\0\0\0\0")
    yield "malformed", forge(opcodes.CONTROL_V1, b"\x09" + bytes(100))
    yield "malformed", forge(opcodes.ACK_V1, b"\1\0\0\0\0" + bytes(7))
    yield "bad_session_id", forge(opcodes.CONTROL_V1, session_id=other)
    yield "bad_session_id", forge(opcodes.ACK_V1, ack)
    yield "unexpected_reset", forge(opcodes.HARD_RESET_SERVER_V2, session_id=other)
    yield "unknown_key", forge(opcodes.CONTROL_V1, key_id=3)
    yield "unknown_key", forge(opcodes.CONTROL_V1, key_id=2)
    yield "control_bad_auth", authentic[:20] + b"\x55" + authentic[21:]
    yield "control_replay", link.replay


def _keep_last_control_packet(link):
    """link.replay: a control packet that the client has had."""
    wrapped = link.server.next_packet

    def next_packet(now):
        packet = wrapped(now)
        if packet:
            link.replay = packet
        return packet

    link.server.next_packet = next_packet


def test_every_flood_is_counted_under_its_name():
    link = Link(**_CRYPT)
    _keep_last_control_packet(link)
    link.come_up()
    link.run(5000)
    expected = {}
    for name, packet in _floods(link):
        before = link.session.counters[name]
        assert link.inject(packet) == 0
        assert link.session.counters[name] == before + 1, (name, packet[:20])
        expected[name] = before + 1
    assert link.session.counters.nonzero() == expected
    _exchange(link)
    assert link.kinds() == [ovpn.UP]


def test_data_packets_that_are_damaged_or_cut():
    link = Link().come_up()
    for _ in range(2):  # the second time all are replays or still wrong
        packet = link.server.seal(b"E" * 50)
        for i in range(4, len(packet)):
            assert link.inject(packet[:i] + bytes([packet[i] ^ 4]) + packet[i + 1 :]) == 0
            assert link.inject(packet[:i]) == 0
        assert link.inject(packet) == 50 and link.inject(packet) == 0
    counted = link.session.counters.nonzero()
    assert counted["data_replay"] == 2 and counted["data_bad_auth"] and counted["data_too_short"]
    assert sorted(counted) == ["data_bad_auth", "data_replay", "data_too_short"]


def test_noise_at_every_stage():
    for settings in (_CRYPT, _WRAPS[3]):
        random = Random(7)
        link = Link(**settings)
        for _ in range(60):
            first = random.below(16) << 3 | random.below(8)
            link.inject(bytes([first]) + random.octets(random.below(200)))
            link.run(5)
        assert link.come_up().down() is None
        _exchange(link)


def test_a_reset_under_another_key_id_does_not_settle_the_session():
    link = Link()
    link.inject(link.server.forge(opcodes.HARD_RESET_SERVER_V2, session_id=bytes(8), key_id=1))
    assert link.session.counters.nonzero() == {"bad_session_id": 1}
    link.come_up()


# ---- time ----


def test_timeouts_of_connecting():
    for settings, ms, text in (
        ({"server_poll_timeout": 7}, 7000, "no answer from the server"),
        ({"server_poll_timeout": 90, "hand_window": 30}, 30_000, "no answer from the server"),
    ):
        link = Link(Faults(loss=100), **settings)
        link.run(ms - 1)
        assert link.down() is None
        link.run(1)
        assert link.down() == ("timeout", text)
    # From the server's answer on, hand-window counts.
    link = Link(push=(), server_poll_timeout=5, hand_window=20)
    link.run(20_019)
    assert link.down() is None
    link.run(1)
    assert link.down() == ("timeout", "the server sent no PUSH_REPLY")
    link = Link(hand_window=20)
    link.run(25)
    link.silent = True
    link.run(20_000)
    assert link.down() == (
        "timeout", "the TLS handshake did not end within hand-window: see the server's log")


def test_the_reset_is_repeated_with_patience():
    link = Link(Faults(loss=100), server_poll_timeout=60)
    link.run(30_000)
    # At 0, 0.5, 1.5, 3.5 and 7.5 s, then every 4 s.
    assert len(link.sizes) == 10


def test_pings_and_silence():
    for pushed, seconds, reason in (
        (b",ping 10,ping-restart 60", 60, "ping-restart"),
        (b",ping-exit 30", 30, "ping-exit"),
        (b",inactive 20", 20, "inactive"),
        (b",ping 5,inactive 20 100", 20, "inactive"),
        (b",ping 5,inactive 20,compress stub-v2", 20, "inactive"),
        (b",ping 5,inactive 20,compress stub", 20, "inactive"),
        (b",ping 5,inactive 20,comp-lzo no", 20, "inactive"),
    ):
        for start in (0, _WRAP):
            link = Link(push=(PUSH + pushed,), start=start).come_up()
            link.run(seconds * 1000 - 100)
            assert link.down() is None, pushed
            # Seconds are counted whole, and the server's last acknowledgement is a sign of life.
            link.run(1200)
            assert link.down()[0] == reason, pushed
            assert all([PING[1:] in packet for packet in link.server.packets])
            assert (
                len(link.server.packets)
                == {60: 5, 30: 0, 20: 3 if b"ping 5" in pushed else 0}[seconds]
            )


def test_traffic_keeps_it_alive():
    link = Link(push=(PUSH + b",ping 10,ping-restart 20,inactive 20 50",)).come_up()
    for _ in range(30):
        link.send(b"E" * 60)
        link.send_down(PING)
        link.run(5000)
    assert link.down() is None
    # Nothing but packets of the device arrived there, and the client had no need to ping.
    assert not link.received and PING not in link.server.packets


def test_the_servers_exit_notice():
    link = Link().come_up()
    for _ in range(3):
        link.send_down(EXIT_NOTICE)
    link.run(100)
    assert link.down() == ("server-restart", "the server leaves") and not link.received


def test_payloads_that_resemble_a_ping():
    link = Link().come_up()
    texts = (PING[:15], PING + b"\0", EXIT_NOTICE[:16], b"\x2b" + PING[1:])
    for text in texts:
        link.send_down(text)
    link.run(100)
    assert tuple(link.received) == texts and link.down() is None


def test_leaving():
    flags = b",protocol-flags cc-exit"
    for pushed, settings, packets, messages in (
        (b"", {"explicit_exit_notify": 2}, [EXIT_NOTICE] * 2, []),
        (b"", {"explicit_exit_notify": 9}, [EXIT_NOTICE] * 3, []),
        (b"", {}, [], []),
        (flags, {"explicit_exit_notify": 1}, [], [b"EXIT"]),
        (flags, {}, [], []),
        (b"", {"explicit_exit_notify": 1, "tcp": True}, [], []),
    ):
        link = Link(push=(PUSH + pushed,), **settings).come_up()
        link.session.stop()
        link.session.needs_drain = True
        link.run(100)
        assert link.server.packets == packets
        assert link.server.messages == [b"PUSH_REQUEST"] + messages
        link.session.close()
        assert not link.send(b"E") and link.session.ring.totals()[0] == len(packets)


def test_leaving_before_it_is_up():
    link = Link(explicit_exit_notify=1)
    link.session.stop()
    link.session.close()
    assert link.session.next_timer() is None


def test_noise_inside_tls():
    for settings in ({}, _CRYPT):
        for ms in range(0, 90, 10):
            for message_id in range(6):
                link = Link(**settings)
                link.run(ms)
                body = b"\0" + message_id.to_bytes(4, "big") + b"\x16\3\3\0\x08" + bytes(range(8))
                link.inject(link.server.forge(opcodes.CONTROL_V1, body))
                link.run(60_000)
                # Either the message was an old one, or it ends this session, with a reason.
                assert link.kinds() in ([ovpn.UP], [ovpn.DOWN], [ovpn.UP, ovpn.DOWN])
                if link.down():
                    assert link.down()[0] in ("tls-error", "timeout") and link.down()[1]
