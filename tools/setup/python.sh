#!/bin/sh
# The host's Python tools in .venv/, as pyproject.toml lists them, and branchctl: python.sh
# plan|install. The one module of theirs that the firmware carries goes to .toolchain/lib/.

. tools/setup/common.sh

STAMP=.venv/setup-key
key=$(key_of pyproject.toml tools/setup/python.sh)

case $1 in
plan)
    has_key "$STAMP" "$key" || echo "with pip, in .venv/: the 'dev' packages of pyproject.toml, and branchctl"
    ;;
install)
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "Python 3.11 or newer is needed; 'python3' on PATH is $(python3 --version 2>&1)"
    # A virtual environment names its place and its interpreter, and either may have gone.
    [ -f "$STAMP" ] && .venv/bin/python -m pip --version >/dev/null 2>&1 ||
        python3 -m venv --clear .venv
    # Only pip 25.1 and newer reads dependency groups.
    attempt .venv/bin/python -m pip install --quiet 'pip>=25.1' >&2 &&
        attempt .venv/bin/python -m pip install --quiet --group dev --editable . >&2 ||
        die "pip failed; its message is above"
    mkdir -p .toolchain/lib
    cp "$(.venv/bin/python -c 'import microdot.microdot as m; print(m.__file__)')" .toolchain/lib/
    echo "$key" >"$STAMP"
    ;;
esac
