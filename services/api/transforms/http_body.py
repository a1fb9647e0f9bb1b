"""Bodies of HTTP messages without their codings.

Rules: transfer codings come off first, the outermost (last named) first, `chunked` among them (RFC
9112, 6.1); then content codings in the reverse of the order in which they were applied (RFC 9110,
8.4). A coding that nobody knows, or that does not fit, is a failed step: the octets stay, and the
next coding is tried, because some servers name codings that they did not apply.
"""

from collections.abc import Sequence

from services.api.protocols.http1 import first, headers_of, joined
from services.api.transforms import chunked, compression
from services.api.transforms.http_split import split_messages
from services.api.transforms.model import (
    Context,
    Decoded,
    Decoder,
    HttpPart,
    Status,
    Step,
    Transformed,
    noted,
)

CODINGS_MAX = 8  # taken off one body
NOTES_MAX = 3
CODINGS: dict[str, tuple[str, Decoder]] = {
    "chunked": ("http_chunked", chunked.decode),
    "gzip": ("gzip", compression.gzip),
    "x-gzip": ("gzip", compression.gzip),
    "deflate": ("deflate", compression.deflate),
    "br": ("brotli", compression.br),
    "zstd": ("zstd", compression.zstd),
}


def decode_body(header: bytes, body: bytes, limit: int, framing: str = "") -> Transformed:
    """One body, as sent, without its codings; a step for each.

    framing: as in HttpPart; where it is given, it tells whether the body is chunked.
    """
    data, steps, limited = body, [], False
    for name in _codings(header, framing)[:CODINGS_MAX] if body else []:
        step, decoder = CODINGS.get(name, (name, _unknown))
        found = decoder(data, limit, Context())
        steps.append(Step(step, found.status, found.note, len(data), len(found.data)))
        data, limited = found.data, limited or found.limited
    return Transformed(data[:limit], steps, limited or len(data) > limit)


def _unknown(data: bytes, limit: int, context: Context) -> Decoded:
    return Decoded(data, "failed", "unknown coding")


def _codings(header: bytes, framing: str) -> list[str]:
    """Names of the codings in the order in which they come off."""
    headers = headers_of(header)
    transfer = _list(joined(headers, "transfer-encoding"))
    if framing:
        transfer = [name for name in transfer if name != "chunked"]
        transfer += ["chunked"] if framing == "chunked" else []
    content = _list(joined(headers, "content-encoding"))
    return [*reversed(transfer), *reversed(content)]


def _list(value: str | None) -> list[str]:
    names = ((value or "").lower().split(",", 100))[:100]
    cleaned = (name.partition(";")[0].strip()[:40] for name in names)
    return [name for name in cleaned if name not in ("", "identity")]


def charset_of(header: bytes) -> str:
    """What Content-Type says; "" = nothing."""
    value = first(headers_of(header), "content-type") or ""
    for parameter in value.split(";", 20)[1:]:
        name, _, charset = parameter.partition("=")
        if name.strip().lower() == "charset":
            return charset.strip().strip("\"'")
    return ""


def decode(data: bytes, limit: int, context: Context) -> Decoded:
    """The bodies of the slice's messages without codings, one after the other."""
    parts = context.messages or split_messages(data)
    if not parts:
        return Decoded(data, "failed", "no HTTP message")
    out, done, notes, limited = bytearray(), [], [], False
    for part in parts:
        if limited or len(out) > limit:
            break
        found = decode_body(part.header, part.body, limit - len(out), part.framing)
        out += found.data
        limited |= found.truncated_by_limit
        done += [step.name for step in found.steps if step.status != "failed"]
        notes += [
            f"message at {part.start}: {step.name} {step.status}: {step.note}"
            for step in found.steps
            if step.status in ("failed", "partial")
        ]
    return _outcome(bytes(out), data, parts, done, notes, limited)


def _outcome(
    out: bytes,
    data: bytes,
    parts: Sequence[HttpPart],
    done: list[str],
    notes: list[str],
    limited: bool,
) -> Decoded:
    bodies = sum(bool(part.body) for part in parts)
    if not bodies:
        return Decoded(data, "noop", f"{len(parts)} messages without a body")
    names = ", ".join(dict.fromkeys(done)) or "no codings"
    status: Status = "partial" if notes or limited else "applied"
    note = noted(f"{bodies} of {len(parts)} messages have a body: {names}", *notes[:NOTES_MAX])
    return Decoded(out, status, note, limited)
