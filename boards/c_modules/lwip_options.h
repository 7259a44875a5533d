// What the modules tun and datagram want of lwIP; a board's lwipopts.h includes it.
#pragma once

#define IP_FORWARD (1)
#define LWIP_IPV6 (1)
#define LWIP_IPV6_FORWARD (1)
#define LWIP_IPV6_MLD (1)
#define LWIP_IPV6_NUM_ADDRESSES (3)
#define LWIP_NETIF_EXT_STATUS_CALLBACK (1)

// The way to a destination (routes.c), and there (forward.c).
#define LWIP_HOOK_FILENAME "lwip_hooks.h"
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest) routes_find4(src, dest)
#define LWIP_HOOK_IP4_CANFORWARD(p, dest) forward4(p)
#define LWIP_HOOK_IP6_ROUTE(src, dest) routes_find6(src, dest)
#define LWIP_HOOK_ETHARP_GET_GW(netif, dest) routes_gateway4(netif, dest)
