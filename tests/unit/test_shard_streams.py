"""What becomes of streams in cases that have a name: shard and twin agree, and on what is right."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.reference.streams import ACK, RST, SYN, Packet
from tests.shard_harness import ShardRun, assert_same, ends, small

PSH, SECOND_NS = 8, 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS
CLIENT, SERVER = ends("192.0.2.7", 51000), ends("198.51.100.1", 8080)


def segment(side: int, seq: int, payload: bytes = b"", **other: Any) -> Packet:
    src, dst = (SERVER, CLIENT) if side else (CLIENT, SERVER)
    return Packet(src, dst, payload, seq=seq, **({"ts_ns": START_NS, "flags": PSH} | other))


def only(packets: Sequence[Packet], cuts: Sequence[int] = (), **changed: Any) -> dict[str, Any]:
    """The one stream of packets on which shard and twin agree."""
    assert_same(packets, cuts, small(flow_idle_timeout_ms=1000, **changed))
    run = ShardRun(small(flow_idle_timeout_ms=1000, **changed))
    run.take_in_batches(packets, cuts)
    run.finish()
    (final,) = run.final().values()
    return final


@pytest.mark.parametrize("cuts", [[], [1], [1, 2]])
def test_a_service_is_told_from_pieces(cuts: list[int]) -> None:
    packets = [segment(0, 0, b"SS"), segment(1, 0, b"x"), segment(0, 2, b"H-2.0-x")]
    assert only(packets, cuts)["service"] == "ssh"


@pytest.mark.parametrize("cuts", [[], range(0, 600, 10), range(600)], ids=["one", "some", "each"])
def test_a_conflict_with_the_beginning_of_a_long_stream_is_seen_however_it_is_cut(
    cuts: Sequence[int],
) -> None:
    packets = [segment(0, i * 3, b"abc") for i in range(300)]
    packets += [segment(1, i * 3, b"abc") for i in range(300)]
    again = [segment(0, 0, b"abd"), segment(0, 0, b"abc"), segment(1, 300, b"xxx")]
    assert only(packets + again, cuts)["conflicts"] == [1, 1]


@pytest.mark.parametrize("cuts", [[], [1]])
def test_a_conflict_is_seen_within_a_batch_and_across(cuts: list[int]) -> None:
    assert only([segment(0, 0, b"abc"), segment(0, 0, b"abd")], cuts)["conflicts"] == [1, 0]


def test_a_segment_that_was_cut_off_does_not_run_over_what_is_held() -> None:
    packets = [
        segment(0, 0, b"0"), segment(0, 5, b"56"), segment(0, 1, b"1", wire=9),
        segment(0, 10, b"a"),
    ]  # fmt: skip
    final = only(packets)
    assert final["gap_bytes"] == [6, 0]
    assert final["stream_bytes"] == [5, 0]


def test_a_connection_of_which_the_syn_was_lost_is_not_mixed_into_the_one_before() -> None:
    packets = [
        segment(0, 99, flags=SYN), segment(1, 499, flags=SYN | ACK, ack=100),
        segment(0, 100, b"one"), segment(1, 7000, flags=SYN | ACK, ack=9000),
        segment(0, 9000, b"two"),
    ]  # fmt: skip
    run = ShardRun(small())
    run.take(packets)
    run.finish()
    assert [final["stream_bytes"] for final in run.final().values()] == [[3, 0], [3, 0]]


def test_an_answer_with_another_number_is_the_same_conversation() -> None:
    """Some servers choose one each time they are asked; the first says where the direction begins,
    as Wireshark has it."""
    packets = [
        segment(0, 99, flags=SYN), segment(1, 5, flags=SYN | ACK, ack=100),
        segment(0, 99, flags=SYN), segment(1, 3 << 29, flags=SYN | ACK, ack=100),
        segment(0, 100, b"to", flags=ACK, ack=(3 << 29) + 1), segment(1, (3 << 29) + 1, b"from"),
    ]  # fmt: skip
    assert only(packets)["stream_bytes"] == [2, 0]
    assert only(packets[3:])["stream_bytes"] == [2, 4]
    assert only([packets[1], *packets[3:]])["stream_bytes"] == [2, 0]


@pytest.mark.parametrize("number", [0, 1234])
def test_a_syn_from_a_side_that_was_silent(number: int) -> None:
    """The other side was in the middle of something: that was another conversation."""
    run = ShardRun(small())
    run.take([segment(1, 70, b"before"), segment(0, number, flags=SYN)])
    run.finish()
    assert [final["client"] for final in run.final().values()] == [0, 0]
    assert [final["status"] for final in run.final().values()] == ["open", "attempt"]


@pytest.mark.parametrize(
    ("far", "status"), [(1 << 20, "reset"), ((1 << 20) + 1, "open"), (-(1 << 20) - 1, "open")]
)
def test_a_reset_from_far_away_is_not_believed(far: int, status: str) -> None:
    """RFC 5961 §3, with a window as large as there may be."""
    reset = segment(0, (3 + far) % (1 << 32), flags=RST)
    assert only([segment(0, 0, b"abc"), reset])["status"] == status


def test_a_keep_alive_is_no_data() -> None:
    """One byte before the next one, of any content (RFC 9293 §3.8.4)."""
    final = only([segment(0, 0, b"abc"), segment(0, 2, b"\0"), segment(0, 3, b"d")])
    assert (final["retransmissions"], final["conflicts"]) == ([0, 0], [0, 0])
    assert final["stream_bytes"] == [4, 0]


def test_a_repeated_byte_with_new_ones_behind_it_is_no_keep_alive() -> None:
    """Though the capture has only the first of them."""
    final = only([segment(0, 0, b"abc"), segment(0, 2, b"c", wire=4), segment(0, 6, b"g")])
    assert (final["stream_bytes"], final["gap_bytes"]) == ([4, 0], [3, 0])


@pytest.mark.parametrize(
    ("packets", "midstream", "snaplen_cut"),
    [
        ([segment(0, 0, flags=SYN), segment(0, 1, b"abc")], False, False),
        ([segment(0, 0, flags=SYN | ACK), segment(0, 1, b"abc")], False, False),
        ([segment(0, 1, b"abc")], True, False),
        ([segment(0, 1, b"abc"), segment(1, 0, flags=SYN | ACK, ack=1)], False, False),
        ([segment(0, 1, b"abc", wire=4)], True, True),
        ([segment(0, 0, flags=SYN), segment(0, 1, wire=4)], False, True),
        # out of order, and what it lacks came with another packet
        ([segment(0, 0, flags=SYN), segment(0, 3, b"c", wire=2), segment(0, 1, b"abcd")], False,
         True),
    ],
)  # fmt: skip
def test_what_the_capture_did_not_have_of_a_stream(
    packets: list[Packet], midstream: bool, snaplen_cut: bool
) -> None:
    final = only(packets)
    assert (final["midstream"], final["snaplen_cut"]) == (midstream, snaplen_cut)


@pytest.mark.parametrize(("ack", "end"), [(4, 2), (5, 7), (6, 7), (7, 7)])
def test_a_hole_is_a_gap_when_the_peer_has_what_was_in_it(ack: int, end: int) -> None:
    """Acknowledging up to the byte behind it is enough (RFC 9293 §3.4)."""
    packets = [segment(0, 0, b"01"), segment(0, 5, b"56"), segment(1, 9, flags=ACK, ack=ack)]
    assert_same(packets, [], small())
    run = ShardRun(small())
    run.take(packets)
    (stream_id,) = {int(event["stream_id"]) for event in run.events()}
    assert run.window(stream_id, 0).end_of_stream == end


@pytest.mark.parametrize("ticks", [False, True])
def test_an_attempt_that_was_idle_is_over_whether_the_sweep_saw_it_or_not(ticks: bool) -> None:
    late = START_NS + 5 * SECOND_NS
    packets = [segment(0, 0, flags=SYN), segment(1, 8, flags=SYN | ACK, ack=1, ts_ns=late)]
    run = ShardRun(small(flow_idle_timeout_ms=1000))
    run.take(packets[:1])
    if ticks:
        run.worker.tick(late)
    run.take(packets[1:])
    run.finish()
    assert [(f["incarnation"], f["reason"]) for f in run.final().values()] == [
        (0, "idle"),
        (1, "end_of_input"),
    ]
