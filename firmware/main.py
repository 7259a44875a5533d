"""The entry: `micropython main.py FOLDER` runs the gateway that FOLDER/gateway.json describes."""

import sys

from branchline.app.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
