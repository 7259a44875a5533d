// A bounded table of routes. The longest prefix wins, then the lowest metric; connected networks
// of lwIP's own interfaces take part with the metric 0, its default interface with the prefix 0.
#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "lwip/icmp.h"
#include "lwip/icmp6.h"
#include "lwip/ip.h"
#include "addresses.h"
#include "lwip_hooks.h"
#include "routes.h"

#ifndef BRANCHLINE_ROUTES
#define BRANCHLINE_ROUTES (128)
#endif

typedef struct {
    struct netif *netif; // NULL: the entry is free
    ip_addr_t prefix;
    ip_addr_t gateway; // IPADDR_TYPE_ANY: the destination is on the link
    u16_t metric;
    u8_t plen;
} route_t;

static route_t routes[BRANCHLINE_ROUTES];

// Where destinations without a way go: their senders are told.
static struct netif unreachable;

static err_t refuse4(struct netif *netif, struct pbuf *p, const ip4_addr_t *address) {
    icmp_dest_unreach(p, ICMP_DUR_HOST);
    return ERR_RTE;
}

static err_t refuse6(struct netif *netif, struct pbuf *p, const ip6_addr_t *address) {
    icmp6_dest_unreach(p, ICMP6_DUR_NO_ROUTE);
    return ERR_RTE;
}

static err_t unreachable_init(struct netif *netif) {
    netif->name[0] = 'n';
    netif->name[1] = 'o';
    netif->mtu = 1500;
    netif->output = refuse4;
    netif->output_ip6 = refuse6;
    return ERR_OK;
}

static struct netif *unreachable_netif(void) {
    if (unreachable.output == NULL) {
        netif_add_noaddr(&unreachable, NULL, unreachable_init, ip_input);
        netif_set_up(&unreachable);
        netif_set_link_up(&unreachable);
    }
    return &unreachable;
}

static bool matches(const u8_t *a, const u8_t *b, u8_t plen) {
    u8_t octets = plen / 8, bits = plen % 8;
    return memcmp(a, b, octets) == 0
           && (bits == 0 || ((a[octets] ^ b[octets]) & (0xFF00 >> bits) & 0xFF) == 0);
}

static const u8_t *octets_of(const ip_addr_t *address) {
    return IP_IS_V4(address) ? (const u8_t *)&ip_2_ip4(address)->addr
                             : (const u8_t *)ip_2_ip6(address)->addr;
}

static bool usable(const struct netif *netif) {
    return netif_is_up(netif) && netif_is_link_up(netif);
}

static route_t *find(u8_t type, const u8_t *destination) {
    route_t *best = NULL;
    for (route_t *route = routes; route < routes + BRANCHLINE_ROUTES; route++) {
        if (route->netif == NULL || IP_GET_TYPE(&route->prefix) != type || !usable(route->netif)
            || !matches(octets_of(&route->prefix), destination, route->plen)) {
            continue;
        }
        if (best == NULL || route->plen > best->plen
            || (route->plen == best->plen && route->metric < best->metric)) {
            best = route;
        }
    }
    return best;
}

// The connected network that holds destination; its length goes to plen.
static struct netif *connected4(const ip4_addr_t *destination, int *plen) {
    struct netif *best = NULL, *netif;
    NETIF_FOREACH(netif) {
        u32_t mask = ip4_addr_get_u32(netif_ip4_netmask(netif));
        int length = __builtin_popcount(mask);
        if (usable(netif) && !ip4_addr_isany_val(*netif_ip4_addr(netif)) && length > *plen
            && ip4_addr_net_eq(destination, netif_ip4_addr(netif), netif_ip4_netmask(netif))) {
            best = netif;
            *plen = length;
        }
    }
    return best;
}

struct netif *routes_find4(const ip4_addr_t *source, const ip4_addr_t *destination) {
    if (ip4_addr_ismulticast(destination) || ip4_addr_isbroadcast_u32(destination->addr, netif_default)) {
        return NULL; // by lwIP's own rules
    }
    int plen = -1;
    struct netif *connected = connected4(destination, &plen);
    route_t *route = find(IPADDR_TYPE_V4, (const u8_t *)&destination->addr);
    if (route != NULL && route->plen > plen) {
        return route->netif;
    }
    return connected; // NULL: the default interface
}

const ip4_addr_t *routes_gateway4(struct netif *netif, const ip4_addr_t *destination) {
    route_t *route = find(IPADDR_TYPE_V4, (const u8_t *)&destination->addr);
    if (route != NULL && route->netif == netif) {
        return IP_IS_ANY_TYPE_VAL(route->gateway) ? destination : ip_2_ip4(&route->gateway);
    }
    return NULL; // the interface's own
}

