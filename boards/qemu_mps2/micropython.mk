# What makes MicroPython's qemu port a board of ours; boards/ is the folder of its C modules.
ifeq ($(notdir $(BOARD_DIR)),qemu_mps2)
SRC_USERMOD_C += $(addprefix $(USERMOD_DIR)/, board.c console.c flash.c lan9118.c machine_rtc.c)
SRC_USERMOD_LIB_C += $(USERMOD_DIR)/libc.c
SRC_THIRDPARTY_C += shared/timeutils/timeutils.c lib/mbedtls/library/memory_buffer_alloc.c
endif
