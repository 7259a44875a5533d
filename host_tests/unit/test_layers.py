"""The import direction of docs/architecture.md, read from the firmware's own sources."""

import os

import branchline

_ROOT = branchline.__file__.rsplit("/", 1)[0]
_DIRECTORY = 0x4000

# Each layer, and the layers that it may import besides itself.
_CORES = ("wire", "crypto", "openvpn", "babel")
_LAYERS = {
    "wire": (),
    "crypto": ("wire",),
    "openvpn": ("wire", "crypto"),
    "babel": ("wire", "crypto"),
    "filter": ("wire",),
    "tunnel": _CORES,
    "watchdog": _CORES,
    "hub": _CORES,
    "web": _CORES + ("tunnel", "watchdog", "hub"),
    "hal": ("wire",),
    "app": _CORES + ("filter", "tunnel", "watchdog", "hub", "web", "hal"),
}
# The layers that touch the machine; the others get by with modules that only compute.
_MACHINE_LAYERS = ("hal", "app")
# Libraries of others, each for the one layer that uses it.
_LIBRARIES = {"web": ("microdot",)}
_PURE_MODULES = (
    "array",
    "binascii",
    "collections",
    "cryptolib",
    "gc",
    "hashlib",
    "json",
    "micropython",
    "re",
    "struct",
    "sys",
)


def _sources(folder):
    """The paths of the Python files below folder."""
    for name in sorted(os.listdir(folder)):
        path = folder + "/" + name
        if os.stat(path)[0] & _DIRECTORY:
            yield from _sources(path)
        elif name.endswith(".py"):
            yield path


def _imports(lines):
    """The dotted names that source lines import (MicroPython has no ast: read as text)."""
    for line in lines:
        words = line.split("#")[0].replace(",", " ").split()
        if len(words) > 3 and words[0] == "from" and words[2] == "import":
            if words[1] == "branchline":
                yield from ("branchline." + name for name in words[3:])
            else:
                yield words[1]
        elif len(words) > 1 and words[0] == "import":
            if "as" in words:
                words = words[: words.index("as")]
            yield from words[1:]


def _fault(layer, name):
    """Why a module of that layer must not import that name, or None if it may."""
    parts = name.split(".")
    if parts[0] == "":
        return "imports relatively"
    if parts[0] == "branchline":
        other = parts[1] if len(parts) > 1 else ""
        allowed = other not in _LAYERS or other == layer or other in _LAYERS[layer]
        return None if allowed else "imports " + name
    if layer in _MACHINE_LAYERS or parts[0] in _PURE_MODULES + _LIBRARIES.get(layer, ()):
        return None
    return "imports " + name


def _faults():
    """Every forbidden import of the firmware, as 'path: what'."""
    for path in _sources(_ROOT):
        relative = path[len(_ROOT) + 1 :]
        if "/" not in relative:
            continue
        layer = relative.split("/")[0]
        if layer not in _LAYERS:
            yield relative + ": is in a layer without a rule"
            continue
        with open(path) as source:
            for name in _imports(source):
                fault = _fault(layer, name)
                if fault:
                    yield relative + ": " + fault


def test_imports_go_in_one_direction():
    faults = list(_faults())
    assert not faults, "\n".join(faults)


def test_every_module_starts_with_a_docstring():
    bare = []
    for path in _sources(_ROOT):
        with open(path) as source:
            if not source.readline().startswith('"""'):
                bare.append(path[len(_ROOT) + 1 :])
    assert not bare, "no docstring on the first line: " + ", ".join(bare)


def test_import_statements_are_read():
    for line, expected in (
        ("import struct", ["struct"]),
        ("    import os, time  # why", ["os", "time"]),
        ("import hashlib as h", ["hashlib"]),
        ("from micropython import const", ["micropython"]),
        ("from branchline.wire.errors import (", ["branchline.wire.errors"]),
        ("from branchline import wire, hal", ["branchline.wire", "branchline.hal"]),
        ("from . import packet", ["."]),
        ("from the peer, or", []),
        ("important = 1", []),
    ):
        assert list(_imports([line])) == expected, line


def test_forbidden_imports_are_found():
    for layer, name, allowed in (
        ("wire", "branchline.wire.errors", True),
        ("wire", "branchline.crypto.prf", False),
        ("openvpn", "branchline.__version__", True),
        ("crypto", "branchline.openvpn.packet", False),
        ("openvpn", "branchline.babel.tlv", False),
        ("tunnel", "branchline.openvpn.session", True),
        ("tunnel", "branchline.hal.linux.udp", False),
        ("hal", "branchline.wire.slot", True),
        ("hal", "branchline.openvpn.session", False),
        ("app", "branchline.hal.linux.udp", True),
        ("openvpn", "time", False),
        ("openvpn", "socket", False),
        ("hal", "socket", True),
        ("web", "microdot", True),
        ("web", "asyncio", False),
        ("tunnel", "microdot", False),
        ("openvpn", ".packet", False),
    ):
        assert (_fault(layer, name) is None) == allowed, (layer, name)


def test_boot_code_needs_nothing_that_lies_in_a_slot():
    folder = _ROOT[: _ROOT.rfind("/")] + "/branchboot"
    allowed = ("binascii", "hashlib", "json", "os", "sys", "branchboot")
    for path in _sources(folder):
        with open(path) as source:
            for name in _imports(source):
                assert name.split(".")[0] in allowed, path + " imports " + name
