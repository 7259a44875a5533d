// The module datagram: lwIP's UDP and ICMP echoes without allocation, bound to an interface where
// that is wanted. MicroPython's own sockets allocate for each datagram, join what `readinto` reads,
// and know neither IPv6 groups nor interfaces. docs/boards.md has the reference.
#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "lwip/icmp.h"
#include "lwip/icmp6.h"
#include "lwip/mld6.h"
#include "lwip/prot/icmp6.h"
#include "lwip/raw.h"
#include "lwip/udp.h"
#include "addresses.h"
#include "packet_queue.h"

#define TOS_NETWORK_CONTROL (0xC0) // CS6, as routing protocols mark their packets

typedef struct {
    mp_obj_base_t base;
    struct udp_pcb *udp; // one of the two, or both NULL: closed
    struct raw_pcb *raw;
    struct netif *netif; // NULL: any
    packet_queue_t queue;
    ip_addr_t source; // of the packet that was read last
    u16_t source_port;
} socket_obj_t;

// ---- what both have in common ----

static void raise_lwip(err_t error) {
    switch (error) {
        case ERR_MEM:
            mp_raise_OSError(MP_ENOMEM);
        case ERR_USE:
            mp_raise_OSError(MP_EADDRINUSE);
        case ERR_RTE:
            mp_raise_OSError(MP_EHOSTUNREACH);
        default:
            mp_raise_OSError(MP_EINVAL);
    }
}

static socket_obj_t *make(const mp_obj_type_t *type) {
    socket_obj_t *self = mp_obj_malloc_with_finaliser(socket_obj_t, type);
    memset((char *)self + sizeof(self->base), 0, sizeof(*self) - sizeof(self->base));
    return self;
}

static socket_obj_t *open_socket(mp_obj_t self_in) {
    socket_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->udp == NULL && self->raw == NULL) {
        mp_raise_OSError(MP_EBADF);
    }
    return self;
}

// Link-local addresses and groups are of one link.
static void set_zone(ip_addr_t *address, struct netif *netif) {
    if (IP_IS_V6(address) && netif != NULL) {
        enum lwip_ipv6_scope_type scope = ip6_addr_ismulticast(ip_2_ip6(address)) ? IP6_MULTICAST
                                                                                  : IP6_UNICAST;
        if (ip6_addr_lacks_zone(ip_2_ip6(address), scope)) {
            ip6_addr_assign_zone(ip_2_ip6(address), scope, netif);
        }
    }
}

static struct netif *netif_or_any(mp_obj_t index) {
    return index == MP_OBJ_NEW_SMALL_INT(0) ? NULL : netif_of(index);
}

// view[:n] as a pbuf with room for headers, or NULL.
static struct pbuf *pbuf_of(mp_obj_t view, mp_obj_t length, pbuf_layer layer) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(view, &info, MP_BUFFER_READ);
    mp_int_t n = mp_obj_get_int(length);
    if (n < 0 || (size_t)n > info.len || n > 0xFFFF) {
        mp_raise_ValueError(NULL);
    }
    struct pbuf *p = pbuf_alloc(layer, n, PBUF_RAM);
    if (p != NULL && n) {
        pbuf_take(p, info.buf, n);
    }
    return p;
}

// readinto(view): the length of the next packet, or None. What does not fit is cut off.
static mp_obj_t socket_readinto(mp_obj_t self_in, mp_obj_t view) {
    socket_obj_t *self = open_socket(self_in);
    mp_buffer_info_t info;
    mp_get_buffer_raise(view, &info, MP_BUFFER_WRITE);
    queued_packet_t *packet = packet_queue_take(&self->queue);
    if (packet == NULL) {
        return mp_const_none;
    }
    self->source = packet->source;
    self->source_port = packet->port;
    u16_t n = pbuf_copy_partial(packet->pbuf, info.buf, info.len > 0xFFFF ? 0xFFFF : info.len, 0);
    pbuf_free(packet->pbuf);
    return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_readinto_obj, socket_readinto);

// source(): (address octets, port) of the packet that was read last.
static mp_obj_t socket_source(mp_obj_t self_in) {
    socket_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_obj_t items[] = { address_to(&self->source), MP_OBJ_NEW_SMALL_INT(self->source_port) };
    return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_source_obj, socket_source);

static mp_obj_t socket_dropped(mp_obj_t self_in) {
    socket_obj_t *self = MP_OBJ_TO_PTR(self_in);
    return mp_obj_new_int_from_uint(self->queue.dropped);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_dropped_obj, socket_dropped);

static mp_obj_t socket_close(mp_obj_t self_in) {
    socket_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->udp != NULL) {
        udp_remove(self->udp);
        self->udp = NULL;
    }
    if (self->raw != NULL) {
        raw_remove(self->raw);
        self->raw = NULL;
    }
    packet_queue_clear(&self->queue);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_close_obj, socket_close);

