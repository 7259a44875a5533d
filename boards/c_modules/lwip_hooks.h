// lwIP asks these for the way to a destination (lwip_options.h).
#ifndef BRANCHLINE_LWIP_HOOKS_H
#define BRANCHLINE_LWIP_HOOKS_H

#include "lwip/ip4_addr.h"
#include "lwip/ip6_addr.h"

struct netif;
struct pbuf;
struct netif *routes_find4(const ip4_addr_t *source, const ip4_addr_t *destination);
int forward4(struct pbuf *p);
struct netif *routes_find6(const ip6_addr_t *source, const ip6_addr_t *destination);
const ip4_addr_t *routes_gateway4(struct netif *netif, const ip4_addr_t *destination);

#endif
