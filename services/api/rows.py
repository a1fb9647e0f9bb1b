"""Inventory rows as the API shows them, rendered a column at a time.

Input are the columns of the coordinator's answer: EVENT rows, VIEW rows and PREVIEW_BYTES of
preview for each direction of each row; and extras, fields that only few rows have. 512 rows take
3.6 ms.
"""

import codecs
import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.api.protocols import dns, tls_client
from shared.columns import (
    CONTENT_KINDS,
    EVENT,
    LACKS_BEGIN,
    LACKS_TAILS,
    PREVIEW_BYTES,
    PROTOCOLS,
    SERVICE_BY_NONE,
    SERVICE_BY_PAYLOAD,
    SERVICE_BY_PORT,
    SERVICE_SOURCES,
    SERVICES,
    STATUSES,
    SUMMARY_BYTES,
    TCP,
    VIEW,
)
from shared.flow_key import hex_id
from shared.schema import SchemaError

Row = dict[str, Any]
Preview = tuple[bytes, str | None]

# RFC 9112 §3; of one that the preview cut short, a method and the beginning of a path
REQUEST_LINE = re.compile(r"[!#$%&'*+.^_`|~\w-]+ \S+ HTTP/\d\.\d|[A-Z]+ /\S*")
# C0 controls that text does not hold: all but TAB, LF, VT, FF, CR and ESC; and DEL.
CONTROLS = bytes(i for i in range(32) if not 9 <= i <= 13 and i != 27) + b"\x7f"
UNPRINTABLE = bytes(i for i in range(256) if not 32 <= i < 127)
CONFIDENCE = {SERVICE_BY_NONE: "none", SERVICE_BY_PORT: "low", SERVICE_BY_PAYLOAD: "high"}
DNS = [SERVICES.index(name) for name in ("dns", "mdns")]
TLS = [SERVICES.index(name) for name in ("tls", "https")]
DIRECTION_COUNTS = ("packets", "bytes", "payload_bytes", "stream_bytes", "gaps", "gap_bytes")
TOTALS = (*DIRECTION_COUNTS, "conflicts")
# fields that most rows have nothing in
EXTRAS: Row = {
    "match_count": 0,
    "pattern_ids": [],
    "hidden_reason": None,
    "comment": "",
    "tags": [],
}


