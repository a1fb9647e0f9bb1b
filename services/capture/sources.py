"""All sources of a run, from its settings: a kind of source is added here, and nowhere else."""

from services.capture.capture_file import open_captures
from services.capture.ledger import Ledger
from services.capture.live import open_interfaces
from services.capture.over_ip import open_servers
from services.capture.source import PacketSource
from services.capture.watch.folder import open_folders
from shared.settings import Settings


def open_sources(settings: Settings, ledger: Ledger) -> list[PacketSource]:
    """Captures in the order given, then what is open-ended; what comes file by file is told to the
    ledger. UserError: one cannot be had at all."""
    sources: list[PacketSource] = [*open_captures(settings.pcap, settings.batch_size)]
    return sources + open_ended(settings, ledger, len(sources))


def open_ended(settings: Settings, ledger: Ledger, index: int) -> list[PacketSource]:
    """What may go on for ever; records carry index, index + 1 ... as their source."""
    sources: list[PacketSource] = [*open_interfaces(settings, index)]
    sources += open_servers(settings, index + len(sources))
    sources += open_folders(settings, ledger, index + len(sources))
    return sources
