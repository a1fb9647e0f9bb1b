"""Patterns over a whole shard: what is found is what `regex` finds in the runs of each stream,
however they came, with hyperscan and without it, as they come and afterwards."""

import random
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from services.shard.patterns import budget
from services.shard.patterns.scanner import load_hyperscan
from shared.columns import CLOSE_SENT
from shared.schema import Pattern
from tests.reference.patterns import Match, matches_of_stream
from tests.reference.streams import ACK, FIN, SYN, Packet, Stream, Tracker
from tests.shard_harness import ShardRun, ends, in_batches, limits_of, small

A, B = ends("10.0.0.1", 40000), ends("10.0.0.2", 80)
C = ends("10.0.0.3", 40001)
TCP, UDP = 6, 17
ATOMS = (
    "a", "b", "c", "ab", ".", "[ab]", "[^a]", r"\w", r"\s", r"\d", r"[\w-]", "^", "$", r"\b", r"\B",
    "(?=a)", "(?<=b)", "(?!a)", "(?<!b)", "(?<=^a)", "(ab|a)", "(a|ab)(c|bcd)", "(?i:B)", r"\A",
    r"\Z", "(?:ab)+", "(?s:.)", r"(a)\1", "(?>a*)", "(?=b.)", "\\n", "(?P<n>b)(?P=n)", r"\x61",
    "(?(1)a|b)", "aba", "bab", "aab", "ab ",
)  # fmt: skip
COUNTS = ("",) * 6 + ("*", "+", "?", "{2}", "{1,3}", "*?", "+?", "++", "{,2}", "{2,}?")
PREFIXES = ("",) * 6 + ("(?i)", "(?s)", "(?m)", "(?im)")
KINDS: tuple[Literal["regex", "substring", "binary"], ...] = (
    "regex",
    "regex",
    "substring",
    "binary",
)
TEXTS = st.text("ab\nAc ", max_size=40) | st.text("ab ", max_size=40)
OPEN = (
    "a+b", "(a+)+$", "[ab]+ ", r"\w+c$", "(a|b?)*$", "a.*b", "(?i)[a-b]+C", "a+(?=b)", "(?<=b )a+",
    r"\ba+\b", "(?m)^a+$", "(a+)b*\\1c", r"a+\Z", "(?s)b.*c",
)  # fmt: skip
LONG = st.text("abab\nc ", min_size=40, max_size=400) | st.text("ab", min_size=60, max_size=200)
LITERALS = ("a", "aa", "ab", "aba", "abcab", "b\na", "é")


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_put_off() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "LIVE_PURSE_S", 1e9)
        yield


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """A regular expression that compiles, of atoms that meet in the texts."""
    regex.purge()  # a cache that is full throws out at random, which a strategy may not see
    while True:
        size = draw(st.integers(1, 4))
        words: str = draw(st.sampled_from(PREFIXES)) + "".join(
            draw(st.sampled_from(ATOMS)) + draw(st.sampled_from(COUNTS)) for _ in range(size)
        )
        try:
            regex.compile(words.encode(), cache_pattern=False)
        except regex.error:
            continue
        return words


@st.composite
def patterns(draw: st.DrawFn) -> list[Pattern]:
    found = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        kind = draw(st.sampled_from(KINDS))
        value: str = draw(st.sampled_from(LITERALS))
        if kind == "binary":
            value = value.encode().hex(":")
        if kind == "regex":
            value = draw(expressions())
        found.append(Pattern(id=number * 7, name="p", kind=kind, value=value))
    return found


@st.composite
def traffic(draw: st.DrawFn) -> list[Packet]:
    """Two TCP streams and a UDP one: cut anywhere, in any order, with holes."""
    order = draw(st.randoms(use_true_random=False))
    packets: list[Packet] = []
    for one in (A, C)[: draw(st.integers(1, 2))]:
        for src, dst in ((one, B), (B, one)):
            packets += cut(order, draw(TEXTS).encode(), src, dst, TCP)
    packets += cut(order, draw(st.text("ab", max_size=12)).encode(), A, B, UDP)
    near = sorted(range(len(packets)), key=lambda i: i % 16 + order.uniform(0, 5))
    return [stamped(packets[i], at) for at, i in enumerate(near)]


