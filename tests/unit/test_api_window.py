"""The window of deltas against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from services.api.window import ANSWER_BYTES, Window


@given(
    start=st.integers(0, 50),
    count=st.integers(0, 40),
    capacity=st.integers(1, 20),
    cursor=st.integers(0, 120),
    limit=st.integers(1, 20),
)
def test_after_is_a_slice_of_the_log(
    start: int, count: int, capacity: int, cursor: int, limit: int
) -> None:
    window = Window(capacity, 1 << 20)
    window.start_at(start)
    log = [(start + 1 + i, b"%d" % (start + 1 + i)) for i in range(count)]
    for one in log:
        window.append(*one)
    held = log[-capacity:]
    oldest = held[0][0] - 1 if held else start
    if oldest <= cursor <= start + count:
        expected = [delta for number, delta in held if number > cursor][:limit]
        assert window.after(cursor, limit) == expected
    else:
        assert window.after(cursor, limit) is None
    assert window.bytes == sum(len(delta) for _, delta in held)


def test_bytes_are_bounded() -> None:
    window = Window(1000, 100)
    for cursor in range(1, 50):
        window.append(cursor, b"x" * 30)
        assert window.bytes <= 100
    assert len(window) == 3
    window.append(50, b"x" * 101)
    assert (len(window), window.bytes) == (0, 0)
    assert window.after(49, 10) is None
    assert window.after(50, 10) == []


def test_an_answer_is_bounded() -> None:
    window = Window(10, 1 << 30)
    for cursor in range(1, 6):
        window.append(cursor, b"x" * (ANSWER_BYTES // 2))
    assert [len(window.after(cursor, 10) or []) for cursor in range(6)] == [2, 2, 2, 2, 1, 0]
    window.append(6, b"x" * (2 * ANSWER_BYTES))
    assert len(window.after(5, 10) or []) == 1


def test_a_hole_in_the_log_starts_the_window_again() -> None:
    window = Window(10, 1000)
    window.append(1, b"a")
    window.append(5, b"e")
    assert window.after(1, 10) is None
    assert window.after(4, 10) == [b"e"]
