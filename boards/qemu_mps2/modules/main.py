"""Starts the gateway, if the flash holds one."""

import os


def main():
    """Runs the gateway of the folder /gateway until it ends."""
    try:
        os.stat("/gateway/gateway.json")
    except OSError:
        return
    print("main: a gateway is configured")


main()
