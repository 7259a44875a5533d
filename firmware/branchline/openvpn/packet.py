"""The control-channel packet body: acknowledgements, message id, payload.

On the wire, after opcode and the sender's session id (and, when wrapped, the authentication):
`n_acks(1) | message id(4) each | receiver's session id(8) if n_acks > 0 | message id(4) unless
ACK_V1 | payload`.
"""

from micropython import const

from branchline.openvpn import opcodes
from branchline.wire.cursor import Reader
from branchline.wire.errors import ProtocolError

SESSION_ID_SIZE = const(8)
# The stock server never sends more (RELIABLE_ACK_SIZE).
_MAX_ACKS = const(8)
# Octets before the payload of a packet of ours: 4 acknowledgements, session id, message id.
MAX_BODY_HEADER = const(1 + 4 * 4 + 8 + 4)


def build_body(acks, remote_session_id, message_id, payload):
    """The body as bytes; message_id None makes an ACK_V1's (payload is then empty)."""
    body = bytearray([len(acks)])
    for ack in acks:
        body.extend(ack.to_bytes(4, "big"))
    if acks:
        body.extend(remote_session_id)
    if message_id is not None:
        body.extend(message_id.to_bytes(4, "big"))
        body.extend(payload)
    return body


def parse_body(opcode, body):
    """(acks, acknowledged session id or None, message id or None, payload) of a body.

    Raises ProtocolError when it is truncated or claims too many acknowledgements.
    """
    reader = Reader(body)
    count = reader.u8()
    if count > _MAX_ACKS:
        raise ProtocolError("too many acks")
    acks = [reader.u32() for _ in range(count)]
    session_id = reader.octets(SESSION_ID_SIZE) if count else None
    if opcode == opcodes.ACK_V1:
        return acks, session_id, None, b""
    message_id = reader.u32()
    return acks, session_id, message_id, reader.rest()
