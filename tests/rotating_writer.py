"""What writes into a folder that is watched, as tcpdump -G does: `python -m tests.rotating_writer
CAPTURE FOLDER FILES SECONDS`. The records of a pcap file go into so many files, one after the
other, in pieces of odd sizes, some of which end inside a record.
"""

import struct
import sys
import time
from pathlib import Path

FILE_HEADER, RECORD_HEADER = 24, 16
PIECES = (1, 977, 4096, 13, 30011)


def records_of(data: bytes) -> list[bytes]:
    """Records of a little-endian pcap file, with their headers."""
    found, at = [], FILE_HEADER
    while at < len(data):
        (caplen,) = struct.unpack_from("<I", data, at + 8)
        found.append(data[at : at + RECORD_HEADER + caplen])
        at += RECORD_HEADER + caplen
    return found


def parts_of(data: bytes, files: int) -> list[bytes]:
    """So many captures that are one after the other what the given one is."""
    records = records_of(data)
    size = -(-len(records) // files)
    return [
        data[:FILE_HEADER] + b"".join(records[at : at + size])
        for at in range(0, len(records), size)
    ]


def write(path: Path, data: bytes, until: float) -> None:
    """All of it by then, a monotonic time; as fast as it goes if that is past."""
    at, piece = 0, 0
    with path.open("wb", buffering=0) as file:
        while at < len(data):
            at += file.write(data[at : at + PIECES[piece % len(PIECES)]])
            piece += 1
            share = (len(data) - at) / len(data)
            time.sleep(max(0.0, min(0.01, until - time.monotonic() - share)))


def main(capture: str, folder: str, files: str, seconds: str) -> None:
    began = time.monotonic()
    for number, part in enumerate(parts_of(Path(capture).read_bytes(), int(files))):
        write(Path(folder) / f"r{number:05}.pcap", part, began + (number + 1) * float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
