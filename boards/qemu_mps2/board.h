// The mps2-an385 as QEMU has it: Arm AN385, "Application Note AN385", and its LAN9118.
#ifndef BRANCHLINE_QEMU_MPS2_BOARD_H
#define BRANCHLINE_QEMU_MPS2_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

// What the host does for the board (Arm's "Semihosting for AArch32 and AArch64").
int board_semihost(int operation, void *argument);

// What follows `key` on the command line that QEMU was started with, up to the next space; returns
// its length.
size_t board_argument(const char *key, char *value, size_t room);

// Octets from the host's /dev/urandom, by semihosting.
void board_random(void *out, size_t n);

// Microseconds since the start.
uint64_t board_microseconds(void);

// Sets the time of day, in microseconds since 1970.
void board_set_time(uint64_t microseconds);
uint64_t board_time(void);

// Reads the flash's file, if the command line names one.
void board_flash_init(void);

void console_init(void);
void console_poll(void);
bool console_has_input(void);

void lan_poll(void);
bool lan_has_input(void);

#endif
