// The module tun: point-to-point interfaces of lwIP whose packets Python carries, and the routes
// and addresses of all its interfaces. docs/boards.md has the reference.
#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "lwip/ip.h"
#include "lwip/mld6.h"
#include "lwip/netif.h"
#include "addresses.h"
#include "packet_queue.h"
#include "routes.h"

#define MAX_MTU (1500)
#define MIN_MTU (576)

// The interface lies outside of the heap that is collected: lwIP keeps pointers to it.
typedef struct {
    struct netif netif;
    packet_queue_t queue;
    bool taken;
    bool silent; // carries addresses only: what would leave by it is dropped
} tunnel_t;

#ifndef BRANCHLINE_TUNNELS
#define BRANCHLINE_TUNNELS (8)
#endif
static tunnel_t tunnels[BRANCHLINE_TUNNELS];

typedef struct {
    mp_obj_base_t base;
    tunnel_t *tunnel; // NULL: closed
    mp_uint_t failed; // packets that could not be handed to lwIP
} tun_obj_t;

static const mp_obj_type_t tun_type;

// ---- lwIP's side ----

static err_t enqueue(struct netif *netif, struct pbuf *p) {
    tunnel_t *tunnel = netif->state;
    if (tunnel->silent) {
        return ERR_OK;
    }
    // A pbuf of lwIP's pool stays as it is while it is referenced; others belong to their sender.
    bool needs_copy = false;
    for (struct pbuf *q = p; q != NULL; q = q->next) {
        needs_copy |= PBUF_NEEDS_COPY(q);
    }
    if (needs_copy) {
        p = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
        if (p == NULL) {
            tunnel->queue.dropped++;
            return ERR_MEM;
        }
    } else {
        pbuf_ref(p);
    }
    if (!packet_queue_put(&tunnel->queue, p, NULL, 0)) {
        pbuf_free(p);
        return ERR_MEM;
    }
    return ERR_OK;
}

static err_t output4(struct netif *netif, struct pbuf *p, const ip4_addr_t *address) {
    return enqueue(netif, p);
}

static err_t output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *address) {
    return enqueue(netif, p);
}

static err_t tunnel_init(struct netif *netif) {
    netif->name[0] = 't';
    netif->name[1] = 'u';
    netif->output = output4;
    netif->output_ip6 = output6;
    netif->mtu = netif->mtu6 = MAX_MTU;
    netif->flags = NETIF_FLAG_MLD6;
    return ERR_OK;
}

// ---- class Tun ----

// Tun(silent=False)
static mp_obj_t tun_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    tun_obj_t *self = mp_obj_malloc_with_finaliser(tun_obj_t, type);
    self->tunnel = NULL;
    self->failed = 0;
    for (tunnel_t *tunnel = tunnels; tunnel < tunnels + BRANCHLINE_TUNNELS; tunnel++) {
        if (!tunnel->taken) {
            self->tunnel = tunnel;
            break;
        }
    }
    if (self->tunnel == NULL) {
        mp_raise_OSError(MP_ENOSPC);
    }
    struct netif *netif = &self->tunnel->netif;
    memset(self->tunnel, 0, sizeof(*self->tunnel));
    self->tunnel->taken = true;
    self->tunnel->silent = n_args > 0 && mp_obj_is_true(args[0]);
    if (netif_add_noaddr(netif, self->tunnel, tunnel_init, ip_input) == NULL) {
        self->tunnel->taken = false;
        self->tunnel = NULL;
        mp_raise_OSError(MP_ENOMEM);
    }
    netif_set_up(netif);
    netif_set_link_up(netif);
    netif->rs_count = 0; // nobody at the other end answers router solicitations
    return MP_OBJ_FROM_PTR(self);
}

static tunnel_t *tunnel_of(mp_obj_t self_in) {
    tun_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->tunnel == NULL) {
        mp_raise_OSError(MP_EBADF);
    }
    return self->tunnel;
}

