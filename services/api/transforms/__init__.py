"""Decoding of slices and bodies: octets in, octets out, no I/O, everything bounded by a limit.

`transform` runs a chain of named steps over a slice, `decode_body` takes the codings off one HTTP
body, `websocket.messages` joins frames. A step that fails leaves the octets as they are, and the
next one runs all the same: the original is the caller's, and never lost.
"""

from services.api.transforms.chain import NAMES, check_names, transform
from services.api.transforms.frames import WsFrame
from services.api.transforms.http_body import decode_body
from services.api.transforms.model import Context, HttpPart, Step, Transformed
from services.api.transforms.websocket import WsMessage, messages

__all__ = [
    "NAMES",
    "Context",
    "HttpPart",
    "Step",
    "Transformed",
    "WsFrame",
    "WsMessage",
    "check_names",
    "decode_body",
    "messages",
    "transform",
]
