"""The fleet.toml that `branchctl init` writes."""

TEMPLATE = '''\
# A Branchline fleet. `branchctl check` says what is wrong in this file, `branchctl provision`
# makes keys, hub kits, branches' bundles and clients' profiles from it.
# Names are DNS labels and differ within the whole file.

network = "{network}"
virtual = "10.100.0.0/16"   # every hub, branch and client has one address of it, for ever
mesh    = "10.8.0.0/24"     # addresses for the links between hubs (two or more hubs need it)

[defaults]
board = "linux"             # of branches: linux, qemu_mps2, rpi_pico2_w, esp32_poe ...
lan   = "eth1"              # the interface of LANs for which none is named
babel = "babeld"            # what routes on hubs: babeld, bird or branchline

# ---- hubs: one for each data centre ----

[hubs.paris]
endpoints = ["udp://paris.example.com:1194", "tcp://paris.example.com:443"]
tunnels   = "10.8.1.0/24"   # addresses within the tunnels; shared out among the endpoints' ports
prefixes  = ["10.1.0.0/16"] # what is behind the hub
# babel     = "bird"
# address   = "10.100.0.1"  # its virtual address; without this line the next free one
# anycast   = ["10.0.0.53/32"]  # what several hubs offer: the nearest one serves
# mesh_port = 1500          # UDP; the other hubs reach this one at 1500 plus a number

[hubs.dublin]
endpoints = ["udp://dublin.example.com:1194", "tcp://dublin.example.com:443"]
tunnels   = "10.8.2.0/24"
prefixes  = ["10.2.0.0/16"]

# ---- branches: a gateway of ours, and the LANs behind it; a line is enough ----

[branches]
lyon = {{ lans = ["192.168.11.0/24"] }}
nice = {{ lans = {{ eth1 = "192.168.12.0/24", wlan0 = "192.168.112.0/24" }} }}
# brest = {{ board = "rpi_pico2_w", address = "10.100.0.13" }}

# ---- clients: laptops and servers with a stock OpenVPN client ----

[clients]
anna = {{}}
# backup = {{ hubs = ["dublin", "paris"], address = "10.100.1.5" }}

# ---- who may reach whom: whatever no rule allows is denied ----
# Answers come back by themselves. Besides names and groups there are: all, hubs, branches,
# clients. Services: "any", "icmp", "tcp", "udp", "tcp/443", "udp/5000-5010".
# `branchctl policy explain anna lyon` says what is allowed, and by which rule.

[groups]
admins = ["anna"]

[[policy]]
from  = ["branches", "clients"]
to    = "hubs"
allow = "any"

[[policy]]
from  = "branches"
to    = "branches"
allow = ["icmp", "tcp/443"]

[[policy]]
from  = "admins"
to    = "all"
allow = ["icmp", "tcp/22", "tcp/443"]

[routing]
hello_ms = 500              # three lost ones end a link
# keys   = false            # leaves Babel's packets unsigned

[certificates]
days    = 730               # of hubs, branches and clients; `branchctl renew` in time
ca_days = 3650
'''
