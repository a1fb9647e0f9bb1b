"""A packet as a line of JSON, by the standard library: the twin of `dump_lines`."""

import base64
import json


def dump_line(ts_ns: int, number: int, link: int, frame: bytes, wirelen: int) -> bytes:
    line = {
        "ts_us": ts_ns // 1000,
        "event": "packet",
        "number": number,
        "linktype": link,
        "caplen": len(frame),
        "wirelen": wirelen,
        "base64": base64.b64encode(frame).decode(),
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"