def stamped(packet: Packet, at: int) -> Packet:
    return Packet(
        packet.src, packet.dst, packet.payload, packet.proto, packet.flags, packet.seq, packet.ack,
        1 + at,
    )  # fmt: skip


def cut(order: random.Random, text: bytes, src: Any, dst: Any, proto: int) -> list[Packet]:
    """A direction's segments in near order, some of them missing, some twice."""
    packets = [Packet(src, dst, b"", TCP, SYN, 99)] if proto == TCP else []
    at = 0
    while at < len(text):
        size = order.choice((1, 1, 2, 3, 5, 9, 20))
        piece = Packet(src, dst, text[at : at + size], proto, ACK, 100 + at, 0)
        packets += [piece] * order.choice((1, 1, 1, 1, 1, 1, 0, 2))
        at += size
    if proto == TCP and order.random() < 0.3:
        packets.append(Packet(src, dst, b"", TCP, FIN | ACK, 100 + at, 0))
    return packets


def kept(run: ShardRun, stream: Stream) -> list[Match]:
    rows = run.worker.patterns.matches_of(run.row(stream.stream_id))
    return sorted(
        (int(row["pattern"]), int(row["dir"]), int(row["start"]), int(row["end"])) for row in rows
    )


def truth(wanted: Sequence[Pattern], stream: Stream) -> list[Match]:
    return matches_of_stream(
        wanted, (stream.directions[0].segments(), stream.directions[1].segments())
    )


def assert_matches(run: ShardRun, twin: Tracker, wanted: Sequence[Pattern]) -> None:
    """What is kept and what was counted, of every stream."""
    for stream in twin.streams:
        expected = truth(wanted, stream)
        assert kept(run, stream) == expected
        for pattern in wanted:
            count = sum(match[0] == pattern.id for match in expected)
            assert run.pairs.get((stream.stream_id, pattern.id), 0) == count


def assert_told_once(run: ShardRun, twin: Tracker, wanted: Sequence[Pattern]) -> None:
    """Every final match, its bytes beside it."""
    expected = []
    for stream in twin.streams:
        for pattern, side, start, end in truth(wanted, stream):
            octets = next(
                octets[start - at : end - at]
                for at, octets in stream.directions[side].segments()
                if at <= start < at + len(octets)
            )
            expected.append((stream.stream_id, pattern, side, start, end, octets))
    told = [
        (*(int(row[name]) for name in ("stream_id", "pattern", "dir", "start", "end")), octets)
        for row, octets in run.matched
    ]
    assert sorted(told) == sorted(expected)


def shard_with(hyperscan: bool, **changed: Any) -> ShardRun:
    run = ShardRun(small(batch_size=16, **changed))
    run.worker.patterns.use(load_hyperscan() if hyperscan else None)
    return run


@pytest.mark.property
@pytest.mark.parametrize("hyperscan", [True, False], ids=["hyperscan", "regex"])
@given(traffic(), st.sets(st.integers(1, 40)), patterns())
def test_matches_are_those_of_regex_as_they_come(
    hyperscan: bool, packets: list[Packet], cuts: set[int], wanted: list[Pattern]
) -> None:
    run = shard_with(hyperscan)
    run.worker.patterns.set_patterns(wanted)
    twin = Tracker(limits_of(run.tables))
    for batch in in_batches(packets, cuts):
        run.take(batch)
        twin.take(batch)
        assert_matches(run, twin, wanted)
    run.finish()
    twin.finish(run.now_ns)
    assert_matches(run, twin, wanted)
    assert_told_once(run, twin, wanted)


