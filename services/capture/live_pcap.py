"""Live capture by libpcap: on every system that it runs on, and every kind of interface.

Where no packet can be cut, libpcap hands over thousands at a time (`next_batch`), but says nothing
of their length on the wire. With a smaller snapshot length they come one by one, with it.
"""

import errno
import re
from typing import Any

import numpy as np
import pcapy

from services.capture.device import Growing, Seen
from services.capture.interfaces import ANY, LOOPBACK, NOT_PERMITTED, hardware_type
from services.capture.source import EMPTY_BATCH, Batch
from shared.columns import RECORD
from shared.errors import UserError
from shared.settings import Settings

UNCUT = 1 << 17  # no packet is longer, whatever the driver puts together
BATCH_MAX = 2048  # packets in one read; of 64 KiB each at most
IMMEDIATE_MS = 1  # libpcap is not told to hurry in any other way
ETHERNET = 1
# What libpcap says on activation (pcap/pcap.h)
NO_SUCH_DEVICE, PERMISSION_DENIED, NOT_UP, PROMISC_DENIED = -5, -8, -9, -11
WHY_NOT = {
    NO_SUCH_DEVICE: (errno.ENODEV, "the interface is gone"),
    NOT_UP: (errno.ENETDOWN, "the interface is down"),
}
LINKTYPE = {12: 101, 14: 101, 11: 100, 15: 102, 16: 103, 19: 106}  # of DLT_, where they differ
META = np.dtype([("s", "<u4"), ("us", "<u4"), ("off", "<u4"), ("caplen", "<u4")])


def open_pcap(name: str, index: int, settings: Settings) -> "PcapDevice":
    """OSError if the interface is not there now, UserError if it never will be like this."""
    handle = pcapy.create(name)
    handle.set_snaplen(settings.capture_snaplen)
    handle.set_promisc(settings.promisc)
    handle.set_timeout(IMMEDIATE_MS if settings.immediate else settings.capture_read_timeout_ms)
    handle.set_buffer_size(settings.capture_buffer_size)
    status = handle.activate()
    if status in (PERMISSION_DENIED, PROMISC_DENIED):
        raise UserError(f"--iface {name}: {NOT_PERMITTED}")
    if status in WHY_NOT:
        raise OSError(*WHY_NOT[status])
    if status < 0:
        raise UserError(f"--iface {name}: libpcap cannot capture there (error {status})")
    return PcapDevice(handle, name, index, settings)


class PcapDevice:
    """An interface that libpcap has open."""

    def __init__(self, handle: Any, name: str, index: int, settings: Settings) -> None:
        self._handle, self._name, self._index = handle, name, index
        self._link = LINKTYPE.get(handle.datalink(), handle.datalink())
        self._cuts = settings.capture_snaplen < UNCUT
        self._most = min(settings.batch_size, BATCH_MAX)
        handle.setnonblock(1)
        if settings.capture_filter:
            self._set_filter(settings.capture_filter)
        self._records = np.empty(self._most, RECORD)
        self._records["link"], self._records["source"] = self._link, index
        self._was_full = False
        # counted, but thrown away by libpcap: packets of this machine on their way out
        self._has_copies = name == ANY or hardware_type(name) == LOOPBACK
        self._counts = Growing(3)

    def _set_filter(self, expression: str) -> None:
        try:
            self._handle.setfilter(kernel_filter(expression, self._link))
        except pcapy.PcapError as error:
            raise UserError(
                f'capture filter "{expression}", on {self._name}: {error}; give another'
            ) from None

    def read(self) -> Batch:
        """What is there now, at most BATCH_MAX packets."""
        try:
            batch = self._read_cut() if self._cuts else self._read_whole()
        except pcapy.PcapError as error:
            raise OSError(errno.ENETDOWN, str(error)) from None
        self._was_full = batch.records.size == self._most
        return batch

    def _read_whole(self) -> Batch:
        octets, meta = self._handle.next_batch(self._most)
        if not meta:
            return EMPTY_BATCH
        found = np.frombuffer(meta, META)
        records = self._records[: found.size]
        records["ts_ns"] = found["s"] * np.int64(10**9) + found["us"] * np.int64(1000)
        records["off"], records["caplen"] = found["off"], found["caplen"]
        records["wirelen"] = found["caplen"]
        return Batch(np.frombuffer(octets, np.uint8), records, len(octets))

    def _read_cut(self) -> Batch:
        found: list[tuple[Any, bytes]] = []
        self._handle.dispatch(self._most, lambda *packet: found.append(packet))
        if not found:
            return EMPTY_BATCH
        records = self._records[: len(found)]
        times = np.array([header.getts() for header, _ in found], np.int64)
        records["ts_ns"] = times[:, 0] * 10**9 + times[:, 1] * 1000
        records["caplen"] = [len(octets) for _, octets in found]
        records["wirelen"] = [header.getlen() for header, _ in found]
        records["off"] = np.cumsum(records["caplen"]) - records["caplen"]
        octets = b"".join(octets for _, octets in found)
        return Batch(np.frombuffer(octets, np.uint8), records, len(octets))

    def fileno(self) -> int:
        return int(self._handle.getfd())

    def has_more(self) -> bool:
        return self._was_full

    def seen(self) -> Seen:
        passed, *dropped = self._counts.take(self._handle.stats())
        return Seen(0 if self._has_copies else passed, *dropped)

    def close(self) -> None:
        self._handle.close()


def kernel_filter(expression: str, link: int) -> str:
    """What the system is told to hand over: no less than the filter lets through.

    The system takes a VLAN's tag off before libpcap's program looks, so that `tcp port 80` takes
    tagged packets, and `not tcp port 80` leaves some out that it takes in a capture file. Tagged
    packets are all handed over, and judged when they have their tag again.
    """
    if link != ETHERNET or re.search(r"\bvlan\b", expression):
        return expression
    return f"({expression}) or vlan"
