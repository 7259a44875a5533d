# The modules in C that every microcontroller board's build has: tun, datagram, aead.
SRC_USERMOD_C += $(addprefix $(USERMOD_DIR)/, tun.c routes.c forward.c datagram.c aead.c)
CFLAGS_USERMOD += -I$(USERMOD_DIR)
