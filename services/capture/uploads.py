"""Captures that were uploaded, each of them read once."""

import logging
from pathlib import Path

from shared.errors import UserError
from shared.settings import Settings
from shared.uploads import takes_uploads, upload_folder, waiting

log = logging.getLogger(__name__)


class Uploads:
    """The folder of uploads. next: the oldest that was not given out yet; done: it was read."""

    def __init__(self, settings: Settings) -> None:
        self.taken = takes_uploads(settings)
        self._removes = not settings.upload_dir
        self._given: set[str] = set()
        if self.taken:
            self._folder = upload_folder(settings)
            try:
                self._folder.mkdir(0o770, parents=True, exist_ok=True)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise UserError(
                    f"--upload-dir {self._folder}: {reason}; give a folder that can be made"
                ) from None

    def next(self) -> Path | None:
        for path in waiting(self._folder) if self.taken else ():
            if path.name not in self._given:
                self._given.add(path.name)
                return path
        return None

    def done(self, name: str) -> None:
        """Make room for others, in the run's own folder."""
        if not self._removes:
            return
        try:
            (self._folder / name).unlink()
            self._given.discard(name)
        except OSError as error:
            log.warning("%s cannot be removed: %s", self._folder / name, error.strerror)
