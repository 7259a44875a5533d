"""Opcodes of the OpenVPN packet header: octet 0 is `opcode << 3 | key_id`."""

from micropython import const

SOFT_RESET_V1 = const(3)
CONTROL_V1 = const(4)
ACK_V1 = const(5)
DATA_V1 = const(6)
HARD_RESET_CLIENT_V2 = const(7)
HARD_RESET_SERVER_V2 = const(8)
DATA_V2 = const(9)
HARD_RESET_CLIENT_V3 = const(10)  # the client's wrapped key (WKc) is appended: tls-crypt-v2
CONTROL_WKC_V1 = const(11)  # CONTROL_V1 with WKc appended, for servers that answer with a cookie
