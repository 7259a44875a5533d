"""Every directive of the stock client: honoured, ignored with a reason, or refused with a reason.

The table is one text, searched with find(), because some three hundred objects would not fit a
small heap. Only the profile parser needs it; it can be unloaded after that.
"""

# Each line: a verdict, a letter, the least and the most arguments (hexadecimal), flags, and the
# names that share them. Verdict "+" is honoured, and the letter is how its value is kept:
#   f flag   n number   o one of a few words   b octets of a file or inline block
#   t tunnel option (options.py)   others: a group of handlers in profile_handlers.py
# Verdict "-" is ignored and "!" refused; the letter is the reason's, below.
# Flags: p a server may push it, r the same but not under route-nopull, c it may stand in a
# <connection> block, i it may be an inline block.
_TABLE = """
+b11i ca cert extra-certs key
+c11 auth compat-mode data-ciphers data-ciphers-fallback ncp-ciphers tls-cipher tls-ciphersuites
+e01c bind
+e11 bind-dev dev
+e11c local lport port proto rport
+e11i connection
+e13c remote
+f00 ifconfig-noexec pull push-peer-info remote-random remote-random-hostname route-noexec
+f00 route-nopull tls-client
+f00c float nobind
+g00 client
+g0f setenv
+g11 mode
+g1f down ignore-unknown-option up
+g22 pull-filter
+m02c mssfix
+m11 resolv-retry
+m11c connect-timeout server-poll-timeout
+m12 reneg-sec replay-window
+m12c connect-retry
+m22 keepalive
+n11 hand-window mark rcvbuf reneg-bytes reneg-pkts sndbuf tls-timeout tran-window txqueuelen
+n11c connect-retry-max max-packet-size tun-mtu-max
+o11 allow-compression auth-retry dev-type key-direction proto-force tls-cert-profile
+o11 tls-version-max
+o12 tls-version-min
+s01i auth-user-pass
+s11ci tls-crypt tls-crypt-v2
+s12ci tls-auth
+s12i crl-verify
+t01p comp-lzo compress
+t01pc explicit-exit-notify
+t0fr redirect-gateway redirect-private
+t11p cipher ping ping-exit ping-restart route-gateway topology
+t11r route-metric
+t12p inactive
+t12pc tun-mtu
+t13r route-ipv6
+t14r route
+t1fr dhcp-option dns
+t22p ifconfig ifconfig-ipv6
+v0f remote-cert-ku
+v11 remote-cert-eku remote-cert-tls
+v12 verify-x509-name
-a00 allow-recursive-routing
-g11 gremlin
-k00 persist-local-ip persist-remote-ip
-k00p persist-key persist-tun
-l00 errors-to-stderr machine-readable-output mute-replay-warnings suppress-timestamps
-l01 syslog
-l0fp echo parameter
-l11 log log-append memstats status-version writepid
-l11p mute verb
-l12 status
-m00 management-client management-forget-disconnect management-signal management-up-down
-m11 management-client-group management-client-pf management-client-user management-log-cache
-m23 management
-o00 comp-noadapt compat-names disable-occ ifconfig-nowarn no-name-remapping socks-proxy-retry
-o00 tun-ipv6 use-prediction-resistance
-o01 http-proxy-retry max-routes
-o11 http-proxy-timeout ifconfig-pool-linear keysize
-p00 disable-dco mlock
-p01 daemon
-p11 chroot group nice script-security setcon tmp-dir user
-q11 ecdh-curve tls-groups
-q12 prng
-r00 auth-nocache ping-timer-rem preresolve single-session tls-exit
-r11 remap-usr1
-s00 down-pre up-delay up-restart
-s02p route-delay
-s11 keying-material-exporter x509-track
-s12p setenv-safe
-t00 fast-io mtu-test multihome passtos tcp-nodelay
-t0fp socket-flags
-t11 iproute
-t11c mtu-disc tun-mtu-extra
-t11p shaper
-v11i dh
-w00 allow-nonadmin dhcp-internal pause-exit rdns-internal
-w00p show-net-up
-w00r block-outside-dns dhcp-pre-release dhcp-release dhcp-renew register-dns
-w11 dev-node service win-sys windows-driver
-w11p route-method
-w11r tap-sleep
-w13 ip-win32
-w1f msg-channel
!A01 askpass
!C00 mktun rmtun show-adapters show-ciphers show-curves show-digests show-engines show-groups
!C00 show-net show-tls show-valid-subnets test-crypto version
!C01 help show-gateway
!C02 show-pkcs11-ids
!C03 genkey
!D01 config
!D11 capath cd
!F0fc mtu-dynamic
!F12c fragment
!H00 management-external-key pkcs11-id-management
!H01 engine
!H0f pkcs11-cert-private pkcs11-protected-authentication
!H11 cryptoapicert management-external-cert pkcs11-id pkcs11-pin-cache
!H1f pkcs11-private-mode pkcs11-providers providers
!I11i peer-fingerprint
!I12i verify-hash
!I1f x509-username-field
!J22 static-challenge
!K12i secret
!L11c link-mtu udp-mtu
!M00 management-client-auth management-hold management-query-passwords management-query-proxy
!M00 management-query-remote
!N00 no-iv no-replay
!N11 replay-persist
!P13c http-proxy-option socks-proxy
!P14c http-proxy
!P1fi http-proxy-user-pass
!P23 http-proxy-override
!Q11i pkcs12
!S00 auth-user-pass-optional ccd-exclusive client-cert-not-required client-to-client disable
!S00 duplicate-cn force-tls-key-material-export opt-verify push-reset tls-server
!S00 username-as-common-name vlan-tagging
!S01 verify-client-cert
!S0f auth-gen-token server-bridge
!S11 bcast-buffers client-config-dir ifconfig-ipv6-pool iroute-ipv6 max-clients
!S11 max-routes-per-client push push-remove server-ipv6 tcp-queue-limit tls-crypt-v2-verify
!S11 vlan-accept vlan-pvid
!S11i auth-gen-token-secret
!S12 ifconfig-ipv6-push ifconfig-pool-persist iroute stale-routes-check
!S1f auth-user-pass-verify client-connect client-crresponse client-disconnect learn-address
!S22 connect-freq connect-freq-initial hash-size ifconfig-push-constraint
!S23 ifconfig-pool ifconfig-push port-share server
!T12 ns-cert-type tls-remote
!X11 tls-export-cert
!X1f ipchange plugin route-pre-down route-up tls-verify
!Y11 auth-token auth-token-user peer-id push-continuation
!Y1f key-derivation protocol-flags
!Z00 allow-pull-fqdn block-ipv6 ncp-disable
!Z11 ip-remote-hint key-method lladdr route-ipv6-gateway session-timeout tun-max-mtu
!Z44 client-nat
"""

