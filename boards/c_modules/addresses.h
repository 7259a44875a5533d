// Addresses between Python and lwIP: bytes-like of 4 or 16 octets.
#ifndef BRANCHLINE_ADDRESSES_H
#define BRANCHLINE_ADDRESSES_H

#include <string.h>

#include "py/obj.h"
#include "py/runtime.h"
#include "lwip/ip_addr.h"
#include "lwip/netif.h"

// Raises ValueError for anything else. Of a link-local address the zone is not set.
static inline void address_of(mp_obj_t octets, ip_addr_t *out) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(octets, &info, MP_BUFFER_READ);
    memset(out, 0, sizeof(*out));
    if (info.len == 4) {
        memcpy(ip_2_ip4(out), info.buf, 4);
        IP_SET_TYPE(out, IPADDR_TYPE_V4);
    } else if (info.len == 16) {
        memcpy(ip_2_ip6(out)->addr, info.buf, 16);
        IP_SET_TYPE(out, IPADDR_TYPE_V6);
    } else {
        mp_raise_ValueError(MP_ERROR_TEXT("an address has 4 or 16 octets"));
    }
}

static inline mp_obj_t address_to(const ip_addr_t *address) {
    if (IP_IS_V4(address)) {
        return mp_obj_new_bytes((const byte *)&ip_2_ip4(address)->addr, 4);
    }
    return mp_obj_new_bytes((const byte *)ip_2_ip6(address)->addr, 16);
}

// The interface of an index. Raises OSError(ENODEV).
static inline struct netif *netif_of(mp_obj_t index) {
    mp_int_t number = mp_obj_get_int(index);
    struct netif *netif = 0 < number && number < 256 ? netif_get_by_index(number) : NULL;
    if (netif == NULL) {
        mp_raise_OSError(MP_ENODEV);
    }
    return netif;
}

#endif
