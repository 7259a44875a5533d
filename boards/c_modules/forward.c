// Forwarding of IPv4 between interfaces, in the place of lwIP's own: ip4_forward() of lwIP 2.2.1
// sends each packet with its checksums set to 0. Echo requests, too, are answered by "time exceeded",
// as traceroutes want it.
#include <stdbool.h>

#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/ip4_frag.h"
#include "lwip/netif.h"
#include "lwip/prot/icmp.h"
#include "lwip_hooks.h"

#define LOOPBACK_NET (127)

static bool may_pass(const struct pbuf *p, const ip4_addr_t *source, const ip4_addr_t *destination) {
    return !(p->flags & (PBUF_FLAG_LLBCAST | PBUF_FLAG_LLMCAST))
           && !ip4_addr_ismulticast(destination) && !ip4_addr_islinklocal(destination)
           && !ip4_addr_islinklocal(source) && !ip4_addr_isany(source)
           && ip4_addr1(destination) != LOOPBACK_NET && ip4_addr1(source) != LOOPBACK_NET
           && ip4_addr1(destination) != 0 && ip4_addr1(destination) < 240;
}

// RFC 1122 3.2.2: an ICMP error is never answered by another.
static bool may_be_answered(const struct pbuf *p, const struct ip_hdr *header) {
    return IPH_PROTO(header) != IP_PROTO_ICMP
           || pbuf_try_get_at(p, IPH_HL_BYTES(header)) == ICMP_ECHO;
}

// RFC 1624 (3), with the sum that one hop less makes.
static void take_hop(struct ip_hdr *header) {
    u32_t sum = IPH_CHKSUM(header) + PP_HTONS(0x100);
    IPH_CHKSUM_SET(header, (u16_t)(sum + (sum >> 16)));
    IPH_TTL_SET(header, IPH_TTL(header) - 1);
}

// RFC 1191 4: tells the sender of p what would fit; lwIP's own answer does not say the size.
static void answer_too_big(struct pbuf *p, const struct ip_hdr *header, u16_t mtu) {
    u16_t n = LWIP_MIN(p->tot_len, IPH_HL_BYTES(header) + 8);
    struct pbuf *answer = pbuf_alloc(PBUF_IP, sizeof(struct icmp_hdr) + n, PBUF_RAM);
    ip4_addr_t source;
    ip4_addr_copy(source, header->src);
    struct netif *netif = ip4_route(&source);
    if (answer != NULL && netif != NULL) {
        struct icmp_hdr *icmp = answer->payload;
        icmp->type = ICMP_DUR;
        icmp->code = ICMP_DUR_FRAG;
        icmp->data = lwip_htonl(mtu);
        icmp->chksum = 0;
        pbuf_copy_partial_pbuf(answer, p, n, sizeof(struct icmp_hdr));
        icmp->chksum = inet_chksum(icmp, answer->len);
        ip4_output_if(answer, NULL, &source, ICMP_TTL, 0, IP_PROTO_ICMP, netif);
    }
    if (answer != NULL) {
        pbuf_free(answer);
    }
}

// lwIP's question (LWIP_HOOK_IP4_CANFORWARD) whether to forward p, which starts with its header:
// never, as it has been done here.
int forward4(struct pbuf *p) {
    struct ip_hdr *header = p->payload;
    const ip4_addr_t *source = ip4_current_src_addr(), *destination = ip4_current_dest_addr();
    if (!may_pass(p, source, destination)) {
        return 0;
    }
    struct netif *netif = routes_find4(source, destination);
    if (netif == NULL) {
        netif = netif_default;
    }
    if (netif == NULL || netif == ip_current_input_netif() || !netif_is_up(netif)) {
        return 0;
    }
    if (IPH_TTL(header) <= 1) {
        if (may_be_answered(p, header)) {
            icmp_time_exceeded(p, ICMP_TE_TTL);
        }
        return 0;
    }
    take_hop(header);
    if (p->tot_len <= netif->mtu) {
        netif->output(netif, p, destination);
    } else if (!(IPH_OFFSET(header) & PP_HTONS(IP_DF))) {
        ip4_frag(p, netif, destination);
    } else if (may_be_answered(p, header)) {
        answer_too_big(p, header, netif->mtu);
    }
    return 0;
}