static mp_uint_t socket_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    socket_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (request == MP_STREAM_POLL) {
        if (self->udp == NULL && self->raw == NULL) {
            return MP_STREAM_POLL_NVAL;
        }
        mp_uint_t ready = self->queue.count ? MP_STREAM_POLL_RD : 0;
        return (ready | MP_STREAM_POLL_WR) & arg;
    }
    if (request == MP_STREAM_CLOSE) {
        socket_close(self_in);
        return 0;
    }
    *errcode = MP_EINVAL;
    return MP_STREAM_ERROR;
}

static const mp_stream_p_t socket_stream = {.ioctl = socket_ioctl};

// ---- class Udp ----

static void udp_received(void *argument, struct udp_pcb *pcb, struct pbuf *p,
    const ip_addr_t *address, u16_t port) {
    socket_obj_t *self = argument;
    if (!packet_queue_put(&self->queue, p, address, port)) {
        pbuf_free(p);
    }
}

// Udp(local, port, index=0): local: address octets, all zero for any of the family; port 0: lwIP's
// choice; index: the only interface. Raises OSError.
static mp_obj_t udp_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 2, 3, false);
    ip_addr_t local;
    address_of(args[0], &local);
    socket_obj_t *self = make(type);
    self->netif = n_args > 2 ? netif_or_any(args[2]) : NULL;
    set_zone(&local, self->netif);
    self->udp = udp_new_ip_type(IP_GET_TYPE(&local));
    if (self->udp == NULL) {
        mp_raise_OSError(MP_ENOMEM);
    }
    ip_set_option(self->udp, SOF_REUSEADDR); // as Babel has two: the group's and the own address's
    if (self->netif != NULL) {
        udp_bind_netif(self->udp, self->netif);
    }
    err_t error = udp_bind(self->udp, &local, mp_obj_get_int(args[1]));
    if (error != ERR_OK) {
        udp_remove(self->udp);
        self->udp = NULL;
        raise_lwip(error);
    }
    udp_recv(self->udp, udp_received, self);
    return MP_OBJ_FROM_PTR(self);
}

