"""The Babel routing protocol (RFC 8966, 8967, 9229, 9616), sans-I/O."""
