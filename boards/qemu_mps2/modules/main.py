"""Starts the gateway of the slot whose turn it is."""

from branchboot.board import main

main()
