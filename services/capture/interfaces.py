"""The network interfaces of this machine: which there are, and what there is to say of them."""

import ctypes
import fcntl
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pcapy

from shared.errors import EXIT_OK, UserError

ANY = "any"
NOT_PERMITTED = (
    "capturing is not permitted; run it as root, or give the Python interpreter the capability:"
    " setcap cap_net_raw+ep"
)
SYSFS = Path("/sys/class/net")
# Bits of ifa_flags, netdevice(7)
FLAGS = ((0x1, "up"), (0x40, "running"), (0x8, "loopback"), (0x10, "point-to-point"))
UP = 0x1
SIOCGIFHWADDR, IFREQ = 0x8927, struct.Struct("=16sH22x")  # netdevice(7)
LOOPBACK = 772  # ARPHRD_
AF_PACKET = 17
# ARPHRD_ of linux/if_arp.h
KINDS = {
    "1": "Ethernet",
    "32": "InfiniBand",
    "512": "PPP",
    "519": "raw IP",
    "65534": "tunnel, no link layer",
    "768": "IP in IP tunnel",
    "769": "IPv6 tunnel",
    "772": "loopback",
    "776": "IPv6 in IPv4 tunnel",
    "778": "GRE tunnel",
    "801": "802.11",
    "803": "802.11 with radiotap",
}


class _Address(ctypes.Structure):
    """struct ifaddrs, getifaddrs(3)."""


_Address._fields_ = [
    ("next", ctypes.POINTER(_Address)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
    ("netmask", ctypes.c_void_p),
    ("other", ctypes.c_void_p),
    ("data", ctypes.c_void_p),
]


@dataclass
class Interface:
    """One interface as the list shows it."""

    name: str
    flags: int = 0
    addresses: list[str] = field(default_factory=list)
    description: str = ""


def check_interface(name: str) -> None:
    """UserError if there is no interface of that name."""
    there = sorted({known for _, known in socket.if_nameindex()})
    if name not in there and name not in pcapy.findalldevs():
        names = ", ".join(map(printable, there))
        raise UserError(f"--iface {printable(name)}: no such interface; there are {names} and any")


def is_there(name: str) -> int:
    """The interface's number, 0 = there is none now."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def hardware_type(name: str) -> int:
    """ARPHRD_ of linux/if_arp.h; -1 = not known. Asked of the kernel: /sys may be another's."""
    if sys.platform != "linux":
        return -1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked, SIOCGIFHWADDR, IFREQ.pack(os.fsencode(name), 0))
        except OSError:
            return -1
    return int(IFREQ.unpack(answer)[1])


def interface_drops(name: str) -> int:
    """Packets that the interface or its driver dropped since it is there, as libpcap counts."""
    total = 0
    for counter in ("rx_missed_errors", "rx_fifo_errors"):
        try:
            total += int((SYSFS / name / "statistics" / counter).read_text())
        except (OSError, ValueError):
            continue
    return total


def interfaces() -> list[Interface]:
    """All there are, by name."""
    found = {name: Interface(name, description=describe(name)) for _, name in socket.if_nameindex()}
    if ANY in pcapy.findalldevs():
        found[ANY] = Interface(ANY, UP, description="all interfaces at once")
    for name, flags, address in addresses():
        if name in found:
            found[name].flags = flags
            if address:
                found[name].addresses.append(address)
    return [found[name] for name in sorted(found)]


def addresses() -> Iterator[tuple[str, int, str]]:
    """Name, flags and one address ("" = of a kind that is not shown), for every address."""
    libc = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_Address)()
    if libc.getifaddrs(ctypes.byref(first)):
        return
    try:
        at = first
        while at:
            each = at.contents
            text = address_text(each.address, each.netmask) if each.address else ""
            yield each.name.decode(errors="surrogateescape"), each.flags, text
            at = each.next
    finally:
        libc.freeifaddrs(first)


def address_text(address: int, netmask: int | None) -> str:
    """A socket address with its prefix length, such as 10.0.0.1/8; "" for other families."""
    head = ctypes.string_at(address, 2)
    family = int.from_bytes(head, sys.byteorder) if sys.platform == "linux" else head[1]
    if family == socket.AF_INET:
        octets, mask = (ctypes.string_at(at + 4, 4) if at else b"" for at in (address, netmask))
    elif family == socket.AF_INET6:
        octets, mask = (ctypes.string_at(at + 8, 16) if at else b"" for at in (address, netmask))
    elif family == AF_PACKET and sys.platform == "linux":  # sockaddr_ll, packet(7)
        length = ctypes.string_at(address + 11, 1)[0]
        link = ctypes.string_at(address + 12, min(length, 8))
        return link.hex(":") if any(link) else ""
    else:
        return ""
    prefix = f"/{int.from_bytes(mask, 'big').bit_count()}" if mask else ""
    return f"{ipaddress.ip_address(octets)}{prefix}"


def describe(name: str) -> str:
    """What kind of interface it is, its driver, and the name that an administrator gave it."""
    kind = KINDS.get(_sysfs(name, "type"), "")
    for folder, told in (("wireless", "wireless"), ("bridge", "bridge"), ("bonding", "bond")):
        if (SYSFS / name / folder).exists():
            kind = told
    try:
        driver = (SYSFS / name / "device" / "driver").resolve(strict=True).name
    except OSError:
        driver = ""
    return ", ".join(filter(None, (kind, driver, _sysfs(name, "ifalias"))))


def _sysfs(name: str, attribute: str) -> str:
    try:
        return (SYSFS / name / attribute).read_text(errors="replace").strip()
    except OSError:
        return ""


def printable(text: str) -> str:
    """Without anything that a terminal obeys: whoever may add an interface chooses its name."""
    return "".join(c if c.isprintable() else c.encode(errors="replace").hex() for c in text)


def table() -> str:
    """The list as text: name, flags, addresses, description."""
    rows = [("NAME", "FLAGS", "ADDRESSES", "DESCRIPTION")]
    for each in interfaces():
        flags = " ".join(word for bit, word in FLAGS if each.flags & bit) or "-"
        shown = " ".join(each.addresses) or "-"
        rows.append((each.name, flags, shown, each.description))
    rows = [tuple(map(printable, row)) for row in rows]  # type: ignore[misc]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join((*(text.ljust(w) for text, w in zip(row, widths, strict=False)), row[3])).rstrip()
        for row in rows
    )


def main() -> int:
    """`--list-interfaces`."""
    print(table())
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
