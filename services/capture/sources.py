"""All sources of a run, from its settings: a kind of source is added here, and nowhere else."""

from services.capture.capture_file import open_captures
from services.capture.live import open_interfaces
from services.capture.source import PacketSource
from shared.settings import Settings


def open_sources(settings: Settings) -> list[PacketSource]:
    """Captures in the order given, then what is open-ended. UserError: one cannot be had at all."""
    sources: list[PacketSource] = [*open_captures(settings.pcap, settings.batch_size)]
    return sources + open_ended(settings, len(sources))


def open_ended(settings: Settings, index: int) -> list[PacketSource]:
    """What may go on for ever; records carry index, index + 1 ... as their source."""
    return [*open_interfaces(settings, index)]
