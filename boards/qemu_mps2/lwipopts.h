// lwIP on this board. Every limit is memory that is set aside.
#pragma once

#include <stdint.h>

void board_random(void *out, __SIZE_TYPE__ n);
static inline uint32_t lwip_random(void) {
    uint32_t number;
    board_random(&number, sizeof(number));
    return number;
}
#define LWIP_RAND() lwip_random()

#define MEM_SIZE (64 * 1024)
#define PBUF_POOL_SIZE (64)
#define PBUF_POOL_BUFSIZE (1600) // one Ethernet frame in one piece
#define TCP_MSS (1460)
#define TCP_WND (8 * TCP_MSS)
#define TCP_SND_BUF (8 * TCP_MSS)
#define MEMP_NUM_TCP_SEG (64)
#define MEMP_NUM_TCP_PCB (16)
#define MEMP_NUM_RAW_PCB (16)
#define MEMP_NUM_MLD6_GROUP (32)

#include "lwip_options.h"
#define LWIP_LOOPBACK_MAX_PBUFS (8)

#include "extmod/lwip-include/lwipopts_common.h"

#undef MEMP_NUM_UDP_PCB
#define MEMP_NUM_UDP_PCB (32)
