"""Numbers as people read them."""

from collections.abc import Mapping

BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def count(value: float) -> str:
    """12345 -> `12,345`."""
    return f"{round(value):,}"


def size(value: float) -> str:
    """12345 -> `12.3 kB`; decimal units."""
    for unit in BYTE_UNITS[:-1]:
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} {BYTE_UNITS[-1]}"


def rate(per_second: float) -> str:
    """1234567 -> `1.23 M`."""
    for unit in ("", " k", " M"):
        if per_second < 999.5:
            return f"{per_second:.3g}{unit}"
        per_second /= 1000
    return f"{per_second:.3g} G"


def duration(seconds: float) -> str:
    """3.21 -> `3.2 s`, 125 -> `2 min 05 s`, 7500 -> `2 h 05 min`."""
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def ranking(counts: Mapping[str, int], most: int = 8) -> str:
    """The biggest first: `http 120 · dns 80 · 3 more`."""
    order = sorted((-n, name) for name, n in counts.items() if n)
    shown = [f"{name} {-n:,}" for n, name in order[:most]]
    return " · ".join(shown + ([f"{len(order) - most} more"] if len(order) > most else []))
