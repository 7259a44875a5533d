// Start, clock, randomness and rest of the board, as wrappers of the qemu port's own functions.
#include <string.h>

#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/runtime/pyexec.h"
#include "lwip/init.h"
#include "lwip/timeouts.h"
#include "mbedtls/memory_buffer_alloc.h"
#include "board.h"

#define TIMER0 (0x40000000u) // 25 MHz
#define TIMER_CONTROL (0x0)
#define TIMER_VALUE (0x4)
#define TIMER_RELOAD (0x8)
#define TIMER_INTERRUPT (0xC)
#define FPGAIO_COUNTER (0x40028018u)
#define FPGAIO_PRESCALE (0x4002801Cu)
#define NVIC_ENABLE (0xE000E100u)
#define NVIC_PENDING_CLEAR (0xE000E280u)
#define IRQ_UART0_RX (0)
#define IRQ_TIMER0 (8)
#define IRQ_ETHERNET (13)
#define LONGEST_WAIT_MS (100)

// ---- semihosting: what the host does for the board ----

#define SYS_OPEN (0x01)
#define SYS_READ (0x06)
#define SYS_GET_CMDLINE (0x15)
#define OPEN_READ_BINARY (1)

int board_semihost(int operation, void *argument) {
    register int r0 __asm("r0") = operation;
    register void *r1 __asm("r1") = argument;
    __asm volatile ("bkpt 0xab" : "+r" (r0) : "r" (r1) : "memory");
    return r0;
}

void board_random(void *out, size_t n) {
    static const char path[] = "/dev/urandom";
    static int file = -1;
    if (file < 0) {
        uint32_t open[] = { (uint32_t)path, OPEN_READ_BINARY, sizeof(path) - 1 };
        file = board_semihost(SYS_OPEN, open);
    }
    uint32_t read[] = { file, (uint32_t)out, n };
    // The answer is the number of octets that are missing. Without randomness nothing is safe.
    if (file < 0 || board_semihost(SYS_READ, read) != 0) {
        mp_hal_stdout_tx_strn("no randomness\r\n", 15);
        for (;;) {
        }
    }
}

int mbedtls_hardware_poll(void *data, unsigned char *out, size_t n, size_t *written) {
    board_random(out, n);
    *written = n;
    return 0;
}

size_t board_argument(const char *key, char *value, size_t room) {
    static char line[512];
    uint32_t get[] = { (uint32_t)line, sizeof(line) };
    const char *found = board_semihost(SYS_GET_CMDLINE, get) == 0 ? strstr(line, key) : NULL;
    size_t n = 0;
    if (found) {
        for (found += strlen(key); *found > ' ' && n + 1 < room; n++) {
            value[n] = *found++;
        }
    }
    value[n] = 0;
    return n;
}

// The number in "heap=NUMBER", or `otherwise`.
static size_t heap_size(size_t otherwise) {
    char digits[16];
    board_argument("heap=", digits, sizeof(digits));
    size_t size = 0;
    for (const char *digit = digits; '0' <= *digit && *digit <= '9'; digit++) {
        size = 10 * size + *digit - '0';
    }
    return size == 0 || size > otherwise ? otherwise : size / 16 * 16;
}

// ---- time ----

static uint64_t time_of_day_offset;

uint64_t board_microseconds(void) {
    static uint32_t high, last;
    uint32_t low = REGISTER(FPGAIO_COUNTER);
    if (low < last) {
        high++;
    }
    last = low;
    return (uint64_t)high << 32 | low;
}

uint64_t board_time(void) {
    return time_of_day_offset + board_microseconds();
}

void board_set_time(uint64_t microseconds) {
    time_of_day_offset = microseconds - board_microseconds();
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)board_microseconds();
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(board_microseconds() / 1000);
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)board_microseconds();
}

uint64_t mp_hal_time_ns(void) {
    return board_time() * 1000;
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = board_microseconds() + us;
    while (board_microseconds() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = board_microseconds() + (uint64_t)ms * 1000, now;
    while ((now = board_microseconds()) < end) {
        mp_event_wait_ms((end - now + 999) / 1000);
    }
}

// ---- work between bytecodes, and rest ----

void board_poll(void) {
    console_poll();
    lan_poll();
}

// Rests until the console or the network has something, or the time is up. Interrupts wake the
// processor and are never taken (PRIMASK is set), so that one that comes before the rest begins
// ends it at once.
void board_wait(unsigned milliseconds) {
    if (milliseconds > LONGEST_WAIT_MS) {
        milliseconds = LONGEST_WAIT_MS;
    }
    uint32_t network = sys_timeouts_sleeptime();
    if (milliseconds > network) {
        milliseconds = network;
    }
    if (milliseconds == 0 || console_has_input() || lan_has_input()) {
        return;
    }
    REGISTER(TIMER0 + TIMER_CONTROL) = 0;
    REGISTER(TIMER0 + TIMER_VALUE) = REGISTER(TIMER0 + TIMER_RELOAD) = milliseconds * 25000;
    REGISTER(TIMER0 + TIMER_CONTROL) = 1 | 8; // runs, and interrupts
    __asm volatile ("wfi");
    REGISTER(TIMER0 + TIMER_CONTROL) = 0;
    REGISTER(TIMER0 + TIMER_INTERRUPT) = 1;
    REGISTER(NVIC_PENDING_CLEAR) = 0xFFFFFFFF;
}

// ---- start ----

// mbedtls' memory: apart from the heap that is collected, which it would tear to pieces.
static unsigned char tls_memory[96 * 1024];

void __real_gc_init(void *start, void *end);
void __wrap_gc_init(void *start, void *end) {
    size_t most = (char *)end - (char *)start;
    __real_gc_init(start, (char *)start + heap_size(most));
}

static void init_hardware(void) {
    __asm volatile ("cpsid i");
    REGISTER(FPGAIO_PRESCALE) = 24; // 25 MHz to 1 MHz
    REGISTER(NVIC_ENABLE) = 1u << IRQ_UART0_RX | 1u << IRQ_TIMER0 | 1u << IRQ_ETHERNET;
    console_init();
    board_flash_init();
    mbedtls_memory_buffer_alloc_init(tls_memory, sizeof(tls_memory));
    lwip_init();
}

void __real_mp_init(void);
void __wrap_mp_init(void) {
    static bool started;
    if (!started) {
        started = true;
        init_hardware();
    }
    __real_mp_init();
    pyexec_frozen_module("_boot.py", false);
    if (pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        pyexec_file_if_exists("main.py");
    }
}
