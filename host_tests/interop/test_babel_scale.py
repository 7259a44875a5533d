"""Babel with many neighbours and routes, full tables, and its share of a small heap."""

import pytest

from host_tests.bench import babel_heap
from host_tests.bench.babel_network import GATEWAY, Network, stop
from host_tests.bench.babel_routes import RouteWatch

_PREFIXES = 10  # of each neighbour
_FLAPPING = 10
_ENOUGH = 100.0  # seconds, on a machine that is busy with other things
_SHARE = 64 * 1024


@pytest.mark.timeout(400)
def test_1000_routes_of_100_neighbours_come_go_and_return(lab):
    network = Network(lab, 100, _PREFIXES, _FLAPPING)
    network.fresh_device()
    watch = RouteWatch(network.device)
    process = network.start(GATEWAY)
    watch.wait(lambda n: n == 1000, _ENOUGH)
    network.learned.wait(lambda n: n == 990, _ENOUGH)
    network.flap("disable")
    watch.wait(lambda n: n == 900, _ENOUGH)
    network.flap("enable")
    watch.wait(lambda n: n == 1000, _ENOUGH)
    stop(process)
    watch.wait(lambda n: n == 0, _ENOUGH)


@pytest.mark.timeout(200)
def test_full_tables_keep_what_they_hold_and_count_the_rest(lab):
    prefixes, neighbours = 64, 8
    network = Network(lab, 12, _PREFIXES, 1, limits=(prefixes, neighbours))
    network.fresh_device()
    watch = RouteWatch(network.device)
    process = network.start(GATEWAY)
    watch.wait(lambda n: n == prefixes, _ENOUGH)
    before = dict(watch.hops)
    # Full updates come again and again, and must not drive out what was there first.
    network.device.run("sleep", "6")
    watch.wait(lambda n: n == prefixes, _ENOUGH)
    assert watch.hops == before
    stop(process)
    assert "'prefixes_full'" in process.log()
    assert "'neighbours_full'" in process.log()


@pytest.mark.parametrize("copies, heap", [
    # 200 routes with all the code in the heap; `w` sizes it by this machine's words, so that it is
    # one of 192 KB where pointers have 64 bits.
    (1, "96wk"),
    # 800 routes, where the code lies in flash.
    (babel_heap.NEIGHBOURS, "1M"),
])
def test_200_prefixes_of_4_neighbours_take_64_kb_of_the_heap(copies, heap):
    figures = babel_heap.share(copies, heap)
    assert figures, "out of memory"
    assert figures["selected"] == babel_heap.PREFIXES
    assert figures["agent"] + figures["tables"] <= _SHARE
