// network.LAN: the board's Ethernet (SMSC LAN9118) under lwIP. LAN() is the wire itself, LAN(11)
// its VLAN 11 (IEEE 802.1Q), so that one wire can be the WAN and LANs.
#include <string.h>

#include "py/mphal.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "extmod/modnetwork.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/netif.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"
#include "board.h"

#define LAN9118(offset) REGISTER(0x40200000u + (offset))
#define RX_DATA (0x00)
#define TX_DATA (0x20)
#define RX_STATUS (0x40)
#define TX_STATUS (0x48)
#define IRQ_CONFIG (0x54)
#define INT_STATUS (0x58)
#define INT_ENABLE (0x5C)
#define FIFO_LEVELS (0x68)
#define RX_CONFIG (0x6C)
#define TX_CONFIG (0x70)
#define HW_CONFIG (0x74)
#define RX_FIFO (0x7C)
#define TX_FIFO (0x80)
#define MAC_COMMAND (0xA4)
#define MAC_DATA (0xA8)

#define MAC_CONTROL (1)
#define MAC_ADDRESS_HIGH (2)
#define MAC_ADDRESS_LOW (3)
#define MAC_BUSY (0x80000000u)
#define MAC_READ (0x40000000u)
#define MAC_FULL_DUPLEX_TX_RX_ALL_MULTICAST (0x0018000Cu)

#define FIFO_STATUS_USED (0x00FF0000u)
#define HW_CONFIG_LARGE_RX_FIFO (0x00120000u)
#define INT_RX_STATUS_LEVEL (1u << 3)
#define IRQ_ENABLED_ACTIVE_HIGH_PUSH_PULL (0x111u)

#define FRAME (1518 + 4) // with a VLAN tag
#define CRC (4)
#define VLAN_TYPE (0x8100)
#define TYPE_AT (12) // in a frame, behind both addresses
#define TAG (4)
#define INTERFACES (4)
#define FRAMES_A_POLL (32)

typedef struct {
    mp_obj_base_t base;
    struct netif netif;
    uint16_t vlan; // 0: untagged
    bool active;
} lan_obj_t;

const mp_obj_type_t network_lan_type;
static lan_obj_t lans[INTERFACES];
static bool started;
static union {
    uint32_t words[(FRAME + CRC + 3) / 4];
    uint8_t octets[FRAME + CRC];
} frame;

// ---- the chip ----

static void mac_write(uint32_t number, uint32_t value) {
    LAN9118(MAC_DATA) = value;
    LAN9118(MAC_COMMAND) = MAC_BUSY | number;
    while (LAN9118(MAC_COMMAND) & MAC_BUSY) {
    }
}

static uint32_t mac_read(uint32_t number) {
    LAN9118(MAC_COMMAND) = MAC_BUSY | MAC_READ | number;
    while (LAN9118(MAC_COMMAND) & MAC_BUSY) {
    }
    return LAN9118(MAC_DATA);
}

static void chip_start(void) {
    started = true;
    LAN9118(HW_CONFIG) = 1; // reset, after which the MAC address is that of the EEPROM
    while (LAN9118(HW_CONFIG) & 1) {
    }
    LAN9118(HW_CONFIG) = HW_CONFIG_LARGE_RX_FIFO;
    mac_write(MAC_CONTROL, MAC_FULL_DUPLEX_TX_RX_ALL_MULTICAST);
    LAN9118(TX_CONFIG) = 2;
    LAN9118(RX_CONFIG) = 0;
    LAN9118(FIFO_LEVELS) = 0x48000000; // an interrupt for the first frame
    LAN9118(INT_STATUS) = 0xFFFFFFFF;
    LAN9118(INT_ENABLE) = INT_RX_STATUS_LEVEL;
    LAN9118(IRQ_CONFIG) = IRQ_ENABLED_ACTIVE_HIGH_PUSH_PULL;
}

static void chip_address(uint8_t *out) {
    uint32_t low = mac_read(MAC_ADDRESS_LOW), high = mac_read(MAC_ADDRESS_HIGH);
    memcpy(out, &low, 4);
    memcpy(out + 4, &high, 2);
}

