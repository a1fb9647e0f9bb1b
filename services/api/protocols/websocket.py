"""WebSocket frames (RFC 6455, 5.2): the row says it all, no header is read."""

from typing import Any

FIN, RSV1, MASKED = 1, 2, 4


def explain(text: str, value: int, code: int, framing: int, marks: int) -> dict[str, Any]:
    """framing: the opcode; value: the payload's length; code: of a close frame, 0 = none."""
    return {
        "opcode": framing,
        "fin": bool(marks & FIN),
        "rsv1": bool(marks & RSV1),
        "masked": bool(marks & MASKED),
        "length": value,
        "close_code": code or None,
        "text_preview": text,
    }
