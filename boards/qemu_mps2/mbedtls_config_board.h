// MicroPython's own choice of mbedtls, with the board's clock and memory, and what our profiles
// and our module aead need beyond it.
#pragma once

#define MICROPY_MBEDTLS_CONFIG_BARE_METAL (1)
#include "extmod/mbedtls/mbedtls_config_common.h"

// Not MicroPython's heap (board.c).
#undef MBEDTLS_PLATFORM_STD_CALLOC
#undef MBEDTLS_PLATFORM_STD_FREE
#define MBEDTLS_MEMORY_BUFFER_ALLOC_C

#include <time.h>
time_t board_unix_time(time_t *out);
#define MBEDTLS_PLATFORM_TIME_MACRO board_unix_time
#define MBEDTLS_PLATFORM_MS_TIME_ALT

#define MBEDTLS_CIPHER_MODE_CTR
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
