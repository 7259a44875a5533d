"""The lab: hosts as network namespaces, stock OpenVPN peers, faults, and our gateway in it."""

from host_tests.lab.errors import LabError
from host_tests.lab.gateway import Gateway
from host_tests.lab.netns import Host, Internet, Lab, Link
from host_tests.lab.openvpn import Client, Server
from host_tests.lab.pki import Pki
from host_tests.lab.process import Process
from host_tests.lab.relay import TcpRelay, UdpRelay

__all__ = [
    "Client", "Gateway", "Host", "Internet", "Lab", "LabError", "Link", "Pki", "Process",
    "Server", "TcpRelay", "UdpRelay",
]
