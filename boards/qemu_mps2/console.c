// The console, on UART 0: input is kept while nobody reads it, and Ctrl-C interrupts.
#include "py/mphal.h"
#include "py/ringbuf.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/interrupt_char.h"
#include "board.h"

#define UART0_DATA (0x40004000u)
#define UART0_STATE (0x40004004u)
#define UART0_CONTROL (0x40004008u)
#define UART0_INTERRUPT (0x4000400Cu)
#define STATE_RX_FULL (2)
#define CONTROL_TX_RX_RXIRQ (1 | 2 | 8)
#define RETRY_MS (20)

static uint8_t octets[4096];
static ringbuf_t input = { octets, sizeof(octets), 0, 0 };

void console_init(void) {
    REGISTER(UART0_CONTROL) = CONTROL_TX_RX_RXIRQ;
}

bool console_has_input(void) {
    return ringbuf_avail(&input) || (REGISTER(UART0_STATE) & STATE_RX_FULL);
}

void console_poll(void) {
    while ((REGISTER(UART0_STATE) & STATE_RX_FULL) && ringbuf_free(&input)) {
        int octet = REGISTER(UART0_DATA) & 0xFF;
        if (octet == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ringbuf_put(&input, octet);
        }
    }
    REGISTER(UART0_INTERRUPT) = 0xF;
}

int __wrap_mp_hal_stdin_rx_chr(void) {
    for (;;) {
        console_poll();
        int octet = ringbuf_get(&input);
        if (octet != -1) {
            return octet;
        }
        mp_event_wait_ms(RETRY_MS);
    }
}

uintptr_t __wrap_mp_hal_stdio_poll(uintptr_t flags) {
    console_poll();
    uintptr_t ready = flags & MP_STREAM_POLL_WR;
    if (ringbuf_avail(&input)) {
        ready |= flags & MP_STREAM_POLL_RD;
    }
    return ready;
}
