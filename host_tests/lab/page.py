"""A web page on a host of the lab."""

import sys

from host_tests.lab.netns import Host
from host_tests.lab.process import Process

_PORT = 80


def serve_page(host: Host, address: str, text: str) -> Process:
    """Serve a page of that text at http://ADDRESS/, once it is there."""
    # Python's http.server asks for the name of its address, and there is no DNS here.
    host.name_address(host.name, address)
    pages = host.directory / "pages"
    pages.mkdir(exist_ok=True)
    (pages / "index.html").write_text(text)
    server = host.spawn(
        sys.executable, "-u", "-m", "http.server", str(_PORT), "--bind", address,
        "--directory", str(pages), name="http",
    )
    server.wait_for("Serving HTTP")
    return server
