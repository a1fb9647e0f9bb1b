"""Whether there is anything to read, and what to say when there is not."""

from shared.settings import Settings

NOTHING_TO_READ = (
    "nothing to read: give a capture with --pcap FILE (- is standard input),"
    " or an interface with --iface NAME"
)


def has_input(settings: Settings) -> bool:
    """Whether a source is given."""
    return bool(settings.pcap or settings.iface)


def may_never_end(settings: Settings) -> bool:
    """Whether a source is given that goes on until somebody stops it."""
    return bool(settings.iface)
