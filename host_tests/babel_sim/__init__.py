"""A simulator of Babel networks: agents joined in one process by lossy links, in virtual time."""
