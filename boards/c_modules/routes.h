// lwIP's routing: a table of prefixes, as lwIP itself knows connected networks and a default only.
#ifndef BRANCHLINE_ROUTES_H
#define BRANCHLINE_ROUTES_H

#include "py/obj.h"
#include "lwip/ip_addr.h"
#include "lwip/netif.h"

// The functions of the module tun that concern routes.
MP_DECLARE_CONST_FUN_OBJ_VAR_BETWEEN(routes_set_obj);
MP_DECLARE_CONST_FUN_OBJ_3(routes_delete_obj);
MP_DECLARE_CONST_FUN_OBJ_1(routes_lookup_obj);

// Forgets the routes by an interface that goes away.
void routes_forget(struct netif *netif);

#endif
