"""What a state file holds while a coordinator has it for itself: what a kill would leave."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path


def documents(path: Path) -> set[tuple[str, str]]:
    """Kinds and ids, of a copy. None are found in one that was made in the middle of a change."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            for part in path.parent.glob(f"{path.name}*"):
                shutil.copy(part, folder)
            with closing(sqlite3.connect(Path(folder, path.name))) as copy:
                return set(copy.execute("SELECT kind, id FROM documents"))
        except (FileNotFoundError, sqlite3.DatabaseError):
            return set()
