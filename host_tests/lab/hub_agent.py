"""A hub's agent on a host of the lab: the firmware with the role `hub`."""

from host_tests.lab.errors import LabError
from host_tests.lab.gateway import Gateway
from host_tests.lab.netns import Host


class HubAgent(Gateway):
    """Run as a Gateway is; its folder holds gateway.json and what `files` names.

        agent = HubAgent(host, servers=[{...}], clients={"accept": ["10.100.0.0/24"]}).start()
    """

    def __init__(self, host: Host, *, files: dict[str, str] | None = None, heap: str | None = None,
                 compiled: bool = True, env: dict | None = None, **config):
        """config: the keys of gateway.json; files: names and texts of further files."""
        super().__init__(host, {}, name=host.name, heap=heap, compiled=compiled, env=env)
        self.files = files or {}
        self.config = {"name": host.name, "role": "hub", "state": None, "api": {"listen": None},
                       **config}

    def write(self):
        """Write the agent's folder; return its path."""
        folder = super().write()
        for name, text in self.files.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        return folder

    def stop(self, timeout: float = 5.0) -> None:
        """SIGTERM; raise LabError unless the agent exits with 0. Its routes stay."""
        process = self._running()
        if code := process.stop(timeout):
            raise LabError(f"{process.name} ended with {code}; its log ends with:\n"
                           f"{process.tail()}")
