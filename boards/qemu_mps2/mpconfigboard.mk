# MicroPython's qemu port for this board, whose folder lies outside of MicroPython's tree:
# make -C ports/qemu BOARD=qemu_mps2 BOARD_DIR=... (tools/setup and the Makefile do it).
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an385
LDSCRIPT = $(BOARD_DIR)/mps2.ld
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
MPY_CROSS_FLAGS += -march=armv7m

# The most that the heap can be; how much of it is used is told at the start (board.c).
MICROPY_HEAP_SIZE = 1048576
FROZEN_MANIFEST = $(BOARD_DIR)/manifest.py
USER_C_MODULES = $(BOARD_DIR)/..

MICROPY_VFS_LFS2 = 1
MICROPY_PY_SSL = 1
MICROPY_SSL_MBEDTLS = 1
MBEDTLS_CONFIG_FILE = '"mbedtls_config_board.h"'
MICROPY_PY_LWIP = 1
MICROPY_PY_LWIP_LOOPBACK = 1

CFLAGS += -mthumb -mcpu=cortex-m3 -mfloat-abi=soft
CFLAGS += -DQEMU_SOC_MPS2 -DMICROPY_HW_MCU_NAME='"Cortex-M3"'
CFLAGS += -DMP_CONFIGFILE='"mpconfigboard.h"' -I$(BOARD_DIR)
# The console and the heap are ours in place of the port's.
LDFLAGS += -Wl,--wrap=gc_init,--wrap=mp_init,--wrap=mp_hal_stdin_rx_chr,--wrap=mp_hal_stdio_poll
# newlib, even where picolibc is installed, too: its errno wants thread-local storage.
override PICOLIBC_SPECS = picolibc.specs
