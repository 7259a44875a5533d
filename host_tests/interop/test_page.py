"""The status page in a real browser."""

import sys
import time

import pytest

from host_tests.interop.babel_support import make_network, start, wait_reachable
from host_tests.interop.openvpn_support import connect
from host_tests.lab.browser import Browser

_URL = "http://127.0.0.1:8086/"
_TEXT = "document.body.innerText"
_OTHER = 8099  # where a page of another site is served

# Asks the gateway for what only its own page may ask for; says in its title how that ended.
_EVIL = """<!doctype html><script>
const ask = (options) => fetch("http://127.0.0.1:8086/api/v1/tunnels/paris/restart",
  { method: "POST", ...options }).then(a => a.type + a.status, () => "failed");
Promise.all([
  ask({ headers: { "X-Branchline": "1" } }),
  ask({ mode: "no-cors", headers: { "Content-Type": "text/plain" }, body: "{}" }),
  ask({ headers: { "Content-Type": "application/json" }, body: "{}" }),
  fetch("http://127.0.0.1:8086/api/v1/status").then(() => "read", () => "failed"),
]).then(all => { document.title = all.join(" "); });
</script>"""


@pytest.mark.parametrize("width", [390, 1100])
def test_the_page_shows_the_gateway(lab, width):
    network = make_network(lab, "babeld+bird")
    running = start(network)
    host = network.branches["lyon"].gateway
    wait_reachable(host, network.centres["dublin"].address)
    with Browser(host, _URL, width=width) as browser:
        browser.wait("document.querySelectorAll('h3 .good').length == 2")
        for word in ("lyon", "paris", "dublin", "AES-256-GCM", "tun-dublin", "10.2.0.0/24"):
            browser.wait(f"{_TEXT}.includes({word!r})")
        # Nothing is wider than the window.
        browser.wait("document.documentElement.scrollWidth <= window.innerWidth")
        assert browser.evaluate("document.querySelector('#alarm').textContent") == ""
        network.centres["paris"].server.stop()
        browser.wait("document.querySelectorAll('h3 .good').length == 1")
        running.stop()
        browser.wait(f"{_TEXT}.includes('does not answer')")


def test_the_page_of_another_site_gets_nothing(pair):
    running = connect(pair, pair.server())
    (pair.branch.directory / "index.html").write_text(_EVIL)
    site = pair.branch.spawn(
        sys.executable, "-u", "-m", "http.server", str(_OTHER), "--bind", "127.0.0.1",
        "--directory", str(pair.branch.directory), name="http",
    )
    site.wait_for("Serving HTTP")
    with Browser(pair.branch, f"http://127.0.0.1:{_OTHER}/") as browser:
        browser.wait("document.title")
        assert browser.evaluate("document.title") == "failed opaque0 failed failed"
    time.sleep(0.5)
    assert "asked for by the API" not in running.log()
    running.stop()
