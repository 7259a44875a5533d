// A bounded queue of received packets: what lwIP's callbacks put in, Python takes out.
#ifndef BRANCHLINE_PACKET_QUEUE_H
#define BRANCHLINE_PACKET_QUEUE_H

#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"

#define PACKET_QUEUE_SLOTS (16) // as many as tunnel/pump.py moves at a time; a power of 2

typedef struct {
    struct pbuf *pbuf;
    ip_addr_t source;
    u16_t port;
} queued_packet_t;

typedef struct {
    queued_packet_t slots[PACKET_QUEUE_SLOTS];
    u8_t first, count;
    u32_t dropped; // packets that found the queue full
} packet_queue_t;

// Takes over the reference to pbuf, unless it returns false: the queue is full.
static inline bool packet_queue_put(packet_queue_t *queue, struct pbuf *pbuf,
    const ip_addr_t *source, u16_t port) {
    if (queue->count == PACKET_QUEUE_SLOTS) {
        queue->dropped++;
        return false;
    }
    queued_packet_t *slot = &queue->slots[(queue->first + queue->count++) % PACKET_QUEUE_SLOTS];
    slot->pbuf = pbuf;
    if (source != NULL) {
        ip_addr_copy(slot->source, *source);
    }
    slot->port = port;
    return true;
}

// The oldest packet, whose pbuf is the caller's to free, or NULL.
static inline queued_packet_t *packet_queue_take(packet_queue_t *queue) {
    if (queue->count == 0) {
        return NULL;
    }
    queued_packet_t *slot = &queue->slots[queue->first];
    queue->first = (queue->first + 1) % PACKET_QUEUE_SLOTS;
    queue->count--;
    return slot;
}

static inline void packet_queue_clear(packet_queue_t *queue) {
    queued_packet_t *slot;
    while ((slot = packet_queue_take(queue)) != NULL) {
        pbuf_free(slot->pbuf);
    }
}

#endif