static void chip_send(uint32_t n) {
    LAN9118(TX_DATA) = 0x3000 | n; // the first and last buffer of a frame
    LAN9118(TX_DATA) = n;
    for (uint32_t i = 0; i < (n + 3) / 4; i++) {
        LAN9118(TX_DATA) = frame.words[i];
    }
    while (LAN9118(TX_FIFO) & FIFO_STATUS_USED) {
        (void)LAN9118(TX_STATUS);
    }
}

// The length of the next frame, read into `frame`, without its checksum.
static uint32_t chip_receive(void) {
    uint32_t n = LAN9118(RX_STATUS) >> 16 & 0x3FFF;
    for (uint32_t i = 0; i < (n + 3) / 4; i++) {
        uint32_t word = LAN9118(RX_DATA);
        if (i < MP_ARRAY_SIZE(frame.words)) {
            frame.words[i] = word;
        }
    }
    return n < CRC || n > sizeof(frame.octets) ? 0 : n - CRC;
}

// ---- lwIP's side ----

u32_t sys_now(void) {
    return mp_hal_ticks_ms();
}

static err_t send(struct netif *netif, struct pbuf *p) {
    lan_obj_t *self = netif->state;
    uint32_t tag = self->vlan ? TAG : 0;
    if (p->tot_len + tag > FRAME) {
        return ERR_BUF;
    }
    if (tag) {
        const uint8_t octets[TAG] = { VLAN_TYPE >> 8, VLAN_TYPE & 0xFF, self->vlan >> 8, self->vlan };
        pbuf_copy_partial(p, frame.octets, TYPE_AT, 0);
        memcpy(frame.octets + TYPE_AT, octets, TAG);
        pbuf_copy_partial(p, frame.octets + TYPE_AT + TAG, p->tot_len - TYPE_AT, TYPE_AT);
    } else {
        pbuf_copy_partial(p, frame.octets, p->tot_len, 0);
    }
    chip_send(p->tot_len + tag);
    return ERR_OK;
}

static err_t init_netif(struct netif *netif) {
    netif->name[0] = 'e';
    netif->name[1] = '0';
    netif->linkoutput = send;
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    chip_address(netif->hwaddr);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET
        | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    return ERR_OK;
}

static lan_obj_t *find(uint16_t vlan) {
    for (lan_obj_t *lan = lans; lan < lans + INTERFACES; lan++) {
        if (lan->active && lan->vlan == vlan) {
            return lan;
        }
    }
    return NULL;
}

// Hands the n octets of `frame` to the interface that they are for.
static void deliver(uint32_t n) {
    uint16_t vlan = 0;
    uint32_t tag = 0;
    if (n >= TYPE_AT + TAG + 2
        && (frame.octets[TYPE_AT] << 8 | frame.octets[TYPE_AT + 1]) == VLAN_TYPE) {
        vlan = (frame.octets[TYPE_AT + 2] << 8 | frame.octets[TYPE_AT + 3]) & 0xFFF;
        tag = TAG;
    }
    lan_obj_t *lan = find(vlan);
    if (lan == NULL || n < TYPE_AT + 2) {
        return;
    }
    struct pbuf *p = pbuf_alloc(PBUF_RAW, n - tag, PBUF_POOL);
    if (p == NULL) {
        return;
    }
    pbuf_take(p, frame.octets, TYPE_AT);
    pbuf_take_at(p, frame.octets + TYPE_AT + tag, n - tag - TYPE_AT, TYPE_AT);
    if (lan->netif.input(p, &lan->netif) != ERR_OK) {
        pbuf_free(p);
    }
}

bool lan_has_input(void) {
    return started && (LAN9118(RX_FIFO) & FIFO_STATUS_USED);
}

void lan_poll(void) {
    static bool busy;
    if (busy) {
        return;
    }
    busy = true;
    for (int i = 0; i < FRAMES_A_POLL && lan_has_input(); i++) {
        deliver(chip_receive());
    }
    if (started) {
        LAN9118(INT_STATUS) = 0xFFFFFFFF;
    }
    netif_poll_all();
    static uint32_t last;
    uint32_t now = mp_hal_ticks_ms();
    if (now != last) {
        last = now;
        sys_check_timeouts();
    }
    busy = false;
}

