"""What a message's header says in full: octets in, the message's `detail` out, no I/O.

A shard keeps a row a message; its details are read from the retained header when somebody asks, so
that decoding never holds up ingest. One file a protocol: each has `explain`, takes any octets, and
leaves a `note` in the detail where they are not what they should be.
"""

from typing import Any

from services.api.protocols import analyzer, dns, http1, tls, websocket

Detail = dict[str, Any]

NO_VALUE = http1.NO_LENGTH  # `value` of a message that has none


def explain(
    protocol: str,
    kind: str,
    octets: bytes | None,
    *,
    text: str,
    name: str,
    value: int,
    code: int,
    framing: int,
    marks: int,
) -> Detail:
    """The `detail` of one message.

    octets: its header, None when that is no longer retained; text, name, value, code, framing and
    marks: the columns of its row, with the meanings that its protocol gives them.
    """
    match protocol:
        case "http1":
            return http1.explain(kind, octets, text, name, value, code, framing)
        case "dns":
            return dns.explain(octets, name)
        case "tls":
            return tls.explain(kind, octets, name, value, code)
        case "websocket":
            return websocket.explain(text, value, code, framing, marks)
        case "analyzer":
            return analyzer.explain(text)
        case _:
            return {"note": f"no explainer for {protocol!r}"}


def summary(protocol: str, kind: str, text: str, name: str) -> str:
    """One line for a list: what the parser wrote, or at least what kind of message this is."""
    if protocol == "analyzer":
        return analyzer.summary(text)
    return text.strip() or " ".join(word for word in (kind.replace("_", " "), name) if word)
