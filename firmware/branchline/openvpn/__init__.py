"""The OpenVPN client protocol, sans-I/O (stock 2.6 on the wire)."""
