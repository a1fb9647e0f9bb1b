"""Whether there is anything to read, and what to say when there is not."""

import os

from shared.errors import UserError
from shared.settings import Settings

NOTHING_TO_READ = (
    "nothing to read: give a capture with --pcap FILE (- is standard input),"
    " an interface with --iface NAME, a folder with --watch DIR,"
    " or a server with --pcap-over-ip HOST:PORT"
)


def has_input(settings: Settings) -> bool:
    """Whether a source is given."""
    return bool(settings.pcap or may_never_end(settings))


def may_never_end(settings: Settings) -> bool:
    """Whether a source is given that goes on until somebody stops it."""
    return bool(settings.iface or settings.watch or settings.pcap_over_ip)


def check_folders(settings: Settings) -> None:
    """UserError unless every watched folder is one, can be read, and is given once."""
    seen = set()
    for path in settings.watch:
        if not os.path.exists(path):
            raise UserError(f"--watch {path}: no such folder; make it first")
        if not os.path.isdir(path):
            raise UserError(f"--watch {path}: is no folder; a file is read with --pcap")
        if not os.access(path, os.R_OK | os.X_OK):
            raise UserError(f"--watch {path}: permission denied; make it readable for this user")
        if os.path.realpath(path) in seen:
            raise UserError(f"--watch {path}: is given twice; each folder is watched once")
        seen.add(os.path.realpath(path))