@pytest.mark.property
@pytest.mark.parametrize("hyperscan", [True, False], ids=["hyperscan", "regex"])
@given(traffic(), st.sets(st.integers(1, 40)), patterns(), st.integers(0, 6), st.integers(8, 64))
def test_new_patterns_are_found_in_what_is_retained(
    hyperscan: bool,
    packets: list[Packet],
    cuts: set[int],
    wanted: list[Pattern],
    late: int,
    step: int,
) -> None:
    run = shard_with(hyperscan)
    patterns_of_run = run.worker.patterns
    twin = Tracker(limits_of(run.tables))
    for number, batch in enumerate(in_batches(packets, cuts)):
        if number == late:
            patterns_of_run.set_patterns(wanted)
        run.take(batch)
        twin.take(batch)
        if number > late + 1:
            patterns_of_run.retro.work(0)
    patterns_of_run.set_patterns(wanted)
    while patterns_of_run.retro.work(1):
        pass
    assert_matches(run, twin, wanted)
    run.finish()
    twin.finish(run.now_ns)
    assert_matches(run, twin, wanted)
    ids = {stream.stream_id for stream in twin.streams}
    assert all(run.tables.flows[run.row(one)]["marks"] & CLOSE_SENT for one in ids)
    patterns_of_run.set_patterns(wanted[1:])
    patterns_of_run.tell_now()
    assert_matches(run, twin, wanted[1:])
    assert all(run.pairs.get((one, wanted[0].id), 0) == 0 for one in ids)


@pytest.mark.property
@pytest.mark.parametrize("hyperscan", [True, False], ids=["hyperscan", "regex"])
@given(
    LONG,
    st.randoms(use_true_random=False),
    st.lists(st.sampled_from(OPEN), min_size=1, max_size=3, unique=True),
)
def test_a_look_back_ends_where_no_match_goes_on(
    hyperscan: bool, text: str, order: random.Random, values: list[str]
) -> None:
    wanted = [Pattern(id=1 + i, name="p", kind="regex", value=v) for i, v in enumerate(values)]
    run = shard_with(hyperscan)
    run.worker.patterns.set_patterns(wanted)
    twin, times = Tracker(limits_of(run.tables)), dict[int, int]()
    for number, packet in enumerate(cut(order, text.encode(), A, B, TCP)):
        for offset in range(packet.seq - 100, packet.seq - 100 + len(packet.payload)):
            times.setdefault(offset, 1 + number)
        batch = [stamped(packet, number)]
        run.take(batch)
        twin.take(batch)
        assert_matches(run, twin, wanted)
    run.finish()
    twin.finish(run.now_ns)
    assert_matches(run, twin, wanted)
    assert_told_once(run, twin, wanted)
    for row, _ in run.matched:
        assert row["ts_ns"] == times[int(row["end"]) - 1]


@pytest.mark.property
@pytest.mark.parametrize("hyperscan", [True, False], ids=["hyperscan", "regex"])
@given(
    traffic(),
    st.sets(st.integers(1, 40)),
    patterns(),
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3), st.booleans()), max_size=6),
)
def test_what_patterns_that_rest_miss_is_found_when_there_is_time(
    hyperscan: bool,
    packets: list[Packet],
    cuts: set[int],
    wanted: list[Pattern],
    changes: list[tuple[int, int, bool]],
) -> None:
    run = shard_with(hyperscan)
    engine = run.worker.patterns
    engine.set_patterns(wanted)
    twin = Tracker(limits_of(run.tables))
    for number, batch in enumerate(in_batches(packets, cuts)):
        for slot in [slot for at, slot, rests in changes if at == number and rests]:
            if slot in engine.compiled and slot not in engine.resting:
                engine.rest([slot])
        for slot in [slot for at, slot, rests in changes if at == number and not rests]:
            if slot in engine.resting:
                engine.wake([slot])
        run.take(batch)
        twin.take(batch)
        engine.retro.work(0)
    if len(cuts) % 2:
        run.finish()
        twin.finish(run.now_ns)
    while run.worker.wind_up(1):
        pass
    assert_matches(run, twin, wanted)
    assert not engine.resting.all()