# Each line: the letter, the reason, and for a refusal after "|" what to do about it.
_REASONS = """
a packets to the server never enter its own tunnel here
g it simulates faults for tests
k across restarts keys are always kept here, the device and its addresses never
l the gateway keeps one log and status of its own
m the gateway is not steered through OpenVPN's management interface
o the stock client itself no longer acts on it, or only with what is refused here
p it is about an operating-system process, which a tunnel here is not
q the TLS library makes this choice by itself
r the gateway restarts tunnels and keeps credentials by rules of its own
s it only serves scripts and plug-ins, which the gateway does not run
t the gateway tunes its sockets and queues by itself
v only a server uses it
w only Windows uses it
A the gateway asks nobody for a passphrase|decrypt the key with 'openssl pkey -in key -out plain'
C it is a command, not a setting|remove it
D the gateway reads one profile and the files that it names|put the content into the profile
F fragmentation is not supported|remove it on both sides; mssfix does for TCP
H keys in tokens, key stores and crypto plug-ins are out of reach|give cert and key as PEM
I the server is identified by its CA and name here|use ca with verify-x509-name
J nobody is there to answer a challenge|have the server accept a certificate or plain password
K static keys have no forward secrecy and 2.6 deprecates them|use TLS (client, ca, cert, key)
L it depends on the cipher's overhead|use tun-mtu and mssfix
M it would wait for a management client|remove it
N it concerns protection against replay that this client does not vary|remove it
P proxies are not supported|reach the server directly
Q PKCS#12 is not supported|convert: openssl pkcs12 -in file -nodes, then use ca, cert and key
S it belongs to a server's configuration|use a client's profile
T it was replaced|use remote-cert-tls server, or verify-x509-name
X the gateway runs no scripts or plug-ins|remove it, and do its work by other means
Y only a server's push may contain it|remove it
Z this version does not support it, and leaving it out would change what the tunnel does|remove it
"""


def find_directive(name):
    """(verdict, letter, least, most, flags) of a directive, or None if no client knows it."""
    pos = max(_TABLE.find(" " + name + " "), _TABLE.find(" " + name + "\n"))
    if pos < 0 or not name or " " in name or "\n" in name:
        return None
    start = _TABLE.rfind("\n", 0, pos) + 1
    head = _TABLE[start : _TABLE.find(" ", start)]
    return head[0], head[1], int(head[2], 16), int(head[3], 16), head[4:]


def find_reason(letter):
    """(reason, hint) for the letter of an ignored or refused directive."""
    start = _REASONS.find("\n" + letter + " ") + 3
    reason, _, hint = _REASONS[start : _REASONS.find("\n", start)].partition("|")
    return reason, hint


def directive_names():
    """Yields every directive's name."""
    for line in _TABLE.split("\n"):
        yield from line.split()[1:]
