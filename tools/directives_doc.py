"""Writes docs/directives.md, to standard output, from the firmware's table of directives."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT / "firmware"), str(_ROOT / "tools" / "cpython")]

from branchline.openvpn import directives  # noqa: E402

_HEAD = """\
# Directives

What the gateway makes of each directive that a stock OpenVPN 2.6 client knows. A profile in which
a directive is refused is not used: the message names file, line and directive, the reason and what
to do. Ignored ones are listed in the log. "May be pushed" says that a server may send it.

This file is generated: `python3 tools/directives_doc.py > docs/directives.md`.
"""

# What is honoured in part.
_LIMITS = {
    "auth": "SHA1, SHA224, SHA256, SHA384, SHA512, or none with AEAD ciphers; what the"
    " interpreter lacks is refused when the tunnel starts",
    "auth-retry": "the gateway never asks: interact is as nointeract",
    "auth-user-pass": "from a file or an inline block; without either it is refused",
    "comp-lzo": "`no` only (framing without compression)",
    "compress": "without argument, `stub`, `stub-v2` and `migrate` (framing without compression)",
    "crl-verify": "a file or inline block; `dir` is refused",
    "data-ciphers": "AES-GCM, AES-CBC and CHACHA20-POLY1305; others are not offered",
    "dhcp-option": "kept for whoever asks; the resolver is left alone",
    "dns": "kept for whoever asks; the resolver is left alone",
    "down": "update-resolv-conf and update-systemd-resolved are ignored, other scripts refused",
    "mode": "`p2p` only",
    "proto": "UDP and TCP client",
    "remote-cert-tls": "`server` only",
    "route": "addresses only: host names are refused",
    "setenv": "`opt`, `UV_...`, `FORWARD_COMPATIBLE`, `REMOTE_RANDOM_HOSTNAME`; others ignored",
    "tls-cert-profile": "`suiteb` is refused; with the others the TLS library's own rules hold",
    "tls-cipher": "suites by their IANA names; OpenSSL's words such as DEFAULT are ignored",
    "tls-version-max": "1.2 and 1.3",
    "tls-version-min": "what is below 1.2 counts as 1.2",
    "up": "update-resolv-conf and update-systemd-resolved are ignored, other scripts refused",
}
_VERDICTS = (("+", "Honoured"), ("-", "Ignored"), ("!", "Refused"))


def _row(name):
    verdict, letter, _least, _most, flags = directives.find_directive(name)
    pushed = "yes" if "p" in flags or "r" in flags else ""
    if verdict == "+":
        return f"| `{name}` | {pushed} | {_LIMITS.get(name, '')} |"
    reason, hint = directives.find_reason(letter)
    note = f"{reason}: {hint}" if hint else reason
    return f"| `{name}` | {pushed} | {note} |"


def document():
    """The whole text."""
    names = sorted(directives.directive_names())
    parts = [_HEAD]
    for sign, title in _VERDICTS:
        rows = [_row(name) for name in names if directives.find_directive(name)[0] == sign]
        table = "| directive | may be pushed | note |\n|---|---|---|\n" + "\n".join(rows)
        parts.append(f"## {title} ({len(rows)})\n\n{table}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(document())
