"""A failing case made smaller; one that crashes is tried in processes of their own."""

import os
import struct
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fuzz import chain
from tests.fuzz.anatomy import Capture, expand, parse

CRASHED = "crashed"
LONGEST_S = 20
LONGEST_LINE = 2000  # of a message
PATIENCE_S = 300


def main(repeat: Sequence[Path], shrink: Sequence[Path]) -> int:
    """Run saved cases again, or write a smaller one beside each."""
    status = 0
    for path in repeat:
        told = attempt(path.read_bytes(), loud=True)
        print(f"{path}: {told or 'fine'}")
        status |= bool(told)
    for path in shrink:
        data = smaller(path.read_bytes())
        target = path.with_suffix(".small.pcap")
        target.write_bytes(data)
        print(f"{target}: {len(data)} bytes: {attempt(data)}")
    return status


def attempt(data: bytes, loud: bool = False) -> str:
    """What is wrong with a case in one line; nothing when it is fine. It may crash."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, here(data, loud).encode())
        os._exit(0)
    os.close(write)
    status = wait(child)
    with os.fdopen(read, "rb") as file:
        told = file.read().decode(errors="replace")
    return told or status


def here(data: bytes, loud: bool = False) -> str:
    """The same in this process, 100 times faster."""
    try:
        chain.run(data)
    except Exception as error:
        if loud:
            traceback.print_exc()
        return f"{error!r} {getattr(error, '__notes__', '')}"[:LONGEST_LINE]
    return ""


def wait(child: int) -> str:
    """How a process ended; nothing when well."""
    deadline = time.monotonic() + LONGEST_S
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return "" if status == 0 else f"{CRASHED}: wait status {status}"
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return f"{CRASHED}: no end within {LONGEST_S} s"
        time.sleep(0.001)


def smaller(data: bytes) -> bytes:
    """The smallest case found that fails in the same way."""
    wanted = attempt(data)
    if not wanted:
        print("it does not fail", file=sys.stderr)
        return data
    test = attempt if wanted.startswith(CRASHED) else here
    if test(expand(data)) == wanted:
        data = expand(data)
    deadline = time.monotonic() + PATIENCE_S

    def fails(capture: Capture) -> bool:
        return time.monotonic() < deadline and test(capture.join()) == wanted

    capture = parse(data)
    fewer_records(capture, fails)
    shorter_records(capture, fails)
    return capture.join()


def fewer_records(capture: Capture, fails: Callable[[Capture], bool]) -> None:
    """Leave out runs of records, long ones first, while it still fails."""
    size = max(1, len(capture.records) // 2)
    while size:
        at = 0
        while at < len(capture.records):
            taken = capture.records[at : at + size]
            del capture.records[at : at + size]
            if not fails(capture):
                capture.records[at:at] = taken
                at += size
        size //= 2


def shorter_records(capture: Capture, fails: Callable[[Capture], bool]) -> None:
    """Cut the ends of frames, where the format lets a record be cut."""
    if capture.kind != "pcap":
        return
    for index, record in enumerate(capture.records):
        for keep in (16 + 54, 16 + (len(record) - 16) // 2, len(record) - 1):
            if 16 <= keep < len(record):
                size = struct.pack(capture.order + "I", keep - 16)
                capture.records[index] = record[:8] + size + record[12:keep]
                if fails(capture):
                    break
                capture.records[index] = record
