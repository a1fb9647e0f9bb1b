"""A failing case made smaller; one that crashes is tried in processes of their own."""

import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.fuzz import chain
from tests.fuzz.anatomy import Capture, expand, parse

CRASHED = "crashed"
LONGEST_S = 20
LONGEST_LINE = 2000  # of a message
PATIENCE = 3000  # attempts


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
    tried, again = 0, True
    while again and tried < PATIENCE:
        again = False
        for candidate in candidates(parse(data)):
            tried += 1
            if len(candidate) < len(data) and test(candidate) == wanted:
                data, again = candidate, True
                break
            if tried > PATIENCE:
                break
    return data


def candidates(capture: Capture) -> Iterator[bytes]:
    """The capture without some of its records, big pieces first; then without the ends of them."""
    records, size = capture.records, len(capture.records) // 2
    while size:
        for at in range(0, len(records), size):
            yield bytes(capture.head) + b"".join(records[:at] + records[at + size :])
        size //= 2
    if capture.kind != "pcap":
        return
    for index, record in enumerate(records):
        for keep in (16 + 54, 16 + (len(record) - 16) // 2, len(record) - 1):
            if 16 <= keep < len(record):
                cut = (keep - 16).to_bytes(4, "little" if capture.order == "<" else "big")
                short = record[:8] + cut + record[12:keep]
                yield bytes(capture.head) + b"".join(
                    [*records[:index], short, *records[index + 1 :]]
                )
