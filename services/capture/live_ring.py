"""Live capture from a ring that the Linux kernel fills and this process has in its memory.

The ring is TPACKET_V3 (Documentation/networking/packet_mmap.rst): blocks that belong to the kernel
while it fills them, and to us until we give them back. A batch points into a block; the block is
given back when all of it was read. A filter runs in the kernel, and is there before the socket is
bound, so that nothing else ever gets in.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import struct
from collections.abc import Sequence

import numpy as np

from services.capture.bpf import Instruction, compile_filter
from services.capture.device import Seen
from services.capture.interfaces import (
    ANY,
    LOOPBACK,
    NOT_PERMITTED,
    hardware_type,
    interface_drops,
    is_there,
)
from services.capture.kernels.bpf_vm import ABS, JEQ, JMP, LD, RET, SIZE_B
from services.capture.kernels.ring import CURSOR_SIZE, LEFT, LOST, POS, walk_block
from services.capture.source import EMPTY_BATCH, Batch
from shared.columns import RECORD
from shared.errors import UserError
from shared.settings import Settings

# linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h
SOL_PACKET = 263
ADD_MEMBERSHIP, RX_RING, STATISTICS, VERSION, RESERVE = 1, 5, 6, 10, 12
MEMBERSHIP_PROMISC, V3 = 1, 2
ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
MEMBERSHIP = struct.Struct("=iHH8x")  # packet_mreq
REQUEST = struct.Struct("=7I")  # tpacket_req3
COUNTED = struct.Struct("=3I")  # tpacket_stats_v3: packets with dropped ones, dropped, freezes
FRAME_BYTES = 2048  # the kernel wants to know one, and packs packets by their length
TAG_BYTES = 4
BLOCK_BYTES, PAGE = 1 << 20, mmap.PAGESIZE
# struct tpacket_block_desc, in words of 32 bits
STATUS, PACKETS, FIRST, USED = 2, 3, 4, 5
OURS = 1  # TP_STATUS_USER
HEAD_WORDS = 12

# Ancillary data in a filter, linux/filter.h
ANCILLARY = 0xFFFFF000
PACKET_TYPE, TAG_PRESENT, OUTGOING = ANCILLARY + 4, ANCILLARY + 48, 4
LOAD, IS, TAKE = LD | ABS | SIZE_B, JMP | JEQ, RET

ETHERNET, RAW = 1, 101
# ARPHRD_ of linux/if_arp.h to LINKTYPE_: what libpcap does not read in "cooked" mode either
LINKS = {1: ETHERNET, LOOPBACK: ETHERNET, 519: RAW, 768: RAW, 769: RAW, 776: RAW, 65534: RAW}


class NoRingError(Exception):
    """Why an interface cannot be read like this; libpcap may be able to."""


def open_ring(name: str, index: int, settings: Settings) -> "RingDevice":
    """OSError if the interface is not there now, NoRingError if it never will be like this."""
    if not hasattr(socket, "AF_PACKET"):
        raise NoRingError("only Linux has it")
    link = LINKS.get(hardware_type(name), 0)
    if not link:
        if name != ANY and not is_there(name):
            raise OSError(errno.ENODEV, "the interface is gone")
        raise NoRingError("not on an interface of this kind")
    try:
        ring = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # of no protocol: nothing yet
    except PermissionError:
        raise UserError(f"--iface {name}: {NOT_PERMITTED}") from None
    except OSError as error:
        raise NoRingError(error.strerror or str(error)) from None
    with contextlib.ExitStack() as undo:
        undo.callback(ring.close)
        attach(ring, filter_of(settings, link, hardware_type(name) == LOOPBACK))
        memory, block_bytes = map_ring(ring, settings)
        undo.callback(memory.close)
        bind(ring, name, settings.promisc)
        undo.pop_all()
    return RingDevice(ring, memory, block_bytes, link, name, index, settings)


def filter_of(settings: Settings, link: int, is_loopback: bool) -> list[Instruction]:
    """The program for the kernel: no less than what `--capture-filter` lets through.

    A VLAN's tag is not in the packet when it runs, so tagged packets are all let through; they are
    filtered again when they have it back. Loopback shows each packet twice: on its way out, which
    is left out as libpcap does, and in.
    """
    keep = (TAKE, 0, 0, settings.capture_snaplen)
    if not settings.capture_filter:
        wanted: Sequence[Instruction] = (keep,)
    else:
        program = compile_filter(settings.capture_filter, link, settings.capture_snaplen)
        wanted = ((LOAD, 0, 0, TAG_PRESENT), (IS, 1, 0, 0), keep, *program.instructions)
    if is_loopback:
        wanted = ((LOAD, 0, 0, PACKET_TYPE), (IS, 0, 1, OUTGOING), (TAKE, 0, 0, 0), *wanted)
    return list(wanted)


def attach(ring: socket.socket, program: Sequence[Instruction]) -> None:
    """Have the kernel run a program; NoRingError if it does not take it."""
    code = b"".join(struct.pack("=HBBI", *each) for each in program)  # struct sock_filter
    held = ctypes.create_string_buffer(code, len(code))
    try:
        ring.setsockopt(
            socket.SOL_SOCKET,
            SO_ATTACH_FILTER,
            struct.pack("@HP", len(program), ctypes.addressof(held)),
        )
    except OSError as error:
        raise NoRingError(f"the kernel refused the filter ({error.strerror})") from None


def map_ring(ring: socket.socket, settings: Settings) -> tuple[mmap.mmap, int]:
    """Have the ring made and map it; the bytes of a block. NoRingError if it cannot be had."""
    block = min(BLOCK_BYTES, 1 << (settings.capture_buffer_size // 2).bit_length() - 1)
    blocks = max(2, settings.capture_buffer_size // block)
    retire_ms = 1 if settings.immediate else settings.capture_read_timeout_ms
    request = REQUEST.pack(
        block, blocks, FRAME_BYTES, block * blocks // FRAME_BYTES, retire_ms, 0, 0
    )
    try:
        ring.setsockopt(SOL_PACKET, VERSION, V3)
        ring.setsockopt(SOL_PACKET, RESERVE, TAG_BYTES)
        ring.setsockopt(SOL_PACKET, RX_RING, request)
        return mmap.mmap(ring.fileno(), block * blocks), block
    except OSError as error:
        raise NoRingError(f"the kernel refused a ring ({error.strerror})") from None


def bind(ring: socket.socket, name: str, promisc: bool) -> None:
    """From here on packets come. OSError if the interface is not there or not up."""
    ring.bind((name, ETH_P_ALL))
    if promisc:
        ring.setsockopt(
            SOL_PACKET, ADD_MEMBERSHIP, MEMBERSHIP.pack(is_there(name), MEMBERSHIP_PROMISC, 0)
        )
    check_up(ring)


def check_up(ring: socket.socket) -> None:
    """OSError if the kernel has one to tell: the interface went down, or away."""
    if number := ring.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        told = "the interface is down" if number == errno.ENETDOWN else os.strerror(number)
        raise OSError(number, told)


class RingDevice:
    """An interface whose packets come into a ring."""

    def __init__(
        self,
        ring: socket.socket,
        memory: mmap.mmap,
        block_bytes: int,
        link: int,
        name: str,
        index: int,
        settings: Settings,
    ) -> None:
        self._ring, self._memory, self._name = ring, memory, name
        self._link, self._index, self._snaplen = link, index, settings.capture_snaplen
        octets = np.frombuffer(memory, np.uint8).reshape(-1, block_bytes)
        self._blocks = list(octets)
        self._heads = [block[: 4 * HEAD_WORDS].view(np.uint32) for block in self._blocks]
        self._at = 0  # the block that is read, or comes next
        self._is_open = False  # it is being read
        self._cursor = np.zeros(CURSOR_SIZE, np.int64)
        self._records = np.empty(settings.batch_size, RECORD)
        self._interface_before = interface_drops(name)
        self._counted = [0, 0]

    def read(self) -> Batch:
        """The next block, or the next records of one that has more than a batch."""
        self._give_back()
        if not self._take():
            check_up(self._ring)
            return EMPTY_BATCH
        block = self._blocks[self._at]
        found = walk_block(
            block, self._link, self._index, self._snaplen, self._records, self._cursor
        )
        return Batch(block, self._records[:found], int(self._heads[self._at][USED]))

    def _take(self) -> bool:
        """Whether there is a block to read."""
        head = self._heads[self._at]
        if not self._is_open and head[STATUS] & OURS:
            self._is_open = True
            self._cursor[POS], self._cursor[LEFT] = head[FIRST], head[PACKETS]
        return self._is_open

    def _give_back(self) -> None:
        """The kernel may fill the block again, once nothing is left in it."""
        if self._is_open and not self._cursor[LEFT]:
            self._heads[self._at][STATUS] = 0
            self._at = (self._at + 1) % len(self._blocks)
            self._is_open = False

    def fileno(self) -> int:
        return self._ring.fileno()

    def has_more(self) -> bool:
        return bool(self._cursor[LEFT])

    def seen(self) -> Seen:
        counted = COUNTED.unpack(self._ring.getsockopt(SOL_PACKET, STATISTICS, COUNTED.size))
        self._counted = [total + new for total, new in zip(self._counted, counted, strict=False)]
        dropped = interface_drops(self._name) - self._interface_before
        lost = int(self._cursor[LOST])
        return Seen(self._counted[0], self._counted[1] + lost, max(0, dropped))

    def close(self) -> None:
        self._ring.close()
        self._blocks, self._heads = [], []
        # a batch may still point into it: then it goes when that does
        with contextlib.suppress(BufferError):
            self._memory.close()
