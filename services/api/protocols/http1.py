"""HTTP/1.x heads (RFC 9112) and HTTP/0.9 requests.

Rules: empty lines before the start line are skipped (2.2), a line may end in a bare LF (2.2), a
folded line joins the one before with a space (5.2). Nothing is judged, values stay as they were
sent.
"""

from typing import Any

from services.api.protocols.octets import readable

NO_LENGTH = 2**64 - 1
FRAMINGS = ("none", "content_length", "chunked", "close", "upgrade")
HEADERS_MAX = 1000  # listed of one head
LINES_MAX = 4 * HEADERS_MAX  # looked at, folded ones included

Headers = list[list[str]]


def explain(
    kind: str, octets: bytes | None, text: str, name: str, value: int, code: int, framing: int
) -> dict[str, Any]:
    """text: the start line; name: Host; value: Content-Length; code: status; framing: FRAMINGS."""
    notes = [] if octets is not None else ["the header is no longer retained"]
    lines, more = _lines(octets if octets is not None else text.encode("utf-8", "replace"))
    start = readable(lines[0]).strip() if lines else text
    headers = _headers(lines[1:])
    if more or len(headers) > HEADERS_MAX:
        notes.append(f"only the first {min(len(headers), HEADERS_MAX)} headers are listed")
    detail: dict[str, Any] = dict.fromkeys(("method", "target", "version", "host"))
    detail |= {"status_code": None, "reason": None}
    detail |= _status_line(start, code) if kind == "response" else _request_line(start)
    if kind != "response":
        host = first(headers, "host")
        detail["host"] = _authority(detail) or name or None if host is None else host
    detail |= {
        "headers": headers[:HEADERS_MAX],
        "content_length": value if value != NO_LENGTH else None,
        "transfer_encoding": joined(headers, "transfer-encoding"),
        "content_encoding": joined(headers, "content-encoding"),
        "body_framing": FRAMINGS[framing] if framing < len(FRAMINGS) else str(framing),
    }
    if notes:
        detail["note"] = "; ".join([*notes, *filter(None, [detail.get("note")])])
    return detail


def headers_of(head: bytes) -> Headers:
    """The header fields of a head, start line first; bounded."""
    return _headers(_lines(head)[0][1:])[:HEADERS_MAX]


def first(headers: Headers, name: str) -> str | None:
    """The value of the first field of that name (lower case)."""
    return next((value for key, value in headers if key.lower() == name), None)


def joined(headers: Headers, name: str) -> str | None:
    """All values of that name (lower case) as one list (RFC 9110, 5.3); None = there is none."""
    values = [value for key, value in headers if key.lower() == name]
    return ", ".join(values) if values else None


def _lines(octets: bytes) -> tuple[list[bytes], bool]:
    """Lines up to the empty one, folds joined; whether there were too many to look at all."""
    lines: list[bytes] = []
    pieces = octets.lstrip(b"\r\n").split(b"\n", LINES_MAX)
    more = len(pieces) > LINES_MAX
    folds: list[bytes] = []
    for line in pieces[:LINES_MAX]:
        line = line.removesuffix(b"\r")
        if not line:
            more = False
            break
        if lines and line[:1] in (b" ", b"\t"):
            folds.append(line.strip())
            continue
        if folds:
            lines[-1] = b" ".join([lines[-1], *folds])
            folds = []
        lines.append(line)
    if folds:
        lines[-1] = b" ".join([lines[-1], *folds])
    return lines, more


def _headers(lines: list[bytes]) -> Headers:
    """Name and value of each line; a line without a colon has no value."""
    fields = (line.partition(b":") for line in lines)
    return [[readable(name.rstrip()), readable(value.strip())] for name, _, value in fields]


def _request_line(line: str) -> dict[str, Any]:
    """`method SP target SP version`: the first words and the last (RFC 9112, 3), so that a target
    with spaces in it is cut as recipients cut it. Without a version it is HTTP/0.9."""
    method, _, rest = line.partition(" ")
    target, _, version = rest.rpartition(" ")
    if not version.startswith("HTTP/") or not target:
        target, version = rest, "HTTP/0.9"
    target, _, more = target.strip().partition(" ")
    detail: dict[str, Any] = {"method": method or None, "version": version}
    detail["target"] = target if method else None
    return detail | ({"note": f"behind the target: {more.strip()}"} if more else {})


def _status_line(line: str, code: int) -> dict[str, Any]:
    """`version SP code SP reason`; an HTTP/0.9 response has none of it."""
    if not line.startswith("HTTP/"):
        return {"version": "HTTP/0.9", "status_code": code or None}
    version, _, rest = line.partition(" ")
    status, _, reason = rest.strip().partition(" ")
    number = int(status) if len(status) == 3 and status.isascii() and status.isdigit() else code
    return {"version": version, "status_code": number or None, "reason": reason.strip()}


def _authority(detail: dict[str, Any]) -> str | None:
    """Whom an absolute-form or authority-form target names (RFC 9112, 3.2)."""
    target = detail["target"] or ""
    if detail["method"] == "CONNECT":
        return str(target) or None
    scheme, found, rest = target.partition("://")
    if not found or not scheme.isalnum():
        return None
    return rest.partition("/")[0].partition("?")[0] or None
