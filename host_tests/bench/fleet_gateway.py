"""A gateway out of an image, as firmware/image_main.py, that tells at its end what it has of the
heap; runs on MicroPython."""

import gc
import sys

import image_main


def main():
    """Runs the gateway; returns its exit code."""
    image_main.mount(sys.argv[1])
    from branchline.app.gateway import Gateway
    from branchline.app.run import main

    take_signal = Gateway._signal

    def tell(gateway, signals):
        gc.collect()
        print("heap:", gc.mem_alloc())
        take_signal(gateway, signals)

    Gateway._signal = tell
    return main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