static mp_obj_t tun_index(mp_obj_t self_in) {
    return MP_OBJ_NEW_SMALL_INT(netif_get_index(&tunnel_of(self_in)->netif));
}
static MP_DEFINE_CONST_FUN_OBJ_1(tun_index_obj, tun_index);

// dropped(): (packets that found the queue full, packets that lwIP had no memory for)
static mp_obj_t tun_dropped(mp_obj_t self_in) {
    tun_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_obj_t items[] = {
        mp_obj_new_int_from_uint(tunnel_of(self_in)->queue.dropped),
        mp_obj_new_int_from_uint(self->failed),
    };
    return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(tun_dropped_obj, tun_dropped);

// readinto(view): the length of the next packet that leaves by the interface, or None.
static mp_obj_t tun_readinto(mp_obj_t self_in, mp_obj_t view) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(view, &info, MP_BUFFER_WRITE);
    queued_packet_t *packet = packet_queue_take(&tunnel_of(self_in)->queue);
    if (packet == NULL) {
        return mp_const_none;
    }
    u16_t n = pbuf_copy_partial(packet->pbuf, info.buf, info.len > 0xFFFF ? 0xFFFF : info.len, 0);
    pbuf_free(packet->pbuf);
    return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_2(tun_readinto_obj, tun_readinto);

// write(view, n): view[:n] comes in by the interface. n, or None where there is no memory.
static mp_obj_t tun_write(mp_obj_t self_in, mp_obj_t view, mp_obj_t length) {
    tun_obj_t *self = MP_OBJ_TO_PTR(self_in);
    struct netif *netif = &tunnel_of(self_in)->netif;
    mp_buffer_info_t info;
    mp_get_buffer_raise(view, &info, MP_BUFFER_READ);
    mp_int_t n = mp_obj_get_int(length);
    if (n <= 0 || (size_t)n > info.len || n > 0xFFFF) {
        mp_raise_ValueError(NULL);
    }
    // Room for the link's header: a packet that is forwarded is not copied again.
    struct pbuf *p = pbuf_alloc(PBUF_LINK, n, PBUF_POOL);
    if (p == NULL || pbuf_take(p, info.buf, n) != ERR_OK || netif->input(p, netif) != ERR_OK) {
        if (p != NULL) {
            pbuf_free(p);
        }
        self->failed++;
        return mp_const_none;
    }
    return length;
}
static MP_DEFINE_CONST_FUN_OBJ_3(tun_write_obj, tun_write);

static mp_obj_t tun_close(mp_obj_t self_in) {
    tun_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->tunnel != NULL) {
        routes_forget(&self->tunnel->netif);
        netif_remove(&self->tunnel->netif);
        packet_queue_clear(&self->tunnel->queue);
        self->tunnel->taken = false;
        self->tunnel = NULL;
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(tun_close_obj, tun_close);

static mp_uint_t tun_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    tun_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (request == MP_STREAM_POLL) {
        if (self->tunnel == NULL) {
            return MP_STREAM_POLL_NVAL;
        }
        mp_uint_t ready = self->tunnel->queue.count ? MP_STREAM_POLL_RD : 0;
        return (ready | MP_STREAM_POLL_WR) & arg;
    }
    if (request == MP_STREAM_CLOSE) {
        tun_close(self_in);
        return 0;
    }
    *errcode = MP_EINVAL;
    return MP_STREAM_ERROR;
}

static const mp_stream_p_t tun_stream = {.ioctl = tun_ioctl};

static const mp_rom_map_elem_t tun_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&tun_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&tun_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_dropped), MP_ROM_PTR(&tun_dropped_obj) },
    { MP_ROM_QSTR(MP_QSTR_index), MP_ROM_PTR(&tun_index_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&tun_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&tun_write_obj) },
};
static MP_DEFINE_CONST_DICT(tun_locals, tun_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    tun_type,
    MP_QSTR_Tun,
    MP_TYPE_FLAG_NONE,
    make_new, tun_make_new,
    protocol, &tun_stream,
    locals_dict, &tun_locals
    );

// ---- addresses of any interface, by index ----

