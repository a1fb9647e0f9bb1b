"""Lanes: capture's way to each shard, by which packets travel.

A lane has a few *slots*, each for a batch. They are in shared memory, and a message only says which
slot; or in capture's own, and packets travel inside the messages (*inline*), as they do over TCP.
Either way the slot pushed back is the credit, and a lane without free slots stops the reader, so
nothing is lost and nothing grows. An end is credited as well: a queue that is full when its sender
closes the socket would be lost, so the sender waits for that credit.

Messages of a lane arrive in order, so a credit is one for all that was sent before it, also what
went down with a shard that was killed; and a sender that waits for long asks for a credit, with a
tick that names the lane. Every message says how many packets were sent to that shard before, so
that a new shard knows how many its predecessor took along (`services/shard/progress.py`). It says
in its credits, and in a first one of its own accord, that it waits to be fed again from a packet
ring; what is *refed* is marked, and counts as sent before (`services/shard/again.py`).
"""

import mmap
import os
import secrets
import time
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import zmq
from numpy.typing import NDArray

from shared.columns import PACKET
from shared.schema import BatchHeader, Credit, unpack
from shared.wire import Bus, open_socket

SLOTS_MIN, SLOTS_MAX = (
    2,
    8,
)  # more slots than fit the cache make the copies slower, not the flow
# as a credit's slot: the lane's end arrived, or the tick with which it asked for a credit
END_CREDIT, TICK_CREDIT = 1 << 31, (1 << 31) + 1
HELLO = (1 << 31) + 2  # a shard says of itself that it waits
ASK_EVERY_S = 1.0  # for a credit, when none comes
NOTHING: Mapping[str, int] = MappingProxyType({})


class Slot:
    """Room for one batch: PACKET rows and payload bytes."""

    def __init__(self, memory: memoryview | mmap.mmap, base: int, rows: int, payload: int) -> None:
        self.rows: NDArray[np.void] = np.frombuffer(memory, PACKET, rows, base)
        self.payload: NDArray[np.uint8] = np.frombuffer(
            memory, np.uint8, payload, base + rows * PACKET.itemsize
        )


