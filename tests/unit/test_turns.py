"""Uploads in between: who is read when, and that nothing of anybody is left out."""

from collections.abc import Sequence

import numpy as np
import pytest

from services.capture import turns
from services.capture.source import EMPTY_BATCH, Batch, SourceState
from services.capture.turns import in_turns
from shared.columns import RECORD


class Source:
    """Gives batches of so many records each; 0 = nothing arrived. size: 0 = it may never end."""

    def __init__(self, name: str, batches: Sequence[int], size: int = 0) -> None:
        self.state = SourceState(name, "stdin", size=size)
        self._batches = iter(batches)

    def read(self) -> Batch | None:
        count = next(self._batches, None)
        if count is None:
            return None
        return EMPTY_BATCH._replace(records=np.zeros(count, RECORD))

    def descriptors(self) -> list[int]:
        return []

    def due(self) -> float:
        return 0.0

    def close(self) -> None:
        pass


class Clock:
    """Each look at it is `step` seconds after the one before."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 1000.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


def order(own: Source, uploads: Sequence[Source], step: float) -> list[str]:
    """Who was read, turn by turn: `own 3` = three records of own, `own -` = its end."""
    waiting = iter(uploads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "time", Clock(step))
        return [
            f"{source.state.name} {'-' if batch is None else batch.records.size}"
            for source, batch in in_turns(own, lambda: next(waiting, None))
        ]


def test_a_source_alone() -> None:
    assert order(Source("own", [2, 0, 3]), [], 1.0) == ["own 2", "own 0", "own 3", "own -"]


def test_a_source_that_will_end_is_not_interrupted() -> None:
    own, upload = Source("own", [1, 0, 1], size=10), Source("up", [1])
    assert order(own, [upload], 1.0) == ["own 1", "own 0", "own 1", "own -"]


def test_turns_when_both_have_much() -> None:
    """Four times as long for the source as for the upload, of which each batch takes 30 ms."""
    found = order(Source("own", [1] * 60), [Source("up", [1] * 1000)], 0.03)
    during = found[: found.index("own -")]
    assert 3 < during.count("up 1") < during.count("own 1") / 2
    assert found[found.index("own -") + 1 :] == ["up 1"] * (1000 - during.count("up 1")) + ["up -"]


def test_an_upload_is_read_while_nothing_arrives() -> None:
    found = order(Source("own", [1, *[0] * 40, 1]), [Source("a", [2, 2]), Source("b", [3])], 0.06)
    assert [each for each in found if not each.startswith("own")] == [
        "a 2",
        "a 2",
        "a -",
        "b 3",
        "b -",
    ]
    assert found.index("b -") < found.index("own 1", 1)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_left_out(seed: int) -> None:
    chance = np.random.default_rng(seed)
    own = chance.integers(0, 3, 50).tolist()
    uploads = [chance.integers(0, 3, 10).tolist() for _ in range(3)]
    sources = [Source(str(i), batches) for i, batches in enumerate(uploads)]
    found = order(Source("own", own), sources, 0.1)
    assert [int(w[4:]) for w in found if w.startswith("own") and "-" not in w] == own
    for i, batches in enumerate(uploads):
        mine = [word[2:] for word in found if word.startswith(f"{i} ")]
        assert mine in ([], [*map(str, batches), "-"])
