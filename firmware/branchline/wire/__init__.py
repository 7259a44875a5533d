"""Octets, time and errors: what every protocol core stands on. Imports nothing of ours."""