struct netif *routes_find6(const ip6_addr_t *source, const ip6_addr_t *destination) {
    if (ip6_addr_ismulticast(destination) || ip6_addr_islinklocal(destination)) {
        return NULL;
    }
    route_t *route = find(IPADDR_TYPE_V6, (const u8_t *)destination->addr);
    return route == NULL ? NULL : route->netif;
}

void routes_forget(struct netif *netif) {
    for (route_t *route = routes; route < routes + BRANCHLINE_ROUTES; route++) {
        if (route->netif == netif) {
            route->netif = NULL;
        }
    }
}

// The entry of this prefix and metric, or else (make) a free one, or NULL.
static route_t *entry(const ip_addr_t *prefix, mp_int_t plen, mp_int_t metric, bool make) {
    route_t *unused = NULL;
    for (route_t *route = routes; route < routes + BRANCHLINE_ROUTES; route++) {
        if (route->netif == NULL) {
            unused = route;
        } else if (route->plen == plen && route->metric == metric
                   && ip_addr_eq(&route->prefix, prefix)) {
            return route;
        }
    }
    return make ? unused : NULL;
}

static mp_int_t length_of(mp_obj_t plen, const ip_addr_t *prefix) {
    mp_int_t length = mp_obj_get_int(plen);
    if (length < 0 || length > (IP_IS_V4(prefix) ? 32 : 128)) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad prefix length"));
    }
    return length;
}

static mp_int_t metric_of(mp_obj_t metric) {
    mp_int_t value = mp_obj_get_int(metric);
    return value < 0 ? 0 : value > 0xFFFF ? 0xFFFF : value;
}

// route(prefix, plen, metric, index, gateway=None): adds a route, or takes the place of the one
// with this prefix and metric. index 0: destinations are unreachable. Raises OSError ENOSPC.
static mp_obj_t routes_set(size_t n_args, const mp_obj_t *args) {
    ip_addr_t prefix, gateway;
    address_of(args[0], &prefix);
    mp_int_t plen = length_of(args[1], &prefix), metric = metric_of(args[2]);
    bool refused = args[3] == MP_OBJ_NEW_SMALL_INT(0);
    struct netif *netif = refused ? unreachable_netif() : netif_of(args[3]);
    if (n_args > 4 && args[4] != mp_const_none) {
        address_of(args[4], &gateway);
    } else {
        memset(&gateway, 0, sizeof(gateway));
        IP_SET_TYPE(&gateway, IPADDR_TYPE_ANY);
    }
    route_t *route = entry(&prefix, plen, metric, true);
    if (route == NULL) {
        mp_raise_OSError(MP_ENOSPC);
    }
    route->prefix = prefix;
    route->gateway = gateway;
    route->plen = plen;
    route->metric = metric;
    route->netif = netif;
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(routes_set_obj, 4, 5, routes_set);

// unroute(prefix, plen, metric): removes it; whether it was there.
static mp_obj_t routes_delete(mp_obj_t octets, mp_obj_t plen, mp_obj_t metric) {
    ip_addr_t prefix;
    address_of(octets, &prefix);
    route_t *route = entry(&prefix, length_of(plen, &prefix), metric_of(metric), false);
    if (route != NULL) {
        route->netif = NULL;
    }
    return mp_obj_new_bool(route != NULL);
}
MP_DEFINE_CONST_FUN_OBJ_3(routes_delete_obj, routes_delete);

// The gateway on the way to an IPv4 address, or None.
static mp_obj_t gateway_to(const ip_addr_t *address, struct netif *netif) {
    int plen = -1;
    struct netif *connected = connected4(ip_2_ip4(address), &plen);
    route_t *route = find(IPADDR_TYPE_V4, octets_of(address));
    if (route != NULL && route->plen > plen) {
        return IP_IS_ANY_TYPE_VAL(route->gateway) ? mp_const_none : address_to(&route->gateway);
    }
    if (connected != NULL || ip4_addr_isany(netif_ip4_gw(netif))) {
        return mp_const_none;
    }
    return mp_obj_new_bytes((const byte *)&netif_ip4_gw(netif)->addr, 4);
}

// lookup(address): (index, gateway or None) of the interface by which packets to it leave; None:
// they do not.
static mp_obj_t routes_lookup(mp_obj_t octets) {
    ip_addr_t address;
    address_of(octets, &address);
    struct netif *netif = IP_IS_V4(&address) ? ip4_route(ip_2_ip4(&address))
                                             : routes_find6(NULL, ip_2_ip6(&address));
    if (netif == NULL || netif == &unreachable) {
        return mp_const_none;
    }
    mp_obj_t items[] = {
        MP_OBJ_NEW_SMALL_INT(netif_get_index(netif)),
        IP_IS_V4(&address) ? gateway_to(&address, netif) : mp_const_none,
    };
    return mp_obj_new_tuple(2, items);
}
MP_DEFINE_CONST_FUN_OBJ_1(routes_lookup_obj, routes_lookup);
