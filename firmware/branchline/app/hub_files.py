"""The files that a hub's gateway.json names: paths made absolute, passwords read."""

import os
import sys

from branchline.wire.errors import ConfigError

_OTHERS = 0o077
_MAX_PASSWORD = 128


def read_files(config, folder, read_file):
    """Completes a HubConfig. Raises ConfigError."""
    for server in config.servers:
        if server.path is not None and server.path[0] != "/":
            server.path = folder + "/" + server.path
        if server.password is not None:
            server.password = _password(server, folder, read_file)


def _password(server, folder, read_file):
    """The first line of the file, as OpenVPN takes it."""
    where = "gateway.json: servers." + server.name + ".password"
    name = server.password
    try:
        data = read_file(name)
    except OSError as error:
        hint = "paths are relative to the folder of gateway.json"
        raise ConfigError(where, "cannot read %s: %s" % (name, error), hint) from None
    if os.stat(name if name[0] == "/" else folder + "/" + name)[0] & _OTHERS:
        sys.stderr.write("warning: others may read %s: chmod 600 it\n" % name)
    password = data.split(b"\n")[0].rstrip(b"\r")
    if not 0 < len(password) <= _MAX_PASSWORD:
        reason = "the first line of %s has not 1 to %d octets" % (name, _MAX_PASSWORD)
        raise ConfigError(where, reason, "it is that of OpenVPN's own file")
    return password
