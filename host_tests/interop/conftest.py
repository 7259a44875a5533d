"""Fixtures of the tests with real peers: a lab for each test, and the smallest useful networks."""

import dataclasses
import itertools

import pytest

from host_tests.lab import Host, Lab, LabError, Link, Pki, Server, privileges


def pytest_configure(config):
    """As a user, go on in a user namespace; the output must be the terminal's by then."""
    config.addinivalue_line("markers", "takes(seconds): how long it takes, if that is long")
    config.addinivalue_line("markers", "calm: counts single packets: nothing runs beside")
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.suspend_global_capture(in_=True)
    try:
        privileges.ensure()
    except LabError as error:
        raise pytest.UsageError(str(error)) from None
    finally:
        capture.resume_global_capture()


def pytest_collection_modifyitems(items):
    """Long tests first, so that at the end nobody waits for one; a short one after each, as every
    worker is given two to begin with."""
    marks = [item.get_closest_marker("takes") for item in items]
    long = [(mark.args[0], item) for mark, item in zip(marks, items, strict=True) if mark]
    short = (item for mark, item in zip(marks, items, strict=True) if not mark)
    long.sort(key=lambda pair: -pair[0])
    ordered = []
    for _, item in long:
        ordered += [item, *itertools.islice(short, 1)]
    items[:] = ordered + list(short)


@pytest.fixture
def lab():
    """An empty lab; all that a test makes in it is gone afterwards."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def pki(lab):
    """Keys and certificates; keys are made once in a run for each kind and name."""
    return Pki(lab.directory / "pki")


@dataclasses.dataclass
class Pair:
    """Two hosts on one link, 192.0.2.0/24 and 2001:db8::/64: the hub has the first addresses."""

    hub: Host
    branch: Host
    link: Link
    pki: Pki

    def server(self, **options) -> Server:
        """A started stock server on the hub; see lab.openvpn.Server for the options."""
        return Server(self.hub, self.pki, **options).start()

    def remote(self, version: int = 4) -> str:
        """The hub's address for a profile's `remote`."""
        return self.link.address(self.hub, version)

    def profile(self, server: Server, client: str = "lyon", **changes) -> str:
        """The profile with which the branch reaches the server."""
        version = 6 if server.options.proto.endswith("6") else 4
        return server.profile(client, self.remote(version), **changes)


@pytest.fixture
def pair(lab, pki):
    """A hub and a branch, side by side."""
    hub, branch = lab.host("hub"), lab.host("branch")
    return Pair(hub, branch, lab.link(hub, branch, "192.0.2.0/24", "2001:db8::/64"), pki)
