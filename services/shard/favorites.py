"""The streams whose content goes last: what the coordinator says they are, put into the table."""

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels.favorites import set_favorites
from services.shard.search import STREAM_REF
from services.shard.tables import Tables

NONE = np.zeros(0, STREAM_REF)


class Favorites:
    """The favourites of one shard, as far as it knows them."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._streams = NONE

    def set(self, streams: NDArray[np.void]) -> None:
        """STREAM_REF: these are favourites, and no others. Those that left the table are passed
        over."""
        before, self._streams = self._streams, streams
        self._tell(before[~np.isin(before["stream_id"], streams["stream_id"])], False)
        self._tell(streams, True)

    def _tell(self, streams: NDArray[np.void], wanted: bool) -> None:
        if self.tables.retains and streams.size:
            rows, ids = (np.ascontiguousarray(streams[name]) for name in ("row", "stream_id"))
            set_favorites(self.tables.columns, rows, ids, wanted)
