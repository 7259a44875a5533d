"""The kit's installer on a whole machine, whose folders and systemd are the test's own."""

import shutil
import sys

from host_tests.tools.fleets import SMALL, branchctl, write

# Remembers what it is asked for, and which units run.
_SYSTEMCTL = """\
#!/bin/sh
for last; do :; done
case $1 in
is-active) exec test -e "{folder}/$last" ;;
start) touch "{folder}/$last" ;;
esac
case $1 in start | restart | reload) echo "$1 $last" >>{folder}/asked ;; esac
"""
# Which packages there are is what the machine itself says.
_INSTALL = """\
set -e
cd {folder}
mkdir -p lib/dpkg etc
mount --bind /var/lib/dpkg lib/dpkg
mount --rbind lib /var/lib
mount --bind etc /etc
mount -t tmpfs none /usr/local/lib
mount -t tmpfs none /run
printf '#!/bin/sh\\nexec {interpreter} "$@"\\n' >/run/interpreter
chmod 755 /run/interpreter
export PATH={folder}:$PATH
for kit in {kits}; do
    sh $kit/install.sh --interpreter /run/interpreter
    echo done >>asked
done
"""
SERVERS = ["openvpn-server@branchline-udp1194.service", "openvpn-server@branchline-tcp443.service"]
MESH = "openvpn-server@branchline-mesh-dublin.service"
NETWORK, BABEL, AGENT = (f"branchline-{each}.service" for each in ("network", "babel", "agent"))


def test_services_take_up_what_has_changed_and_nothing_else(lab):
    folder = write(lab.directory / "fleet")
    kits = []

    def keep(*arguments):
        run = branchctl(folder, *arguments)
        assert run.code == 0, run.err
        kits.append(shutil.copytree(folder / "kits/paris", lab.directory / f"kit{len(kits)}"))

    keep("provision")
    kits.append(kits[0])
    keep("rotate", "tls-crypt", "--server", "paris")
    branchctl(folder, "rotate", "babel", "--yes")  # babeld's turn comes second
    keep("rotate", "babel", "--yes")
    write(folder, SMALL.replace("[clients]", 'metz = { lans = ["192.168.13.0/24"] }\n[clients]'))
    keep("provision")

    machine = lab.directory / "machine"
    machine.mkdir()
    (machine / "systemctl").write_text(_SYSTEMCTL.format(folder=machine))
    (machine / "systemctl").chmod(0o755)
    lab.host("paris").run("unshare", "--mount", "sh", "-c", _INSTALL.format(
        folder=machine, interpreter=sys.executable, kits=" ".join(map(str, kits))))
    asked = (machine / "asked").read_text().split("done\n")[:-1]
    assert [each.splitlines() for each in asked] == [
        [f"start {unit}" for unit in (NETWORK, *SERVERS, MESH, BABEL, AGENT)],
        [],
        [f"restart {unit}" for unit in SERVERS],
        [f"reload {BABEL}"],
        [f"reload {NETWORK}", f"restart {BABEL}", f"restart {AGENT}"],
    ]