class RowColumns:
    """The columns of some rows. SchemaError when their lengths do not belong together.

    extras: `[position, {field: value}]`, of the fields in EXTRAS.
    """

    def __init__(
        self, frames: list[bytes], count: int, extras: Sequence[tuple[int, Row]] = ()
    ) -> None:
        sizes = [count * size for size in (EVENT.itemsize, VIEW.itemsize, 2 * PREVIEW_BYTES)]
        if [len(frame) for frame in frames] != sizes:
            raise SchemaError(
                f"{count} rows in frames of {[len(frame) for frame in frames]} bytes, not {sizes}"
            )
        self.events: NDArray[np.void] = np.frombuffer(frames[0], EVENT)
        self.views: NDArray[np.void] = np.frombuffer(frames[1], VIEW)
        self.previews = frames[2]
        self.extras = extras

    def __len__(self) -> int:
        return len(self.events)

    def render(self) -> list[Row]:
        """The rows, in their order."""
        both = [_previews(self, direction) for direction in (0, 1)]
        clients = self.events["client"].tolist()
        columns: dict[str, Iterable[Any]] = {
            "stream_id_hex": map(hex_id, self.events["stream_id"].tolist()),
            "number": self.views["number"].tolist(),
            "shard": self.events["shard"].tolist(),
            "protocol": [PROTOCOLS.get(p, str(p)) for p in self.events["proto"].tolist()],
            "endpoint_a": _endpoints(self.events, "a"),
            "endpoint_b": _endpoints(self.events, "b"),
            "client": ["ab"[client] for client in clients],
            "first_seen_us": (self.events["first_ns"] // 1000).tolist(),
            "last_seen_us": (self.events["last_ns"] // 1000).tolist(),
            "status": [STATUSES[status] for status in self.events["status"].tolist()],
            "service": _services(self.events),
            "content_kind": [CONTENT_KINDS[k] for k in self.events["content_kind"][:, 0].tolist()],
            **{name: self.events[name].sum(axis=1).tolist() for name in TOTALS},
            "midstream": (self.events["lacks"] & LACKS_BEGIN != 0).tolist(),
            "snaplen_cut": (self.events["lacks"] & LACKS_TAILS != 0).tolist(),
            "directions": _directions(self.events, both),
            "summary": _summaries(self.events, clients, both),
            "message_count": self.events["messages"].tolist(),
            "favorite": (self.views["favorite"] != 0).tolist(),
            "hidden": (self.views["hidden"] != 0).tolist(),
        }
        return [row | fields for row, fields in zip(_dicts(columns), self._extras(), strict=True)]

    def _extras(self) -> list[Row]:
        """For each row those of its fields that are no columns."""
        found = [EXTRAS] * len(self)
        for at, fields in self.extras:
            found[at] = EXTRAS | fields
        return found


def _dicts(columns: Mapping[str, Iterable[Any]]) -> Iterator[Row]:
    """A dict a row from a column a name."""
    names = tuple(columns)
    return (dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _endpoints(events: NDArray[np.void], side: str) -> list[Row]:
    """`{addr, port}` of one side. inet_ntop writes IPv6 as RFC 5952 wants it."""
    packed = np.empty((len(events), 2), ">u8")
    packed[:, 0], packed[:, 1] = events[f"addr_{side}_hi"], events[f"addr_{side}_lo"]
    octets = packed.tobytes()
    ports = events[f"port_{side}"].tolist()
    return [
        {
            "addr": inet_ntop(AF_INET, octets[at + 12 : at + 16])
            if family == 4
            else inet_ntop(AF_INET6, octets[at : at + 16]),
            "port": port,
        }
        for at, family, port in zip(
            range(0, len(octets), 16), events["family"].tolist(), ports, strict=True
        )
    ]


def _services(events: NDArray[np.void]) -> list[Row]:
    server_ports = np.where(events["client"] == 0, events["port_b"], events["port_a"]).tolist()
    found = zip(
        events["service"].tolist(), events["service_from"].tolist(), server_ports, strict=True
    )
    return [_service(service, told_by, port) for service, told_by, port in found]


def _service(service: int, told_by: int, server_port: int) -> Row:
    told_by = told_by if service else SERVICE_BY_NONE
    evidence = {SERVICE_BY_PORT: f"port {server_port}", SERVICE_BY_PAYLOAD: "first payload bytes"}
    return {
        "name": SERVICES[service] or None,
        "confidence": CONFIDENCE[told_by],
        "source": SERVICE_SOURCES[told_by],
        "evidence": evidence.get(told_by, ""),
    }


def _directions(events: NDArray[np.void], previews: list[list[Preview]]) -> Iterator[Row]:
    return _dicts(
        {
            "a_to_b": _direction(events, previews[0], 0),
            "b_to_a": _direction(events, previews[1], 1),
        }
    )


def _direction(events: NDArray[np.void], previews: list[Preview], direction: int) -> Iterator[Row]:
    columns = {name: events[name][:, direction].tolist() for name in DIRECTION_COUNTS} | {
        "content_kind": [
            CONTENT_KINDS[kind] for kind in events["content_kind"][:, 1 + direction].tolist()
        ],
        "preview_text": [text for _, text in previews],
        "preview_base64": [b2a_base64(octets, newline=False).decode() for octets, _ in previews],
    }
    return _dicts(columns)


def _previews(columns: RowColumns, direction: int) -> list[Preview]:
    lengths = columns.views["preview_len"][:, direction].tolist()
    first = direction * PREVIEW_BYTES
    pieces = (
        columns.previews[at : at + length]
        for at, length in zip(
            range(first, len(columns.previews), 2 * PREVIEW_BYTES), lengths, strict=True
        )
    )
    return [(piece, text_of(piece)) for piece in pieces]


def text_of(octets: bytes) -> str | None:
    """The text that these first bytes of a direction are; a last character may be cut short."""
    if len(octets.translate(None, CONTROLS)) != len(octets):
        return None
    try:
        return codecs.utf_8_decode(octets, "strict", False)[0] or None
    except UnicodeDecodeError:
        return None


def _summaries(
    events: NDArray[np.void], clients: list[int], previews: list[list[Preview]]
) -> list[str]:
    found = list(map(_summary, clients, *previews))
    for at in np.flatnonzero(np.isin(events["service"], DNS)).tolist():
        prefix = 2 if events["proto"][at] == TCP else 0  # the message's length, RFC 1035 §4.2.2
        asked, answered = (previews[clients[at] ^ i][at][0][prefix:] for i in (0, 1))
        # of names as they are sent the dots do not print
        found[at] = _named(dns.headline, asked) or _named(dns.headline, answered) or found[at]
    for at in np.flatnonzero(np.isin(events["service"], TLS)).tolist():
        found[at] = _named(tls_client.headline, previews[clients[at]][at][0]) or found[at]
    return found


def _named(headline: Callable[[bytes], str], octets: bytes) -> str:
    """Who or what is asked for; "" where these first octets do not say."""
    try:
        return headline(octets)[:SUMMARY_BYTES]
    except ValueError:
        return ""


def _summary(client: int, a_to_b: Preview, b_to_a: Preview) -> str:
    sent, received = (b_to_a, a_to_b) if client else (a_to_b, b_to_a)
    return summarise(*sent) or summarise(*received)


def summarise(octets: bytes, text: str | None) -> str:
    """One line: a request line as far as the preview has it, else at most SUMMARY_BYTES
    characters: of a text's first line, or the printable bytes of what is none."""
    if text is None:
        return octets.translate(None, UNPRINTABLE)[:SUMMARY_BYTES].decode("ascii")
    whole = text.strip()
    line = whole.splitlines()[0].rstrip() if whole else ""
    return line if REQUEST_LINE.fullmatch(line) else line[:SUMMARY_BYTES].rstrip()
