"""Keyed functions of the protocols, over providers that are checked before use."""
