"""Kernels as Python calls them: what they take, what they give, what is kept of them on disk."""

import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from services.shard.kernels.inspect import utf8_step
from shared import kernel_cache
from shared.columns import I64, RECORD, U8, OutRecords, OutU64, Records
from shared.kernels import IS_PLAIN, inlined, kernel, loading

pytestmark = pytest.mark.skipif(IS_PLAIN, reason="kernels are not compiled here")


class Pair(NamedTuple):
    octets: U8
    sums: OutU64


@inlined
def doubled(value: Any) -> Any:
    return value + value


def total(pair: Pair, more: I64, add: int, times: float, twice: bool) -> int:
    """Something of each kind."""
    result: Any = add
    for octet in pair.octets:
        result += np.int64(octet)
    for number in more:
        result += number
    pair.sums[0] = np.uint64(result)
    result = np.int64(result * times)
    return int(doubled(result) if twice else result)


def half(value: float) -> float:
    return value / 2


def is_odd(value: int) -> bool:
    return value & 1 == 1


def stamp(rows: OutRecords, off: int) -> None:
    for at in range(rows.size):
        rows[at].off = np.uint32(off)


def last(octets: U8, fits: Records) -> int:
    return int(octets[octets.size - 1]) // fits.size


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the kernels of this file."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("kernels")
        patch.setattr(kernel_cache, "folder", lambda: folder)
        yield folder


@pytest.fixture(scope="module")
def compiled(place: Path) -> dict[str, Any]:
    return {function.__name__: kernel(function) for function in (total, half, is_odd, stamp, last)}


def pair() -> Pair:
    return Pair(np.array([1, 2, 255], np.uint8), np.zeros(1, np.uint64))


def other(**columns: Any) -> Pair:
    return pair()._replace(**columns)


NUMBERS = np.array([-10, 20], np.int64)


def test_columns_and_scalars_arrive_and_results_come_back(compiled: dict[str, Any]) -> None:
    columns = pair()
    assert compiled["total"](columns, NUMBERS, -1, 2.0, False) == 2 * (258 + 10 - 1)
    assert compiled["total"](columns, NUMBERS, np.int64(-1), 2, True) == 4 * (258 + 10 - 1)
    assert columns.sums.tolist() == [267]
    assert compiled["half"](5) == 2.5
    assert compiled["is_odd"](3) is True
    assert compiled["is_odd"](4) is False
    assert compiled["is_odd"](-(2**63)) is False
    assert compiled["total"](pair(), NUMBERS[:0], 2**40, 1.0, False) == 2**40 + 258


def test_rows_are_written_in_place_and_nothing_is_given(compiled: dict[str, Any]) -> None:
    rows = np.zeros(3, RECORD)
    assert compiled["stamp"](rows[1:], 7) is None
    assert rows["off"].tolist() == [0, 7, 7]


def test_an_equal_dtype_is_as_good_as_the_same(compiled: dict[str, Any]) -> None:
    other = np.dtype(RECORD.descr)
    assert other is not RECORD
    rows = np.zeros(2, other)
    compiled["stamp"](rows, 9)
    assert rows["off"].tolist() == [9, 9]


