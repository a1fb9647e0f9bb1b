"""Where uploaded captures wait: the API writes them into a folder, capture reads each of them once.

Capture makes the folder when it takes uploads; where there is none, nobody does. A file is complete
when its name does not begin with a dot; names begin with a number that grows. In the folder of the
run a file is removed when it was read; one that `--upload-dir` names is the user's, and is kept.
"""

from pathlib import Path

from shared.settings import Settings

FOLDER = "uploads"  # in the run directory
PARTIAL = "."
NAME_MAX = 100  # characters of the user's name that are kept
# First bytes of what capture reads: pcap (both byte orders, µs, ns, modified), pcapng, gzip, zstd.
MAGICS = tuple(
    bytes.fromhex(magic)
    for magic in (
        "d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "34cdb2a1", "a1b2cd34", "0a0d0d0a", "1f8b",
        "28b52ffd",
    )
)  # fmt: skip


def takes_uploads(settings: Settings) -> bool:
    """Whether a capture service with these settings stays for what is uploaded."""
    return bool(settings.api_listen or settings.upload_dir)


def upload_folder(settings: Settings) -> Path:
    """The folder; whether it is there is another question."""
    return Path(settings.upload_dir or Path(settings.run_dir) / FOLDER)


def waiting(folder: Path) -> list[Path]:
    """Complete uploads, the oldest first."""
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(PARTIAL)]
    except OSError:
        return []
    return sorted(path for path in found if path.is_file())
