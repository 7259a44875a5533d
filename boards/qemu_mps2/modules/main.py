"""Starts the gateway, if the flash holds one."""

from branchline.app.board import main

main()
