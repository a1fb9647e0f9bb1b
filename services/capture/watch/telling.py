"""A capture of a watched folder as the ledger has it, there and back."""

from services.capture.capture_file import Place
from services.capture.watch.entry import Entry
from services.capture.watch.listing import printable
from shared.schema import FileReport


def report_of(folder: str, entry: Entry) -> FileReport:
    """What is given out again, since a shard lacks it, was told before: that stays."""
    place = max(entry.place, Place(entry.reported))
    return FileReport(
        id=entry.id,
        source=folder,
        name=printable(entry.name),
        state=entry.state,
        reason=entry.reason,
        device=entry.device,
        inode=entry.inode,
        size=entry.size,
        offset=entry.offset,
        packets=place.packets,
        damaged=entry.damaged,
        found_us=entry.found_us,
        changed_us=entry.changed_us,
        place_offset=place.offset,
        head=entry.head,
        first_ns=entry.first_ns,
        time_ns=entry.time_ns,
        is_stranger=entry.is_stranger,
        is_over=entry.is_over,
    )


def entry_of(report: FileReport) -> Entry:
    """Not looked at yet: whether it is there, and still the same, is to be seen. Its name is the
    printable one, by which a file with a stranger name is not known again, if its inode changed.
    """
    return Entry(
        id=report.id,
        name=report.name,
        device=report.device,
        inode=report.inode,
        size=report.size,
        head=report.head,
        offset=0 if report.state == "reading" else report.offset,  # not all of it was given out
        place=Place(report.packets, report.place_offset),
        damaged=report.damaged,
        first_ns=report.first_ns,
        time_ns=report.time_ns,
        is_stranger=report.is_stranger,
        is_over=report.is_over,
        state=report.state,
        reason=report.reason,
        found_us=report.found_us,
        changed_us=report.changed_us,
        reported=report.packets,
    )
