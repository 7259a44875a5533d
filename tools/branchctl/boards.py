"""The boards that a gateway can be, as boards/*/board.toml describe them."""

import dataclasses
import functools
import tomllib
from pathlib import Path

from branchctl.positions import split_error
from branchctl.problems import WRONG_INPUT, Problem, Problems, Refusal
from branchctl.reader import Report, Section

# Within the package, a link to the checkout's boards/; a wheel carries what is read of it.
FOLDER = Path(__file__).parent / "board_data"
FILE = "board.toml"
HALS = ("linux", "lwip")
FLASHING = ("copied", "qemu", "uf2", "esptool", "dfu", "teensy")
# What a board's gateway does once there is an image of it.
ABILITIES = ("native", "openvpn", "tun", "tap", "babel", "watchdog", "api", "firewall")
_MOST_KB = 1 << 22
_MEMORY = ("heap_kb", "tls_kb", "lwip_kb")


@dataclasses.dataclass(frozen=True)
class Test:
    """Something that was run, and how."""

    what: str
    how: str


@dataclasses.dataclass(frozen=True)
class Flash:
    """Where the board keeps its files: LittleFS from `address` on, in blocks of `block` octets."""

    address: int
    filesystem_kb: int
    block: int


@dataclasses.dataclass(frozen=True)
class Board:
    """One kind of board. `build` is the command that makes its image, "" where there is none yet;
    `tested` holds nothing that has not been run."""

    name: str
    title: str
    hal: str
    port: str
    mcu: str
    build: str
    flashing: str
    abilities: tuple[str, ...]
    interfaces: dict[str, str]
    memory: dict[str, int]
    flash: Flash | None
    tested: tuple[Test, ...]

    @property
    def is_linux(self) -> bool:
        """Whether Linux, with nftables and named devices, runs on it."""
        return self.hal == "linux"


@functools.cache
def load(folder: Path = FOLDER) -> dict[str, Board]:
    """The boards by their names. Raises Problems for mistakes, Refusal where there are none."""
    found = {file.parent.name: _read(file) for file in sorted(folder.glob(f"*/{FILE}"))}
    if not found:
        raise Refusal(f"{folder} holds no boards",
                      "branchctl runs from a checkout of Branchline: pip install -e .")
    return found


def _read(file: Path) -> Board:
    text = file.read_text(encoding="utf-8")
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, reason = split_error(error, text)
        raise Problems([Problem(str(file), line, "", f"not TOML: {reason}",
                                "correct that line, or the one before it")]) from None
    report = Report(file, text)
    board = _board(file.parent.name, Section(report, value))
    if report.problems:
        raise Problems(report.problems)
    return board


def _board(name: str, top: Section) -> Board:
    top.allow("title", "hal", "port", "mcu", "build", "flashing", "can", "memory", "flash",
              "interfaces", "tested")
    build = top.get("build", str, "")
    tested = tuple(_test(item) for item in top.items("tested"))
    if tested and not build:
        top.wrong("tested", "nothing can have run without an image", "name the build")
    return Board(
        name=name,
        title=top.get("title", str, example='"A name"'),
        hal=top.choice("hal", HALS),
        port=top.get("port", str, example='"rp2"'),
        mcu=top.get("mcu", str, example='"Cortex-M33, 150 MHz"'),
        build=build,
        flashing=top.choice("flashing", FLASHING),
        abilities=_abilities(top, build),
        interfaces=dict(_interface(item) for item in top.items("interfaces")),
        memory=_memory(top.section("memory")),
        flash=_flash(top.section("flash")) if top.is_table("flash") else None,
        tested=tested,
    )


def _abilities(top: Section, build: str) -> tuple[str, ...]:
    words = top.texts("can", '["native"]')
    for word, path in words:
        if word not in ABILITIES:
            top.report.add(path, f'"{word}" is not known', f"choose from {', '.join(ABILITIES)}")
    if words and not build:
        top.wrong("can", "a board without an image does nothing", "name the build")
    return tuple(word for word, _ in words)


def _interface(item: Section) -> tuple[str | None, str | None]:
    item.allow("name", "kind")
    return item.get("name", str, example='"eth0"'), item.get("kind", str, example='"Ethernet"')


def _memory(section: Section) -> dict[str, int]:
    section.allow(*_MEMORY)
    return {key: section.number(key, 1, 1, _MOST_KB) for key in section.names() if key in _MEMORY}


def _flash(section: Section) -> Flash:
    section.allow("address", "filesystem_kb", "block")
    return Flash(
        section.number("address", -1, 0, (1 << 32) - 1),
        section.number("filesystem_kb", 0, 16, _MOST_KB),
        section.number("block", 0, 256, 1 << 20),
    )


def _test(item: Section) -> Test:
    item.allow("what", "how")
    return Test(item.get("what", str, example='"pings"'), item.get("how", str, example='"QEMU"'))


def of_name(name: str) -> Board:
    """The board of a name. Raises Refusal for an unknown one."""
    known = load()
    if name not in known:
        raise Refusal(f'the board "{name}" is not known', f"choose from {', '.join(known)}",
                      WRONG_INPUT)
    return known[name]
