"""Three hubs and forty branches on one machine, of which three run our gateway."""

import pytest

from host_tests.interop.openvpn_support import eventually
from host_tests.lab.fleet_lab import FleetLab, provision
from host_tests.tools.fleets import large, write

HUBS, BRANCHES, GATEWAYS = 3, 40, 3
_ENOUGH = 200.0  # seconds, on a machine that is busy with other things


@pytest.mark.timeout(500)
def test_three_hubs_serve_forty_branches(lab):
    folder = write(lab.directory / "fleet", large(HUBS, BRANCHES))
    provision(folder / "fleet.toml")
    stock = [f"b{n}" for n in range(GATEWAYS + 1, BRANCHES + 1)]
    fleet = FleetLab(lab, folder, stock=stock).start().wait(_ENOUGH)
    gateways = [site for site in fleet.branches.values() if site.gateway]
    virtuals = {site.virtual for site in fleet.branches.values()}

    # Each kit serves all forty: they are heard in its own tunnels, and answer there.
    for hub in fleet.hubs.values():
        eventually(lambda hub=hub: served(hub) >= virtuals, f"{hub.name} serves all", _ENOUGH)
        silent = [site.name for site in fleet.branches.values()
                  if not hub.host.ping(site.virtual, 5).received]
        assert not silent, hub.name

    # Whoever is in the fleet reaches whoever else is, from LAN to LAN.
    first, last = gateways[0], fleet.branches[stock[-1]]
    reaches(first, last)
    reaches(last, gateways[-1])

    # A hub is lost: what went by it goes by the others.
    lost = fleet.hubs["h1"]
    lost.hub.kill()
    for site in gateways:
        rest = {name: each for name, each in fleet.sites.items() if each not in (site, lost)}
        eventually(lambda site=site, rest=rest: not (site.routed(rest) or routes_by(site, "h1")),
                   f"{site.name} routes by the other hubs", _ENOUGH)
    reaches(first, last)

    # It comes back, and is reached by itself again.
    lost.hub.restart()
    for site in gateways:
        eventually(lambda site=site: site.way_to(lost.virtual) == "h1",
                   f"{site.name} reaches h1 by itself", _ENOUGH)
    fleet.wait(_ENOUGH)


def served(hub) -> set[str]:
    """What a hub reaches in its own tunnels."""
    return {prefix for prefix, device in hub.devices().items() if device in hub.devices_in}


def reaches(site, other) -> None:
    eventually(lambda: site.outlook.ping(other.address, timeout=1).received,
               f"{site.name} reaches {other.name}", _ENOUGH)


def routes_by(site, hub: str) -> list[str]:
    """The prefixes of the fleet that a branch reaches by a hub, beside the tunnel's own."""
    return [prefix for prefix, device in site.devices().items()
            if device == site.device(hub) and not prefix.startswith(("10.8.", "fe80:"))]
