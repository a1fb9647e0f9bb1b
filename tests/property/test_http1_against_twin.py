"""The HTTP/1 kernel and its twin find the same messages, however a conversation is cut."""

from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.columns import FIN, RST, SERVICES
from tests.message_harness import (
    Turn,
    assert_same_messages,
    found_in,
    in_pieces,
    packets_of,
    pairs_in,
    without_acks,
)
from tests.reference.streams import Packet
from tests.shard_harness import ShardRun, small

MAX_HEADER = 1024  # the least that the setting takes
LINES = (b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n")
METHODS = (b"GET", b"GET", b"POST", b"HEAD", b"CONNECT", b"OPTIONS", b"X-LONG-ONE")
CODES = (b"200", b"200", b"200", b"204", b"304", b"404", b"100", b"101", b"103", b"999")
FIELDS = (
    b"Host: example.org", b"host:\texample.org ", b"Accept: */*", b"no colon here", b": nothing",
    b"Content-Type: text/plain", b"Cookie: a=b", b"Upgrade: websocket", b"upgrade: h2c, WebSocket",
    b"Upgrade: h2c", b"Connection: close", b"X-Long: " + b"x" * 90, b"Host: \r\n folded.org",
    b"Content-Lengths: 7", b"Content-Length : 3", b"Trailer: Expires", b"H\xc3\xa4ost: \x01\x7f",
)  # fmt: skip
FRAMINGS = (
    (b"Content-Length: 5",), (b"Content-Length: 0",), (b"CONTENT-LENGTH:5 ",),
    (b"Content-Length: 5, 5",), (b"Content-Length: 5", b"Content-Length: 05"),
    (b"Content-Length:\r\n 5",), (), (), (b"Transfer-Encoding: chunked",),
    (b"transfer-encoding: gzip, Chunked", b"Content-Length: 7"),
    (b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
)  # fmt: skip
ODD_FRAMINGS = (
    (b"Content-Length: 5, 6",), (b"Content-Length: +5",), (b"Content-Length:",),
    (b"Content-Length: 4611686018427387904",), (b"Content-Length: 99999999999999999999999",),
    (b"Content-Length: 4000",), (b"Transfer-Encoding: gzip",), (b"Transfer-Encoding: ,",),
    (b"Transfer-Encoding: chunked, gzip",), (b"Transfer-Encoding: chunked,, ",),
)  # fmt: skip


def one_in(draw: st.DrawFn, many: int) -> bool:
    return draw(st.integers(0, many - 1)) == 0


@st.composite
def heads(draw: st.DrawFn, request: bool) -> tuple[bytes, tuple[bytes, ...]]:
    """A head, and the fields of its framing."""
    end = draw(st.sampled_from(LINES))
    version = draw(st.sampled_from((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9")))
    if request:
        target = draw(st.sampled_from((b"/", b"/a?b=c", b"*", b"/with space", b"http://x/")))
        line = b" ".join((draw(st.sampled_from(METHODS)), target, version))
    else:
        reason = draw(st.sampled_from((b" OK", b" Not Found", b" ", b"")))
        line = version + b" " + draw(st.sampled_from(CODES)) + reason
    if one_in(draw, 12):
        line += draw(st.sampled_from((b" ", b"\x01", b"z" * 500, b"z" * 1100)))
    framing = draw(st.sampled_from(ODD_FRAMINGS if one_in(draw, 8) else FRAMINGS))
    fields = [*draw(st.lists(st.sampled_from(FIELDS), max_size=4)), *framing]
    before = end * draw(st.sampled_from((0, 0, 0, 0, 1, 2)))
    return before + end.join([line, *draw(st.permutations(fields)), b"", b""]), framing


@st.composite
def bodies(draw: st.DrawFn, framing: Sequence[bytes]) -> bytes:
    """What the fields promise, most of the time."""
    if one_in(draw, 10):
        return draw(st.sampled_from((b"", b"hello", b"zz\r\n", b"\0" * 40, b"GET / HTTP/1.1\r\n")))
    if any(b"hunked" in field for field in framing):
        return draw(chunks())
    return b"hello" if any(b"5" in field for field in framing) else b""


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    end, result = draw(st.sampled_from(LINES)), b""
    for size in draw(st.lists(st.sampled_from((1, 9, 10, 17, 300)), max_size=3)):
        line = b"%x" % size if draw(st.booleans()) else b"00%X" % size
        line += draw(st.sampled_from((b"", b"", b";a=b", b' ; quoted="x"', b"  ")))
        if one_in(draw, 20):
            line = draw(
                st.sampled_from((b"", b"x", b" 5", b"5 5", b"10000000000000000", b"4" + b"0" * 15))
            )
        result += line + end + b"c" * size + (b"!" if one_in(draw, 20) else end)
    trailer = draw(st.sampled_from((b"", b"", b"Expires: 0" + end, b"a" * 2000 + end)))
    return result + b"0" + end + trailer + end


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    """Requests and responses, some of them pipelined, some odd."""
    turns: list[Turn] = []
    for _ in range(draw(st.integers(1, 4))):
        pipelined = draw(st.sampled_from((1, 1, 1, 2, 3)))
        for side in (0, 1):
            for _ in range(pipelined):
                head, framing = draw(heads(side == 0))
                turns.append((side, head + draw(bodies(framing))))
        if one_in(draw, 8):
            odd = draw(
                st.sampled_from(
                    (b"GET /old\r\n", b"HTTP/1.1 20 OK\r\n", b"junk\n", b"\x81\x05hello")
                )
            )
            turns.insert(draw(st.integers(0, len(turns))), (draw(st.integers(0, 1)), odd))
    return turns


@st.composite
def mutated(draw: st.DrawFn, turns: list[Turn]) -> list[Turn]:
    """Bytes changed, taken away, put in."""
    result = list(turns)
    for _ in range(draw(st.integers(0, 3))):
        which = draw(st.integers(0, len(result) - 1))
        side, octets = result[which]
        at = draw(st.integers(0, len(octets)))
        kept = draw(st.integers(at, min(len(octets), at + 3)))
        odd = draw(
            st.sampled_from((b"", b"\n", b"\r", b" ", b":", b"\0", b"\xff", b"9", b"\r\n\r\n"))
        )
        result[which] = (side, octets[:at] + odd + octets[kept:])
    return result


def swapped(packets: list[Packet], swaps: Sequence[int]) -> list[Packet]:
    """Neighbours change places, and packets are doubled; times stay in order."""
    result = list(packets)
    for at in swaps:
        if at % 7 == 0:
            result.insert(at % len(result), result[at % len(result)])
        else:
            i = at % max(1, len(result) - 1)
            result[i : i + 2] = result[i : i + 2][::-1]
    return result


def run_of(packets: Sequence[Packet], cuts: Sequence[int]) -> ShardRun:
    run = ShardRun(small(max_http1_header_bytes=MAX_HEADER))
    run.take_in_batches(packets, cuts)
    run.finish()
    return run


SIZES = st.lists(st.sampled_from((1, 2, 3, 5, 8, 20, 100, 700)), max_size=6)
CUTS = st.lists(st.integers(1, 60), max_size=8)
ENDS = st.sampled_from((FIN, FIN, RST, 0))


@pytest.mark.property
@given(st.data(), SIZES, CUTS, ENDS)
def test_conversations(data: st.DataObject, sizes: list[int], cuts: list[int], end: int) -> None:
    turns = data.draw(conversations())
    if data.draw(st.booleans()):
        turns = data.draw(mutated(turns))
    packets = packets_of(in_pieces(turns, sizes), data.draw(st.booleans()), end)
    assert_same_messages(run_of(packets, cuts), packets, MAX_HEADER)


@pytest.mark.property
@given(st.data(), SIZES, CUTS, ENDS)
def test_disturbed_conversations(
    data: st.DataObject, sizes: list[int], cuts: list[int], end: int
) -> None:
    """Reordered, doubled, with losses."""
    turns = data.draw(conversations())
    packets = packets_of(in_pieces(turns, sizes), data.draw(st.booleans()), end)
    packets = swapped(packets, data.draw(st.lists(st.integers(0, 100), max_size=8)))
    for at in data.draw(st.lists(st.integers(0, 100), max_size=3)):
        if len(packets) > 1:
            del packets[at % len(packets)]
    run = run_of(packets, cuts)
    assume(len(run.final()) == 1)  # a SYN that comes late begins another stream
    assert_same_messages(run, packets, MAX_HEADER)


@pytest.mark.property
@given(st.data(), SIZES, SIZES, CUTS)
def test_cuts_change_nothing(
    data: st.DataObject, sizes: list[int], others: list[int], cuts: list[int]
) -> None:
    """No twin here: two runs of the same bytes."""
    turns = data.draw(conversations())
    runs = [
        run_of(without_acks(packets_of(in_pieces(turns, pieces))), where)
        for pieces, where in ((sizes, []), (others, cuts))
    ]
    assert found_in(runs[0]) == found_in(runs[1])
    count = runs[0].stats()["messages"]
    assert pairs_in(runs[0], count) == pairs_in(runs[1], count)


WORDS = (
    b"GET / HTTP/1.1", b"HTTP/1.1 200 OK", b"\r\n", b"\r\n", b"\n", b"\r", b":", b" ", b"5", b"0",
    b"Content-Length", b"Transfer-Encoding: chunked", b"CONNECT a:1 HTTP/1.1", b"\0",
    b"HEAD / HTTP/1.1",
    b"Upgrade: websocket", b"HTTP/1.1 101 S", b"\x81\x03abc", b"\x88\x82", b"x" * 600, b"GET /\r\n",
)  # fmt: skip


@pytest.mark.property
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=12).map(b"".join),
        ),
        max_size=8,
    ),
    SIZES,
    CUTS,
)
def test_any_bytes(turns: list[Turn], sizes: list[int], cuts: list[int]) -> None:
    packets = packets_of(in_pieces(turns, sizes))
    run = run_of(packets, cuts)
    told = SERVICES[run.tables.flows[0]["service"]]
    assume(told in ("http", "websocket"))  # the bytes may tell of another service
    assert_same_messages(run, packets, MAX_HEADER)