// ---- class network.LAN ----

static mp_obj_t lan_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    mp_int_t vlan = n_args ? mp_obj_get_int(args[0]) : 0;
    if (vlan < 0 || vlan > 4094) {
        mp_raise_ValueError(MP_ERROR_TEXT("a VLAN is from 1 to 4094"));
    }
    for (lan_obj_t *lan = lans; lan < lans + INTERFACES; lan++) {
        if (lan->base.type == NULL || lan->vlan == vlan) {
            lan->base.type = &network_lan_type;
            lan->vlan = vlan;
            return MP_OBJ_FROM_PTR(lan);
        }
    }
    mp_raise_OSError(MP_ENOSPC);
}

static void activate(lan_obj_t *self) {
    if (!started) {
        chip_start();
    }
    netif_add_noaddr(&self->netif, self, init_netif, ethernet_input);
    netif_set_hostname(&self->netif, mod_network_hostname_data);
    if (self->vlan == 0) {
        netif_set_default(&self->netif);
    }
    netif_set_up(&self->netif);
    netif_set_link_up(&self->netif);
    netif_create_ip6_linklocal_address(&self->netif, 1);
    self->active = true;
}

static void deactivate(lan_obj_t *self) {
    dhcp_release_and_stop(&self->netif);
    netif_remove(&self->netif);
    self->active = false;
}

static mp_obj_t lan_active(size_t n_args, const mp_obj_t *args) {
    lan_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    if (n_args == 1) {
        return mp_obj_new_bool(self->active);
    }
    bool wanted = mp_obj_is_true(args[1]);
    if (wanted && !self->active) {
        activate(self);
    } else if (!wanted && self->active) {
        deactivate(self);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(lan_active_obj, 1, 2, lan_active);

static lan_obj_t *active_lan(mp_obj_t self_in) {
    lan_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (!self->active) {
        mp_raise_OSError(MP_ENODEV);
    }
    return self;
}

static mp_obj_t lan_isconnected(mp_obj_t self_in) {
    lan_obj_t *self = MP_OBJ_TO_PTR(self_in);
    return mp_obj_new_bool(self->active && !ip4_addr_isany(netif_ip4_addr(&self->netif)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(lan_isconnected_obj, lan_isconnected);

static mp_obj_t lan_ifconfig(size_t n_args, const mp_obj_t *args) {
    return mod_network_nic_ifconfig(&active_lan(args[0])->netif, n_args - 1, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(lan_ifconfig_obj, 1, 2, lan_ifconfig);

static mp_obj_t lan_ipconfig(size_t n_args, const mp_obj_t *args, mp_map_t *kwargs) {
    return mod_network_nic_ipconfig(&active_lan(args[0])->netif, n_args - 1, args + 1, kwargs);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(lan_ipconfig_obj, 1, lan_ipconfig);

static mp_obj_t lan_config(mp_obj_t self_in, mp_obj_t name) {
    if (mp_obj_str_get_qstr(name) != MP_QSTR_mac) {
        mp_raise_ValueError(MP_ERROR_TEXT("unknown config param"));
    }
    return mp_obj_new_bytes(active_lan(self_in)->netif.hwaddr, 6);
}
static MP_DEFINE_CONST_FUN_OBJ_2(lan_config_obj, lan_config);

static const mp_rom_map_elem_t lan_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_active), MP_ROM_PTR(&lan_active_obj) },
    { MP_ROM_QSTR(MP_QSTR_config), MP_ROM_PTR(&lan_config_obj) },
    { MP_ROM_QSTR(MP_QSTR_ifconfig), MP_ROM_PTR(&lan_ifconfig_obj) },
    { MP_ROM_QSTR(MP_QSTR_ipconfig), MP_ROM_PTR(&lan_ipconfig_obj) },
    { MP_ROM_QSTR(MP_QSTR_isconnected), MP_ROM_PTR(&lan_isconnected_obj) },
};
static MP_DEFINE_CONST_DICT(lan_locals, lan_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    network_lan_type,
    MP_QSTR_LAN,
    MP_TYPE_FLAG_NONE,
    make_new, lan_make_new,
    locals_dict, &lan_locals
    );