// address(index, octets, plen): an IPv4 address takes the place of the one before; of IPv6 ones
// there is room for LWIP_IPV6_NUM_ADDRESSES. Raises OSError ENODEV, ENOSPC.
static mp_obj_t add_address(mp_obj_t index, mp_obj_t octets, mp_obj_t plen_in) {
    struct netif *netif = netif_of(index);
    ip_addr_t address;
    address_of(octets, &address);
    mp_int_t plen = mp_obj_get_int(plen_in);
    if (IP_IS_V4(&address)) {
        ip4_addr_t mask, none;
        ip4_addr_set_u32(&mask, plen <= 0 ? 0 : lwip_htonl(0xFFFFFFFFu << (32 - plen)));
        ip4_addr_set_any(&none);
        netif_set_addr(netif, ip_2_ip4(&address), &mask, &none);
        return mp_const_none;
    }
    ip6_addr_assign_zone(ip_2_ip6(&address), IP6_UNICAST, netif);
    for (int i = ip6_addr_islinklocal(ip_2_ip6(&address)) ? 0 : 1;
         i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (ip6_addr_isinvalid(netif_ip6_addr_state(netif, i))
            || ip6_addr_eq(netif_ip6_addr(netif, i), ip_2_ip6(&address))) {
            netif_ip6_addr_set(netif, i, ip_2_ip6(&address));
            // Not tentative: on a tunnel there is nobody who could have the same.
            netif_ip6_addr_set_state(netif, i, IP6_ADDR_PREFERRED);
            return mp_const_none;
        }
    }
    mp_raise_OSError(MP_ENOSPC);
}
static MP_DEFINE_CONST_FUN_OBJ_3(add_address_obj, add_address);

// mtu(index, octets): what is longer is cut to fragments, or refused with "too big".
static mp_obj_t set_mtu(mp_obj_t index, mp_obj_t octets) {
    struct netif *netif = netif_of(index);
    mp_int_t mtu = mp_obj_get_int(octets);
    if (mtu < MIN_MTU || mtu > MAX_MTU) {
        mp_raise_ValueError(MP_ERROR_TEXT("an MTU is from 576 to 1500"));
    }
    netif->mtu = netif->mtu6 = mtu;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(set_mtu_obj, set_mtu);

// index_of(octets): the index of the interface that has this address, or 0.
static mp_obj_t index_of(mp_obj_t octets) {
    ip_addr_t address;
    address_of(octets, &address);
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (IP_IS_V4(&address)) {
            if (ip4_addr_eq(netif_ip4_addr(netif), ip_2_ip4(&address))) {
                return MP_OBJ_NEW_SMALL_INT(netif_get_index(netif));
            }
        } else if (netif_get_ip6_addr_match(netif, ip_2_ip6(&address)) >= 0) {
            return MP_OBJ_NEW_SMALL_INT(netif_get_index(netif));
        }
    }
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_1(index_of_obj, index_of);

static const mp_rom_map_elem_t module_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_tun) },
    { MP_ROM_QSTR(MP_QSTR_Tun), MP_ROM_PTR(&tun_type) },
    { MP_ROM_QSTR(MP_QSTR_address), MP_ROM_PTR(&add_address_obj) },
    { MP_ROM_QSTR(MP_QSTR_index_of), MP_ROM_PTR(&index_of_obj) },
    { MP_ROM_QSTR(MP_QSTR_mtu), MP_ROM_PTR(&set_mtu_obj) },
    { MP_ROM_QSTR(MP_QSTR_route), MP_ROM_PTR(&routes_set_obj) },
    { MP_ROM_QSTR(MP_QSTR_unroute), MP_ROM_PTR(&routes_delete_obj) },
    { MP_ROM_QSTR(MP_QSTR_lookup), MP_ROM_PTR(&routes_lookup_obj) },
};
static MP_DEFINE_CONST_DICT(module_globals, module_globals_table);

const mp_obj_module_t tun_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&module_globals,
};
MP_REGISTER_MODULE(MP_QSTR_tun, tun_module);
