"""Findings of analyzers: their text is JSON, `{"protocol", "summary", "detail"}`."""

from typing import Any

import orjson


def explain(text: str) -> dict[str, Any]:
    """The finding's own detail."""
    finding = _finding(text)
    if finding is None:
        return {"note": "the finding is not the JSON it should be", "text": text}
    detail = finding.get("detail")
    return detail if isinstance(detail, dict) else {"detail": detail}


def summary(text: str) -> str:
    """The finding's own line."""
    found = (_finding(text) or {}).get("summary")
    return found if isinstance(found, str) else text.strip()


def _finding(text: str) -> dict[str, Any] | None:
    try:
        finding = orjson.loads(text)
    except ValueError:
        return None
    return finding if isinstance(finding, dict) else None