def slot_bytes(rows: int, payload: int) -> int:
    """Size of a slot, padded to a page."""
    return -(-(rows * PACKET.itemsize + payload) // 4096) * 4096


def lane_name(shard: int, slots: int, rows: int, payload: int) -> str:
    """The file of a lane says its own layout."""
    return f"lane-{shard}-{secrets.token_hex(4)}-{slots}-{rows}-{payload}"


class LaneSender:
    """Capture's end of a lane.

    rows, payload: capacity of a batch, packets and bytes. depth: batches that may wait. capture:
    the instance. rows_before: packets that were sent to the shard by earlier ones. ring: they are
    kept. A batch is for this shard alone, so one can be fed again without the others.

    waits: the process of a shard that waits to be fed again; refed: batches are that from now on.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bus: Bus,
        shard: int,
        *,
        rows: int,
        payload: int,
        depth: int,
        inline: bool,
        capture: str = "",
        rows_before: int = 0,
        ring: bool = False,
    ) -> None:
        self.shard, self.capture, self.ring = shard, capture, ring
        self.waits, self.refed = "", False
        self.rows_sent = rows_before
        self.inline = inline
        self.seq = 0
        count = min(max(depth, SLOTS_MIN), SLOTS_MAX)
        self._context, self._bus, self._depth = context, bus, count
        self._connect()
        self.name = lane_name(shard, count, rows, payload)
        self.max_rows = count * rows  # packets that may wait
        self.peak_rows = 0  # most that waited at a time
        self._sent: deque[tuple[int, int]] = deque()  # (credit to come, packets), oldest first
        self._end_arrived = False
        self._asked_at = time.monotonic()
        self._now_ns = 0
        self.path = bus.run_dir / self.name
        self._shape = count, rows, payload
        size = count * slot_bytes(rows, payload)
        self._memory = mmap.mmap(-1, size) if inline else self._share(size)
        self.slots = self._slots()
        self.free = list(range(count))

    def _connect(self) -> None:
        self.socket = open_socket(self._context, zmq.PUSH, self._depth)
        self._bus.connect(self.socket, self._bus.packets(self.shard))
        self.credits = open_socket(self._context, zmq.PULL, self._depth + 1)
        self._bus.connect(self.credits, self._bus.credits(self.shard))

    def _slots(self) -> list[Slot]:
        count, rows, payload = self._shape
        size = slot_bytes(rows, payload)
        return [Slot(self._memory, i * size, rows, payload) for i in range(count)]

    def move(self) -> None:
        """The shard is another process by now, at another address. What was sent and not credited
        is lost with the one before: the new one will count it. An open batch stays as it is."""
        self.socket.close(linger=0)
        self.credits.close(linger=0)
        before, self._memory = self._memory, mmap.mmap(-1, len(self._memory))
        self._memory[:] = before[:]  # ZeroMQ may still be reading from the old one
        self.slots[:] = self._slots()
        self.free += [sent for sent, _ in self._sent if sent < END_CREDIT]
        self._sent.clear()
        self._connect()

    @property
    def queue_rows(self) -> int:
        """Packets that were sent and not given back: they wait for the shard, or it has them."""
        self._collect(0)
        return sum(packets for _, packets in self._sent)

    def _share(self, size: int) -> mmap.mmap:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o660)
        try:
            os.posix_fallocate(descriptor, 0, size)  # a full tmpfs is an error here, not a SIGBUS
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    def mark_refed(self, refed: bool) -> None:
        """Whether what is sent from now on was sent before, to a process that is gone."""
        self.refed = refed

    def hear(self) -> str:
        """Take credits that have come; the last process of the shard that waited to be fed."""
        self._collect(0)
        return self.waits

    def acquire(self, timeout_ms: int) -> int | None:
        """A free slot's index; None when the shard gave none back in time."""
        self._collect(0)
        if not self.free:
            self._collect(timeout_ms)
        if not self.free:
            self._ask_for_credit()
        return self.free.pop() if self.free else None

    def _collect(self, timeout_ms: int) -> None:
        """Take back what the shard has done with."""
        if timeout_ms and not self.credits.poll(timeout_ms):
            return
        while True:
            try:
                frame = self.credits.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            credit = unpack(Credit, frame, f"credits of shard {self.shard}")
            self.waits = credit.waits or self.waits
            if credit.lane == self.name:
                self._credited(credit.slot)

    def _credited(self, which: int) -> None:
        """One message was taken; those before it that were not went down with who had them."""
        if all(sent != which for sent, _ in self._sent):
            return
        sent = -1
        while sent != which:
            sent, _ = self._sent.popleft()
            if sent < END_CREDIT:
                self.free.append(sent)
        self._end_arrived |= which == END_CREDIT
        self._asked_at = time.monotonic()

    def _ask_for_credit(self) -> None:
        """Now and then; all credits may have gone with a shard that was killed."""
        if time.monotonic() - self._asked_at > ASK_EVERY_S:
            self._asked_at = time.monotonic()
            self._say("tick", self._now_ns, 0, TICK_CREDIT)

    def send(
        self,
        index: int,
        rows: int,
        payload: int,
        now_ns: int,
        timeout_ms: int,
        upto: tuple[str, int] = ("", 0),
        others: Mapping[str, int] = NOTHING,
    ) -> bool:
        """Hand slot `index` to the shard. False when its queue stayed full: try again. upto: the
        input it is of, and the number in it up to which the shard has everything then; others: the
        same of inputs before it."""
        slot = self.slots[index]
        header = BatchHeader(
            kind="packets",
            seq=self.seq,
            rows=rows,
            payload_bytes=payload,
            now_ns=now_ns,
            lane=self.name,
            slot=index,
            capture=self.capture,
            rows_before=self.rows_sent,
            input=upto[0],
            upto=upto[1],
            others=dict(others),
            ring=self.ring,
            refed=self.refed,
        ).pack()
        try:
            if self.inline:
                frames: list[Any] = [
                    header,
                    slot.rows[:rows].view(np.uint8),
                    slot.payload[:payload],
                ]
                self.socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
            else:
                self.socket.send(header, zmq.NOBLOCK)
        except zmq.Again:
            self.socket.poll(timeout_ms, zmq.POLLOUT)
            return False
        self._sent.append((index, rows))
        waiting = sum(packets for _, packets in self._sent)
        self.peak_rows = max(self.peak_rows, waiting)
        self.seq += 1
        self.rows_sent += 0 if self.refed else rows
        self._now_ns = now_ns
        return True

    def say(self, kind: Literal["tick", "end"], now_ns: int, timeout_ms: int) -> bool:
        """A message without packets. False when the queue stayed full."""
        return self._say(kind, now_ns, timeout_ms, END_CREDIT if kind == "end" else None)

    def _say(
        self, kind: Literal["tick", "end"], now_ns: int, timeout_ms: int, credit: int | None
    ) -> bool:
        """credit: what is wanted back, if anything."""
        if not self.socket.poll(timeout_ms, zmq.POLLOUT):
            return False
        lane = "" if credit is None else self.name
        header = BatchHeader(
            kind=kind, seq=self.seq, now_ns=now_ns, lane=lane,
            capture=self.capture, rows_before=self.rows_sent, ring=self.ring, refed=self.refed,
        )  # fmt: skip
        try:
            self.socket.send(header.pack(), zmq.NOBLOCK)
        except zmq.Again:
            return False
        if credit is not None:
            self._sent.append((credit, 0))
        self._end_arrived &= kind != "end"  # another end, after more input
        self.seq += 1
        self._now_ns = now_ns
        return True

    def settled(self, timeout_ms: int) -> bool:
        """Wait until the end, which was said, is credited: the shard has taken all there was."""
        if not self._end_arrived:
            self._collect(timeout_ms)
        if not self._end_arrived:
            if all(sent != END_CREDIT for sent, _ in self._sent):  # the shard was killed with it
                self.say("end", self._now_ns, 0)
            self._ask_for_credit()
        return self._end_arrived

    def close(self) -> None:
        """Let go of the lane. A shard that has not `settled` may lose what it was sent."""
        self.socket.close(linger=1000)
        self.credits.close()
        if not self.inline:
            self.path.unlink(missing_ok=True)


class LaneGoneError(Exception):
    """A batch whose lane went with its capture before it was taken."""

    def __init__(self, header: BatchHeader) -> None:
        super().__init__(f"{header.lane} is gone")
        self.header = header


class Received:
    """One batch at the shard: PACKET rows and payload bytes, valid until `LaneReceiver.done`."""

    def __init__(
        self, header: BatchHeader, rows: NDArray[np.void], payload: NDArray[np.uint8]
    ) -> None:
        self.header, self.rows, self.payload = header, rows, payload


class LaneReceiver:
    """The shard's end of its lanes: a second capture, or a restarted one, simply brings its own."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], bus: Bus, shard: int, depth: int
    ) -> None:
        self.bus = bus
        self.socket = open_socket(context, zmq.PULL, depth)
        bus.bind(self.socket, bus.packets(shard))
        self.credits = open_socket(context, zmq.PUSH, 4 * SLOTS_MAX)
        bus.bind(self.credits, bus.credits(shard))
        self.edge = f"packets of shard {shard}"
        self._lanes: dict[str, list[Slot]] = {}
        self._older: set[str] = set()  # lanes of a capture that another one has followed
        self._owed: list[bytes] = []
        self._waits = ""

    def wait(self, instance: str) -> None:
        """Say from now on that this process waits to be fed again; "" = no more."""
        self._waits = instance
        if instance:
            self._owed.append(Credit(lane="", slot=HELLO, waits=instance).pack())
            self.pay()

    def receive(self) -> Received | None:
        """The next batch, or None when nothing waits. SchemaError for what is no batch."""
        try:
            frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        header = unpack(BatchHeader, frames[0].buffer, self.edge)
        if len(frames) < 3 and header.slot >= 0:
            try:
                slot = self._slots(header.lane)[header.slot]
            except FileNotFoundError:
                raise LaneGoneError(header) from None
            return Received(header, slot.rows[: header.rows], slot.payload[: header.payload_bytes])
        if len(frames) < 3:
            return Received(header, np.empty(0, PACKET), np.empty(0, np.uint8))
        rows = np.frombuffer(frames[1].buffer, PACKET)
        return Received(header, rows, np.frombuffer(frames[2].buffer, np.uint8))

    @property
    def has_more(self) -> bool:
        """Whether `receive` would give something."""
        return bool(self.socket.poll(0))

    def _slots(self, name: str) -> list[Slot]:
        if name not in self._lanes:
            count, rows, payload = (int(part) for part in name.split("-")[3:])
            descriptor = os.open(self.bus.run_dir / name, os.O_RDWR)
            try:
                memory = mmap.mmap(descriptor, 0)
            finally:
                os.close(descriptor)
            size = slot_bytes(rows, payload)
            self._lanes[name] = [Slot(memory, i * size, rows, payload) for i in range(count)]
        return self._lanes[name]

    def age(self) -> None:
        """Another capture sends from now on. What the one before it sent may still be on its way;
        memory of those before that is let go."""
        for name in self._older:
            del self._lanes[name]
        self._older = set(self._lanes)

    def done(self, batch: Received) -> None:
        """Give the batch's slot back, whose rows and bytes may be overwritten from now on; or say
        that the lane's end arrived, or its tick. With the next `pay`: each that is sent by itself
        wakes this process's I/O thread, and capture."""
        header = batch.header
        slot = {"packets": header.slot, "tick": TICK_CREDIT, "end": END_CREDIT}[header.kind]
        if slot >= 0 and header.lane:
            self._owed.append(Credit(lane=header.lane, slot=slot, waits=self._waits).pack())

    def pay(self) -> None:
        """Send the credits that are owed. Those of a capture that is gone, or not yet connected,
        wait; there are never more than its slots and a greeting."""
        while self._owed:
            try:
                self.credits.send(self._owed[0], zmq.NOBLOCK)
            except zmq.Again:
                return
            del self._owed[0]

    def close(self) -> None:
        self.credits.close(linger=1000)
        self.socket.close()