def test_a_column_that_can_only_be_read_is_read(compiled: dict[str, Any]) -> None:
    octets = np.frombuffer(b"ab", np.uint8)
    assert compiled["last"](octets, np.frombuffer(bytes(RECORD.itemsize), RECORD)) == ord("b")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "takes 5 arguments"),
        ((pair(), NUMBERS, 1, 1.0, True, 0), "takes 5 arguments"),
        ((tuple(pair()), NUMBERS, 1, 1.0, True), "pair is no Pair"),
        ((other(octets=b"abc"), NUMBERS, 1, 1.0, True), "pair.octets has to be a"),
        ((other(sums=np.zeros(1)), NUMBERS, 1, 1.0, True), "column of uint64"),
        ((other(sums=np.zeros((1, 1), np.uint64)), NUMBERS, 1, 1.0, True), "pair.sums"),
        ((pair(), NUMBERS[::-1], 1, 1.0, True), "more has to be a contiguous column of int64"),
        ((pair(), NUMBERS.astype(">i8"), 1, 1.0, True), "more has to be"),
        ((pair(), None, 1, 1.0, True), "more has to be"),
        ((pair(), NUMBERS, None, 1.0, True), "NoneType"),
        ((pair(), NUMBERS, 1.5, 1.0, True), "float"),
        ((pair(), NUMBERS, 1, "1", True), "real number"),
    ],
)
def test_anything_else_is_refused(
    compiled: dict[str, Any], arguments: tuple[Any, ...], words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        compiled["total"](*arguments)


def test_a_column_to_write_in_has_to_be_writable(compiled: dict[str, Any]) -> None:
    rows = np.zeros(3, RECORD)
    rows.flags.writeable = False
    with pytest.raises(TypeError, match="rows has to be a writable and contiguous column"):
        compiled["stamp"](rows, 7)


def test_a_number_that_is_too_big_is_refused(compiled: dict[str, Any]) -> None:
    with pytest.raises(OverflowError):
        compiled["is_odd"](2**63)


def test_a_kernel_that_fails_says_so(compiled: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="last failed: an index out of bounds, or a division"):
        compiled["last"](np.zeros(1, np.uint8), np.zeros(0, RECORD))


def test_calls_leak_nothing(compiled: dict[str, Any]) -> None:
    rows, columns = np.zeros(3, RECORD), pair()
    kept = (None, rows, columns, NUMBERS, RECORD, columns.octets)
    gc.collect()
    before = [sys.getrefcount(each) for each in kept]
    for _ in range(1000):
        compiled["stamp"](rows, 7)
        compiled["total"](columns, NUMBERS, 1, 1.0, True)
    after = [sys.getrefcount(each) for each in kept]
    assert all(abs(now - then) < 100 for now, then in zip(after, before, strict=True))


def test_threads_run_side_by_side(compiled: dict[str, Any]) -> None:
    """The interpreter's lock is given back and taken again: nothing is mixed up."""

    def call(add: int) -> set[int]:
        columns = pair()
        return {compiled["total"](columns, NUMBERS, add, 1.0, False) for _ in range(2000)}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, range(4))) == [{268 + add} for add in range(4)]


def test_pieces_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="utf8_step is a piece of kernels"):
        utf8_step(0, 0)
    with pytest.raises(TypeError, match="doubled is a piece of kernels"):
        doubled(1)


# ------------------------------------------------------------------------------- on disk
def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is compiled from now on."""
    from shared.kernels import compiling

    seen: list[str] = []
    real: Callable[..., bytes] = compiling.compiled

    def noted(function: Any, name: str) -> bytes:
        seen.append(name)
        return real(function, name)

    monkeypatch.setattr(compiling, "compiled", noted)
    return seen


def test_what_is_on_disk_is_not_compiled_again(
    compiled: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = compiles(monkeypatch)
    assert kernel(half)(3) == 1.5
    assert seen == []


def test_whoever_may_look_into_the_folder_may_read_them(
    compiled: dict[str, Any], place: Path
) -> None:
    """An image's kernels are made by root, and loaded by a user without rights."""
    files = list(place.glob("*.o"))
    assert files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o644}


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_file_is_compiled_again(
    damage: bytes | None, compiled: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = place.glob("*.half-*.o")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] if damage is None else damage)
    seen = compiles(monkeypatch)
    for _ in range(2):
        assert kernel(half)(7) == 3.5
        assert seen == [loading.symbol(half)]


def test_a_folder_that_cannot_be_written_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_cache, "folder", lambda: tmp_path / "missing")
    assert kernel(half)(9) == 4.5
    assert not (tmp_path / "missing").exists()


def test_code_for_another_machine_is_not_used(
    compiled: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_machine", lambda: "another")
    seen = compiles(monkeypatch)
    assert kernel(is_odd)(1) is True
    assert seen == [loading.symbol(is_odd)]
    assert len(list(place.glob("*.is_odd-*.o"))) == 2
