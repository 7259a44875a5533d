"""Random Babel networks under random faults: no loop at any instant, whole again when healed.

Examples are the same at every run; with BABEL_SIM_RANDOM set they are drawn anew (and
pytest's --hypothesis-seed chooses which).
"""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from branchline.babel.tlv import INFINITY
from host_tests.babel_sim.faults import KINDS, Faults
from host_tests.babel_sim.network import Network

# All that is left after healing: damaged links' packets arrive, IHUs and updates come in turn.
SETTLE_MS = 20_000
# A router that comes back under its id without its seqno waits for the sources to expire.
FORGOTTEN_MS = 190_000

WAITS = (0, 50, 300, 1_000, 3_000)
EVENTS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 999), st.sampled_from(WAITS)),
    min_size=10,
    max_size=60,
)


def profile(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize="BABEL_SIM_RANDOM" not in os.environ,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def build(seed, size, extra, wireless=False):
    """A connected network: a random tree, and `extra` links between two or three nodes."""
    network = Network(seed)
    draw = network.random
    nodes = [network.add_node() for _ in range(size)]
    for i in range(1, size):
        network.add_link(
            nodes[i], nodes[draw.randrange(i)], rtt=draw.random() < 0.3, wireless=wireless
        )
    for _ in range(extra):
        members = draw.sample(nodes, min(size, draw.choice((2, 2, 3))))
        network.add_link(
            *members,
            cost=draw.choice((30, 96, 200)),
            mtu=draw.choice((576, 1280)),
            wireless=wireless,
        )
    return network


def settle(network, limit_ms):
    """Runs until nothing is wrong, or for limit_ms; what then is wrong."""
    for _ in range(0, limit_ms, 500):
        if not network.faults():
            break
        network.run(500)
    return network.faults()


def play(network, events):
    faults = Faults(network)
    for kind, i, wait in events:
        getattr(faults, kind)(i)
        network.run(wait)
    faults.heal()
    network.run(2_000)


@profile(80)
@given(st.integers(0, 2**32), st.integers(2, 9), st.integers(0, 8), EVENTS)
def test_faults_heal_without_a_loop(seed, size, extra, events):
    network = build(seed, size, extra)
    network.run(3_000)
    play(network, events)
    assert settle(network, SETTLE_MS) == []


@profile(8)
@given(st.integers(0, 2**32), st.integers(20, 30), st.integers(5, 20), EVENTS)
def test_large_networks_heal_without_a_loop(seed, size, extra, events):
    network = build(seed, size, extra)
    network.run(3_000)
    play(network, events)
    assert settle(network, SETTLE_MS) == []


@profile(6)
@given(st.integers(0, 2**32), st.integers(3, 6), st.lists(st.integers(0, 99), max_size=4))
def test_rfc8966_3_2_5_a_router_without_its_seqno_is_back_once_sources_expire(seed, size, hits):
    network = build(seed, size, 2)
    network.run(3_000)
    faults = Faults(network)
    for i in hits:
        faults.forget(i)
        network.run(1_000)
    assert settle(network, FORGOTTEN_MS) == []


@profile(8)
@given(st.integers(0, 2**32), st.integers(4, 10), st.integers(1, 6))
def test_partitions_leave_nothing_stale(seed, size, extra):
    network = build(seed, size, extra)
    network.run(5_000)
    for link in network.links[::2]:
        link.up = False
    # Hellos lost (1.25 s), the loss told from node to node, at worst expiry (7 s, twice).
    assert settle(network, 30_000) == []


@profile(6)
@given(st.integers(0, 2**32), st.integers(3, 8), st.sampled_from((0.05, 0.3)))
def test_lossy_networks_route_everywhere(seed, size, loss):
    # At 30 %, 2-out-of-3 would take a link down for a fifth of the time.
    network = build(seed, size, 3, wireless=loss > 0.1)
    for link in network.links:
        link.loss = loss
    network.run(10_000)
    assert settle(network, SETTLE_MS) == []


@profile(10)
@given(st.integers(0, 2**32))
def test_others_leave_a_lost_link_when_its_router_says_so(seed):
    """Branches a and b between hubs x, the nearer one, and y: b learns of what a has lost by y,
    long before x has missed three Hellos."""
    network = Network(seed)
    a, b, x, y = [network.add_node() for _ in range(4)]
    lost = network.add_link(a, x)
    for one, other, cost in ((a, y, 96), (b, x, 96), (b, y, 150), (x, y, 96)):
        network.add_link(one, other, cost=cost)
    network.run(20_000)
    name = a.prefixes[0]
    assert b.fib[name] is x
    lost.up = False
    a.agent.set_penalty(lost.name, INFINITY, network.now)
    a.agent.refresh(network.now)
    network.drain(a)
    network.run(250)
    assert b.fib[name] is y
    network.run(5_000)
    lost.up = True
    a.agent.set_penalty(lost.name, 0, network.now)
    network.drain(a)
    network.run(20_000)
    assert b.fib[name] is x
    assert settle(network, SETTLE_MS) == []
