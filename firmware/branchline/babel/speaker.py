"""Writes the packets: what waits in the outboxes becomes TLVs (RFC 8966 3.4, 3.7)."""

from micropython import const

from branchline.babel.interface import GROUP
from branchline.babel.mac import pseudo_header
from branchline.babel.packet import Packet, retraction
from branchline.babel.prefix import IPV4
from branchline.babel.records import NONE
from branchline.babel.tlv import INFINITY
from branchline.wire.ticks import ticks_add, ticks_diff

# Between the two times that a loss is told.
_REPEAT_MS = const(200)
# An IHU goes out with every third Hello, or with each while Hellos get lost.
_IHU_EVERY = const(3)


class Speaker:
    """Fills packets for one destination after another; `interface` and `destination` say whose
    the last one was."""

    def __init__(self, router, interfaces, alarm, counters):
        self.interface = None
        self.destination = None
        self._router = router
        self._interfaces = interfaces
        self._alarm = alarm
        self._counters = counters

    def next_datagram(self, out, now, now_us):
        """Writes the next packet that is due into out; its length, or 0."""
        due = self._alarm.due
        if due is None or ticks_diff(now, due) < 0:
            return 0
        for interface in self._interfaces.values():
            if not interface.up:
                continue
            for neighbour in interface.neighbours.values():
                if neighbour.outbox.is_due(now):
                    n = self._fill(interface, neighbour, out, now, now_us)
                    if n:
                        return n
            if interface.hello_wanted or interface.outbox.is_due(now):
                n = self._fill(interface, None, out, now, now_us)
                if n:
                    return n
        self._rearm()
        return 0

    def _rearm(self):
        alarm = self._alarm
        alarm.due = None
        for interface in self._interfaces.values():
            if interface.up:
                for neighbour in interface.neighbours.values():
                    neighbour.outbox.rearm()
                interface.outbox.rearm()

    def _fill(self, interface, neighbour, out, now, now_us):
        """Writes one packet to a neighbour, or (None) to all on the interface."""
        signer = interface.signer
        room = signer.room() if signer else 0
        p = Packet(out, min(len(out), interface.payload) - room)
        if neighbour is None:
            box = interface.outbox
            destination = GROUP
            if interface.hello_wanted:
                self._greet(interface, p, now_us)
        else:
            box = neighbour.outbox
            destination = neighbour.address
        while box.tlvs and p.raw(box.tlvs[0]):
            box.tlvs.pop(0)
        if not box.tlvs:
            self._updates(interface, box, p, now)
        if p.is_empty():
            return 0
        n = p.finish(signer.counter_tlv() if signer else b"")
        if signer:
            header = pseudo_header(interface.link_local, destination)
            trailer = signer.trailer(header, memoryview(out)[:n])
            out[n : n + len(trailer)] = trailer
            n += len(trailer)
        self.interface = interface.name
        self.destination = destination
        return n

    def _greet(self, interface, p, now_us):
        """A Hello, and the IHUs whose turn it is."""
        interface.hello_wanted = False
        interface.hello_seqno = (interface.hello_seqno + 1) & 0xFFFF
        interval = interface.hello_ms // 10
        sent_us = now_us if interface.rtt else None
        p.hello(interface.hello_seqno, interval, False, sent_us)
        for neighbour in interface.neighbours.values():
            if neighbour.ihu_skip > 0:
                neighbour.ihu_skip -= 1
                continue
            origin = receive = None
            if sent_us is not None and neighbour.rtt:
                origin, receive = neighbour.rtt.origin_us, neighbour.rtt.receive_us
            rxcost = neighbour.rxcost()
            if not p.ihu(neighbour.address, rxcost, interval * _IHU_EVERY, origin, receive):
                # The others' turn comes with the next Hello, before these.
                return
            if neighbour.ihu_skip < 0:
                neighbour.ihu_skip += 1
            else:
                neighbour.ihu_skip = 0 if neighbour.is_lossy() else _IHU_EVERY - 1

    def _updates(self, interface, box, p, now):
        """As many updates as fit: first the wanted ones, then the walk over the table."""
        repeat = False
        box.due = None
        prefixes = self._router.table.prefixes
        for row in list(box.updates):
            key = prefixes.key[row]
            if key is not None and not self._update(interface, row, key, p, now):
                box.hasten(now)
                return
            left = box.updates[row] - 1
            if left:
                box.updates[row] = left
                repeat = True
            else:
                del box.updates[row]
        if repeat:
            box.hasten(ticks_add(now, _REPEAT_MS))
        else:
            # MicroPython's dicts never shrink.
            box.updates = {}
        if not box.dumps(now):
            return
        if interface.penalty >= INFINITY:
            if p.raw(retraction()):
                box.end_dump(now)
            return
        row = box.dump
        while row < len(prefixes):
            key = prefixes.key[row]
            told = key is not None and self._is_told(prefixes, row)
            if told and not self._update(interface, row, key, p, now):
                box.dump = row
                return
            row += 1
        box.end_dump(now)

    def _is_told(self, prefixes, row):
        """Whether a prefix belongs into a walk: routes, and losses that are still held."""
        if prefixes.local[row]:
            return True
        if self._router.stub or prefixes.selected[row] == NONE:
            return prefixes.announced[row] < INFINITY
        return True

    def _update(self, interface, row, key, p, now):
        """Writes a prefix's update as things are now; False if it does not fit."""
        router = self._router
        via_ipv4 = interface.ipv4 if key[0] == IPV4 else None
        if key[0] == IPV4 and not via_ipv4 and not interface.v4_via_v6:
            return True
        if not router.policy.may_announce(key, interface.name):
            return True
        table = router.table
        router_id, seqno, metric = None, 0, INFINITY
        if interface.penalty >= INFINITY:
            # Whatever there is, not by this link.
            pass
        elif table.prefixes.local[row]:
            router_id, seqno, metric = router.router_id, router.seqno, 0
        elif table.prefixes.selected[row] != NONE and not router.stub:
            selected = table.prefixes.selected[row]
            source = table.routes.neighbour[selected].interface
            if interface.split_horizon and source is interface:
                return True
            metric = table.routes.total(selected)
            if metric < INFINITY:
                router_id = table.routes.router_id[selected]
                seqno = table.routes.seqno[selected]
        if metric < INFINITY:
            if not table.sources.announced(row, router_id, seqno, metric, now):
                self._counters.bump("sources_full")
                return True
            table.prefixes.announced[row] = metric
        interval = max(1, interface.update_ms // 10)
        return p.update(key, interval, seqno, metric, router_id, via_ipv4)