// connect(address, port): from now on only this peer's datagrams are read, and write() goes there.
static mp_obj_t udp_connect_(mp_obj_t self_in, mp_obj_t octets, mp_obj_t port) {
    socket_obj_t *self = open_socket(self_in);
    ip_addr_t address;
    address_of(octets, &address);
    set_zone(&address, self->netif);
    err_t error = udp_connect(self->udp, &address, mp_obj_get_int(port));
    if (error != ERR_OK) {
        raise_lwip(error);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(udp_connect_obj, udp_connect_);

// write(view, n): n, or None where lwIP did not take it: no way there, or no memory.
static mp_obj_t udp_write(mp_obj_t self_in, mp_obj_t view, mp_obj_t length) {
    socket_obj_t *self = open_socket(self_in);
    struct pbuf *p = pbuf_of(view, length, PBUF_TRANSPORT);
    if (p == NULL) {
        return mp_const_none;
    }
    err_t error = udp_send(self->udp, p);
    pbuf_free(p);
    return error == ERR_OK ? length : mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(udp_write_obj, udp_write);

// sendto(view, n, address, port): as write(), to whomever.
static mp_obj_t udp_sendto_(size_t n_args, const mp_obj_t *args) {
    socket_obj_t *self = open_socket(args[0]);
    ip_addr_t address;
    address_of(args[3], &address);
    set_zone(&address, self->netif);
    struct pbuf *p = pbuf_of(args[1], args[2], PBUF_TRANSPORT);
    if (p == NULL) {
        return mp_const_none;
    }
    u16_t port = mp_obj_get_int(args[4]);
    err_t error = self->netif == NULL ? udp_sendto(self->udp, p, &address, port)
                                      : udp_sendto_if(self->udp, p, &address, port, self->netif);
    pbuf_free(p);
    return error == ERR_OK ? args[2] : mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(udp_sendto_obj, 5, 5, udp_sendto_);

// join(group): receive an IPv6 group of the interface; packets bear hop limit 1 and CS6.
static mp_obj_t udp_join(mp_obj_t self_in, mp_obj_t octets) {
    socket_obj_t *self = open_socket(self_in);
    ip_addr_t group;
    address_of(octets, &group);
    if (self->netif == NULL || !IP_IS_V6(&group)) {
        mp_raise_OSError(MP_EINVAL);
    }
    set_zone(&group, self->netif);
    err_t error = mld6_joingroup_netif(self->netif, ip_2_ip6(&group));
    if (error != ERR_OK) {
        raise_lwip(error);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(udp_join_obj, udp_join);

// mark(hops): what is sent is network control, and lives so many hops.
static mp_obj_t udp_mark(mp_obj_t self_in, mp_obj_t hops) {
    socket_obj_t *self = open_socket(self_in);
    self->udp->tos = TOS_NETWORK_CONTROL;
    self->udp->ttl = mp_obj_get_int(hops);
    udp_set_multicast_ttl(self->udp, self->udp->ttl);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(udp_mark_obj, udp_mark);

// local(): (address octets, port)
static mp_obj_t udp_local(mp_obj_t self_in) {
    socket_obj_t *self = open_socket(self_in);
    mp_obj_t items[] = {
        address_to(&self->udp->local_ip), MP_OBJ_NEW_SMALL_INT(self->udp->local_port),
    };
    return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(udp_local_obj, udp_local);

static const mp_rom_map_elem_t udp_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&socket_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&socket_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&udp_connect_obj) },
    { MP_ROM_QSTR(MP_QSTR_dropped), MP_ROM_PTR(&socket_dropped_obj) },
    { MP_ROM_QSTR(MP_QSTR_join), MP_ROM_PTR(&udp_join_obj) },
    { MP_ROM_QSTR(MP_QSTR_local), MP_ROM_PTR(&udp_local_obj) },
    { MP_ROM_QSTR(MP_QSTR_mark), MP_ROM_PTR(&udp_mark_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&socket_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_sendto), MP_ROM_PTR(&udp_sendto_obj) },
    { MP_ROM_QSTR(MP_QSTR_source), MP_ROM_PTR(&socket_source_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&udp_write_obj) },
};
static MP_DEFINE_CONST_DICT(udp_locals, udp_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    udp_type,
    MP_QSTR_Udp,
    MP_TYPE_FLAG_NONE,
    make_new, udp_make_new,
    protocol, &socket_stream,
    locals_dict, &udp_locals
    );

// ---- class Echo ----

// Takes echo replies alone, and leaves everything else to lwIP. p starts with the IP header.
static u8_t echo_received(void *argument, struct raw_pcb *pcb, struct pbuf *p,
    const ip_addr_t *address) {
    socket_obj_t *self = argument;
    u16_t header = IP_IS_V4(address) ? (pbuf_get_at(p, 0) & 15) * 4 : IP6_HLEN;
    u8_t reply = IP_IS_V4(address) ? ICMP_ER : ICMP6_TYPE_EREP;
    if (pbuf_try_get_at(p, header) != reply || !packet_queue_put(&self->queue, p, address, 0)) {
        return 0;
    }
    return 1;
}

// Echo(target, index): ICMP or ICMPv6 messages to an address by an interface, and echo replies.
static mp_obj_t echo_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 2, 2, false);
    ip_addr_t target;
    address_of(args[0], &target);
    socket_obj_t *self = make(type);
    self->netif = netif_of(args[1]);
    set_zone(&target, self->netif);
    self->raw = raw_new_ip_type(IP_GET_TYPE(&target), IP_IS_V4(&target) ? IP_PROTO_ICMP
                                                                        : IP6_NEXTH_ICMP6);
    if (self->raw == NULL) {
        mp_raise_OSError(MP_ENOMEM);
    }
    self->raw->chksum_reqd = IP_IS_V6(&target);
    self->raw->chksum_offset = 2; // in an ICMPv6 header
    self->raw->tos = TOS_NETWORK_CONTROL;
    raw_bind_netif(self->raw, self->netif);
    raw_recv(self->raw, echo_received, self);
    raw_connect(self->raw, &target);
    return MP_OBJ_FROM_PTR(self);
}

// write(view, n): sends an ICMP message whose checksum is right; n, or None.
static mp_obj_t echo_write(mp_obj_t self_in, mp_obj_t view, mp_obj_t length) {
    socket_obj_t *self = open_socket(self_in);
    struct pbuf *p = pbuf_of(view, length, PBUF_IP);
    if (p == NULL) {
        return mp_const_none;
    }
    const ip_addr_t *target = &self->raw->remote_ip;
    const ip_addr_t *source = ip_netif_get_local_ip(self->netif, target);
    err_t error = source == NULL ? ERR_RTE
                                 : raw_sendto_if_src(self->raw, p, target, self->netif, source);
    pbuf_free(p);
    return error == ERR_OK ? length : mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(echo_write_obj, echo_write);

static const mp_rom_map_elem_t echo_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&socket_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&socket_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_dropped), MP_ROM_PTR(&socket_dropped_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&socket_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_source), MP_ROM_PTR(&socket_source_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&echo_write_obj) },
};
static MP_DEFINE_CONST_DICT(echo_locals, echo_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    echo_type,
    MP_QSTR_Echo,
    MP_TYPE_FLAG_NONE,
    make_new, echo_make_new,
    protocol, &socket_stream,
    locals_dict, &echo_locals
    );

static const mp_rom_map_elem_t module_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_datagram) },
    { MP_ROM_QSTR(MP_QSTR_Udp), MP_ROM_PTR(&udp_type) },
    { MP_ROM_QSTR(MP_QSTR_Echo), MP_ROM_PTR(&echo_type) },
};
static MP_DEFINE_CONST_DICT(module_globals, module_globals_table);

const mp_obj_module_t datagram_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&module_globals,
};
MP_REGISTER_MODULE(MP_QSTR_datagram, datagram_module);
