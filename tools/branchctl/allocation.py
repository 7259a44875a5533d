"""Addresses and numbers given to members: each keeps its own for ever."""

import ipaddress
import itertools
from collections.abc import Iterable, Iterator

from branchctl.model import Fleet, Hub
from branchctl.reader import Network, Report
from branchctl.record import Record

_FIRST_NUMBER = 2  # in a tunnel's subnet, behind the hub's own address


def allocate(fleet: Fleet, record: Record, report: Report) -> None:
    """Give whoever has none an address and a number, and note whatever does not fit.

    The record changes only by additions, except where fleet.toml names another address.
    """
    _allocate_hubs(fleet, record)
    _fixed_addresses(fleet, record, report)
    _free_addresses(fleet, record, report)
    for name in fleet.branches:
        if name not in record.numbers:
            taken = set(record.numbers.values())
            record.numbers[name] = _first(taken, itertools.count(_FIRST_NUMBER))
    _check_room(fleet, record, report)
    record.network = fleet.network


def _allocate_hubs(fleet: Fleet, record: Record) -> None:
    for name in fleet.hubs:
        if name not in record.hubs:
            record.hubs[name] = _first(set(record.hubs.values()), itertools.count(1))
        record.server_keys.setdefault(name, 1)
    for a, b in itertools.combinations(fleet.hubs, 2):
        pair = record.pair(a, b)
        if pair not in record.mesh:
            record.mesh[pair] = _first(set(record.mesh.values()), itertools.count(1))


def _fixed_addresses(fleet: Fleet, record: Record, report: Report) -> None:
    for member in fleet.members.values():
        if member.address is None:
            continue
        address = str(member.address)
        holder = next((name for name, each in record.addresses.items()
                       if each == address and name != member.name), None)
        # Who has a fixed address of its own by now leaves the one that it had.
        other = fleet.members.get(holder) if holder else None
        if holder and (other is None or other.address is None):
            former = "" if other else ", which is no longer in the file,"
            report.add((*member.key, "address"), f"{address} was given to {holder}{former} for "
                       "ever", "choose another, or remove it for an automatic one")
        record.addresses[member.name] = address


def _free_addresses(fleet: Fleet, record: Record, report: Report) -> None:
    taken = {int(ipaddress.IPv4Address(each)) for each in record.addresses.values()}
    if fleet.virtual is None:
        return
    free = range(int(fleet.virtual.network_address) + 1, int(fleet.virtual.broadcast_address))
    candidates = iter(free)
    for member in fleet.members.values():
        if member.name not in record.addresses:
            found = next((each for each in candidates if each not in taken), None)
            if found is None:
                report.add(("virtual",), f"{fleet.virtual} has no address left for {member.name}",
                           "a wider prefix keeps all addresses that were given")
                return
            record.addresses[member.name] = str(ipaddress.IPv4Address(found))
        elif ipaddress.IPv4Address(record.addresses[member.name]) not in fleet.virtual:
            report.add(("virtual",), f"{member.name} was given {record.addresses[member.name]}, "
                       f"which is not in {fleet.virtual}",
                       "use a prefix that holds all addresses that were given, or write another "
                       f"address for {member.name}")


def _check_room(fleet: Fleet, record: Record, report: Report) -> None:
    for hub in fleet.hubs.values():
        for network in subnets(hub).values():
            worst = max((record.numbers[name] for name in fleet.branches), default=0)
            if worst > network.num_addresses - 2:
                report.add((*hub.key, "tunnels"), f"{hub.tunnels} is too small: each port's part, "
                           f"such as {network}, needs room for number {worst}",
                           "use a wider prefix; it may change at any time")
    worst = max((record.mesh.values()), default=0)
    if fleet.mesh is not None and 2 * worst + 1 >= fleet.mesh.num_addresses:
        report.add(("mesh",), f"{fleet.mesh} is too small for link {worst}", "use a wider prefix")


def _first(taken: set, candidates: Iterable[int]) -> int:
    return next(each for each in candidates if each not in taken)


def subnets(hub: Hub) -> dict[str, Network]:
    """The part of a hub's tunnel addresses that each of its server processes has."""
    if hub.tunnels is None or not hub.instances:
        return {}
    parts: Iterator = hub.tunnels.subnets((len(hub.instances) - 1).bit_length())
    return dict(zip(hub.instances, parts))
