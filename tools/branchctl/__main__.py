"""`python -m branchctl`: the same as `branchctl`."""

from branchctl.cli import app

if __name__ == "__main__":
    app(prog_name="branchctl")
