"""A capture that starts where another one was killed: what shards have, what was counted.

What can be read again is read again from its start. Each shard gets only what it has not seen, and
only what was not reported is counted; so every packet is analysed and counted once. What cannot be
read again goes on with what comes now; a pipe that was being read is over, as nobody knows where in
it a packet begins.
"""

import stat
from dataclasses import dataclass, field
from os import stat as stat_of
from typing import Any

import zmq

from services.capture.numbers import FILE_BITS, name_of_files
from services.capture.source import PacketSource
from shared.schema import SchemaError
from shared.wire import Bus

ASK_MS = 250
UPLOAD = "upload"  # kind of a source
LOST_PIPE = "cannot be read on: capture was killed while it read this; start the run again"


@dataclass
class Standing:
    """A shard. rows: packets that were sent to it; seen: up to which number, by input."""

    rows: int = 0
    seen: dict[str, int] = field(default_factory=dict)


def ask_shard(
    context: "zmq.Context[zmq.Socket[bytes]]", bus: Bus, shard: int, capture: str
) -> Standing | None:
    """How far a shard is; from now on it takes of other captures only what is not sent again.
    None when it did not answer."""
    try:
        address = bus.shard_requests(shard)
        reply, _ = bus.ask(context, address, "resume", {"capture": capture}, ASK_MS)
    except (TimeoutError, SchemaError):
        return None
    if reply.error is not None:
        return None
    return Standing(int(reply.result["rows"]), dict(reply.result["seen"]))


def remove_lanes(bus: Bus, shard: int) -> None:
    """Files of lanes whose capture was killed."""
    for path in bus.run_dir.glob(f"lane-{shard}-*"):
        path.unlink(missing_ok=True)


class Resumption:
    """What an earlier capture reported of the same sources.

    own: sources that were given, in order. reported: those of the last report, in health's words.
    """

    def __init__(self, own: list[PacketSource], reported: list[dict[str, Any]]) -> None:
        self.is_another = bool(reported)  # a capture service was here before, in this run
        self._counted: dict[int, int] = {}  # by id of the source's state: packets
        self._names: dict[int, tuple[str, int]] = {}  # input and number of the first packet, less 1
        self._uploads = {each["name"]: each for each in reported if each["kind"] == UPLOAD}
        files = name_of_files([source.state.name for source in own])
        for place, source in enumerate(own):
            before = reported[place] if place < len(reported) else {}
            is_same = before.get("name") == source.state.name
            if _can_be_read_again(source):
                self._names[id(source.state)] = files, place << FILE_BITS
                if is_same:
                    self._counted[id(source.state)] = int(before["counted"])
            elif is_same and source.state.kind == "watch":
                _count_on(source, before)
            elif (is_same and source.state.kind == "stdin") or _is_pipe(source):
                _go_on_after(source, before)

    def add_upload(self, source: PacketSource) -> None:
        """An upload is read: perhaps again."""
        self._names[id(source.state)] = f"upload {source.state.name}", 0
        if before := self._uploads.get(source.state.name):
            self._counted[id(source.state)] = int(before["counted"])

    def forget(self, source: PacketSource) -> None:
        """It is over."""
        self._names.pop(id(source.state), None)
        self._counted.pop(id(source.state), None)

    def counted(self, source: PacketSource) -> int:
        """Packets of it that an earlier capture has counted."""
        return self._counted.get(id(source.state), 0)

    def counted_of(self, source: PacketSource, records: int) -> int:
        """How many of so many records that were read last an earlier capture has counted."""
        state = source.state
        counted, upto = self.counted(source), state.packets
        if state.input:
            counted, upto = state.reported, state.upto
        return max(0, counted - (upto - records))

    def first_number(self, source: PacketSource, records: int) -> tuple[str, int]:
        """The input's name and the number of the first of so many records that were read last."""
        if source.state.input:
            return source.state.input, source.state.upto - records + 1
        name, base = self._names.get(id(source.state), ("", 0))
        return name, base + source.state.packets - records + 1


def _can_be_read_again(source: PacketSource) -> bool:
    return source.state.kind == "file" and not _is_pipe(source)


def _is_pipe(source: PacketSource) -> bool:
    if source.state.kind != "file":
        return False
    try:
        return not stat.S_ISREG(stat_of(source.state.name).st_mode)
    except OSError:
        return False


def _count_on(source: PacketSource, before: dict[str, Any]) -> None:
    """Its counters go on where they were."""
    for name in ("packets", "bytes", "position", "damaged"):
        setattr(source.state, name, int(before[name]))


def _go_on_after(source: PacketSource, before: dict[str, Any]) -> None:
    """A pipe: it is over, as it was or in the middle."""
    if before.get("status", "waiting") == "waiting":
        return
    state = source.state
    _count_on(source, before)
    source.close()
    state.status = before["status"]
    for problem in before["problems"]:
        state.report(problem["offset"], problem["reason"], 0)
    if state.status == "reading":
        state.report(state.position, LOST_PIPE)
        state.status = "failed"
