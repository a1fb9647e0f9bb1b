"""When streams end and what is told of them: idle, evicted, reused, at the end, after a restart."""

from typing import Any

import numpy as np
import pytest

from services.shard import tables
from shared.columns import EVENT_CHANGE, EVENT_CLOSE, EVENT_KINDS, EVENT_OPEN
from tests.reference.streams import ACK, FIN, RST, SYN, Packet
from tests.shard_harness import ShardRun, check_events, check_totals, ends, readable, small

SECOND = 1_000_000_000
PSH, UDP = 8, 17
CLIENT, SERVER = ends("10.0.0.1", 40000), ends("10.0.0.2", 80)


def tcp(side: int, seq: int, flags: int = PSH | ACK, payload: bytes = b"", at: float = 0) -> Packet:
    src, dst = (SERVER, CLIENT) if side else (CLIENT, SERVER)
    return Packet(src, dst, payload, 6, flags, seq, 0, int(at * SECOND))


def udp(payload: bytes = b"x", at: float = 0, port: int = 5000) -> Packet:
    return Packet(
        ends("10.0.0.1", port), ends("10.0.0.2", 53), payload, UDP, 0, ts_ns=int(at * SECOND)
    )


def run_of(*packets: Packet, **settings: Any) -> ShardRun:
    run = ShardRun(small(flow_idle_timeout_ms=10_000, **settings))
    run.take(packets)
    return run


def kinds(run: ShardRun) -> list[str]:
    return [EVENT_KINDS[event["kind"]].removeprefix("stream_") for event in run.events()]


def reasons(run: ShardRun) -> list[str]:
    return [str(readable(event)["reason"]) for event in run.events(EVENT_CLOSE)]


# ----------------------------------------------------------------------------------- idleness


@pytest.mark.parametrize(
    ("packets", "status", "reason"),
    [
        ([udp()], "open", "idle"),
        ([tcp(0, 0, SYN)], "attempt", "idle"),
        ([tcp(0, 0, FIN | ACK), tcp(1, 0, FIN | ACK)], "closed", "closed"),
        ([tcp(0, 1, PSH | ACK, b"x"), tcp(1, 0, RST)], "reset", "closed"),
    ],
)
def test_what_is_idle_is_closed(packets: list[Packet], status: str, reason: str) -> None:
    run = run_of(*packets)
    run.worker.tick(10 * SECOND)
    assert kinds(run) == ["open"]
    run.worker.tick(10 * SECOND + 1)
    assert kinds(run) == ["open", "close"]
    (final,) = run.final().values()
    assert (final["status"], final["reason"]) == (status, reason)
    run.finish()
    check_events(run)
    assert run.stats()["idle"] == (reason == "idle")


@pytest.mark.parametrize("flags", [PSH | ACK, FIN | ACK])
def test_an_established_connection_may_go_on_after_hours(flags: int) -> None:
    run = run_of(tcp(0, 0, flags, b"before"))
    run.worker.tick(3600 * SECOND)
    assert kinds(run) == ["open"]
    run.take([tcp(1, 0, PSH | ACK, b"after", at=3601)])
    run.finish()
    (final,) = run.final().values()
    assert final["stream_bytes"] == [6, 5]


def test_a_hole_is_a_gap_after_idleness() -> None:
    """And the bytes behind it are read before anything else comes."""
    run = run_of(tcp(0, 0, payload=b"ab"), tcp(0, 5, payload=b"fg"))
    (stream_id,) = {int(event["stream_id"]) for event in run.events()}
    assert run.window(stream_id, 0).end_of_stream == 2
    run.worker.tick(11 * SECOND)
    assert run.segments(stream_id, 0) == [(0, b"ab"), (5, b"fg")]
    assert run.window(stream_id, 0).gaps == [(2, 5)]
    assert run.stats()["held_segments"] == 0


def test_the_sweep_comes_by_all_rows() -> None:
    count = 4500  # more than it looks at in one go
    run = ShardRun(small(max_flows=count, flow_idle_timeout_ms=10_000, batch_size=8192))
    packets = [udp(port=port) for port in range(1, count + 1)]
    run.take(packets)
    for _ in range(3):
        run.worker.tick(11 * SECOND)
    assert len(run.final()) == count


# ------------------------------------------------------------------------------------- reuse


def test_a_new_connection_on_an_old_flow() -> None:
    run = run_of(
        tcp(0, 100, SYN), tcp(1, 7, SYN | ACK), tcp(0, 101, payload=b"old"),
        tcp(0, 9000, SYN), tcp(0, 9001, payload=b"new"),
    )  # fmt: skip
    run.finish()
    check_events(run)
    old, new = run.final().values()
    assert (old["incarnation"], old["reason"], old["stream_bytes"]) == (0, "reused", [3, 0])
    assert (new["incarnation"], new["reason"], new["stream_bytes"]) == (1, "end_of_input", [3, 0])
    assert run.segments(old["stream_id"], 0) == [(0, b"old")]
    assert run.segments(new["stream_id"], 0) == [(0, b"new")]


def test_a_repeated_syn_is_the_same_connection() -> None:
    run = run_of(tcp(0, 100, SYN), tcp(0, 100, SYN, at=1), tcp(0, 100, SYN, at=3))
    run.finish()
    (final,) = run.final().values()
    assert (final["status"], final["packets"]) == ("attempt", [3, 0])


def test_a_syn_after_the_idle_timeout_is_another_attempt() -> None:
    run = run_of(tcp(0, 100, SYN), tcp(0, 100, SYN, at=60))
    run.finish()
    assert [final["incarnation"] for final in run.final().values()] == [0, 1]


def test_simultaneous_open_is_one_stream() -> None:
    run = run_of(
        tcp(0, 100, SYN), tcp(1, 500, SYN), tcp(0, 100, SYN | ACK), tcp(1, 500, SYN | ACK),
        tcp(0, 101, payload=b"a"), tcp(1, 501, payload=b"b"),
    )  # fmt: skip
    run.finish()
    (final,) = run.final().values()
    assert (final["status"], final["client"], final["stream_bytes"]) == ("open", 0, [1, 1])


def test_what_comes_after_the_close_is_only_counted() -> None:
    run = run_of(tcp(0, 0, FIN | ACK), tcp(1, 0, FIN | ACK))
    run.worker.tick(11 * SECOND)
    run.take([tcp(1, 1, ACK, at=12), tcp(0, 1, PSH | ACK, b"late", at=12)])
    run.finish()
    check_events(run)
    check_totals(run)
    (final,) = run.final().values()
    assert final["packets"] == [1, 1]
    assert run.stats()["after_close_packets"] == 2


def test_a_datagram_after_the_end_is_another_stream() -> None:
    run = run_of(udp())
    run.finish()
    run.take([udp(at=1)])
    run.finish()
    assert [(f["incarnation"], f["reason"]) for f in run.final().values()] == [
        (0, "end_of_input"),
        (1, "end_of_input"),
    ]


# ---------------------------------------------------------------------------------- eviction


def test_closed_streams_go_first_when_the_table_is_full() -> None:
    run = run_of(
        tcp(0, 0, payload=b"active", at=1), udp(at=2, port=1),
        Packet(ends("10.0.0.1", 9), SERVER, b"", 6, RST, at_ns := 0, 0, 3 * SECOND + at_ns),
        max_flows=3,
    )  # fmt: skip
    run.take([udp(at=4, port=2)])
    (gone,) = run.events(EVENT_CLOSE)
    assert (readable(gone)["status"], readable(gone)["reason"]) == ("reset", "closed")
    run.take([udp(at=5, port=3)])
    assert reasons(run) == ["closed", "evicted"]
    assert readable(run.events(EVENT_CLOSE)[1])["stream_bytes"] == [6, 0]


def test_evicted_flows_of_two_protocols_on_the_same_ports_are_both_remembered() -> None:
    run = run_of(max_flows=1)
    for at, proto in enumerate((6, UDP, 6, UDP)):
        run.take([Packet(CLIENT, SERVER, b"x", proto, ts_ns=at * SECOND)])
    run.finish()
    check_events(run)
    assert [final["incarnation"] for final in run.final().values()] == [0, 0, 1, 1]


def test_some_thousand_evicted_flows_are_remembered() -> None:
    run = run_of(max_flows=1)
    for turn in range(2):
        for port in range(1, 4001):
            run.take([udp(port=port, at=turn * 4000 + port)])
    run.finish()
    check_events(run)
    assert len(run.final()) == 8000


def test_an_evicted_stream_gives_up_its_holes() -> None:
    run = run_of(tcp(0, 0, payload=b"ab"), tcp(0, 9, payload=b"j"), max_flows=1)
    run.take([udp(at=1)])
    (final,) = run.final().values()
    assert (final["gap_bytes"], final["stream_bytes"]) == ([7, 0], [3, 0])
    assert run.stats()["held_segments"] == 0


def test_the_row_of_a_stream_is_free_only_after_it_was_told() -> None:
    """Within one message a row is one stream."""
    run = ShardRun(small(max_flows=2))
    run.take([udp(port=port, at=port) for port in range(1, 30)])
    run.finish()
    for message in run.messages:
        owners: dict[int, set[int]] = {}
        for event in message:
            owners.setdefault(int(event["row"]), set()).add(int(event["stream_id"]))
        assert all(len(streams) == 1 for streams in owners.values())
    check_events(run)


# ------------------------------------------------------------------------------------- events


def test_every_change_of_status_is_told() -> None:
    run = ShardRun(small())
    for packet in (
        tcp(0, 0, SYN), tcp(1, 0, SYN | ACK), tcp(0, 1, ACK), tcp(0, 1, FIN | ACK),
        tcp(1, 1, FIN | ACK), tcp(0, 2, ACK), tcp(1, 2, RST),
    ):  # fmt: skip
        run.take([packet])
    told = [(e["kind"], readable(e)["status"]) for e in run.events()]
    assert told == [
        (EVENT_OPEN, "attempt"),
        (EVENT_CHANGE, "open"),
        (EVENT_CHANGE, "closing"),
        (EVENT_CHANGE, "closed"),
        (EVENT_CHANGE, "reset"),
    ]


def test_attempts_are_what_nobody_answered() -> None:
    def unanswered(*packets: Packet) -> int:
        stats = run_of(*packets).stats()
        return stats["attempts"] - stats["attempts_answered"]

    assert unanswered(tcp(0, 0, SYN), tcp(0, 0, SYN, at=1)) == 1
    assert unanswered(tcp(0, 0, SYN), tcp(1, 0, SYN | ACK)) == 0
    assert unanswered(tcp(0, 0, SYN), tcp(1, 0, RST)) == 0
    assert unanswered(tcp(0, 0, SYN), tcp(0, 50, SYN), tcp(0, 90, SYN)) == 3


def test_what_fell_quiet_is_told_once() -> None:
    run = run_of(tcp(0, 0, payload=b"text"))
    run.take([tcp(0, 4, payload=b"more", at=1)])
    assert kinds(run) == ["open"]
    for _ in range(3):
        run.worker.tick(3 * SECOND)
    assert kinds(run) == ["open", "change"]
    assert run.events(EVENT_CHANGE)[0]["stream_bytes"].tolist() == [8, 0]


def test_a_stream_of_one_batch_is_opened_and_closed() -> None:
    run = run_of(tcp(0, 0, SYN), tcp(0, 50, SYN))
    assert [(e["kind"], e["incarnation"]) for e in run.events()] == [
        (EVENT_OPEN, 0),
        (EVENT_CLOSE, 0),
        (EVENT_OPEN, 1),
    ]


def test_a_coordinator_that_lost_its_rows_is_told_again() -> None:
    run = run_of(udp(port=1), udp(port=2, at=5), tcp(0, 0, payload=b"x", at=5))
    run.worker.tick(12 * SECOND)
    before = len(run.events())
    run.worker.tell_all_again()
    again = run.events()[before:]
    assert [EVENT_KINDS[event["kind"]] for event in again].count("stream_open") == 3
    assert [readable(event)["reason"] for event in again if event["kind"] == EVENT_CLOSE] == [
        "idle"
    ]
    assert run.stats()["closed"] == 1
    run.finish()
    assert run.stats()["closed"] == 3
    assert run.stats()["idle"] == 1


def test_the_beginning_of_a_long_stream_is_told_again() -> None:
    """Thousands of pieces lie between it and the newest."""
    run = ShardRun()
    for number in range(3000):
        side = number & 1
        run.take([tcp(side, number // 2 * 4, payload=b"%04d" % (number // 2), at=number)])
    before = dict(run.preview)
    assert [len(octets) for octets in before.values()] == [256, 256]
    run.worker.tell_all_again()
    assert run.preview == before


def test_more_streams_than_a_message_has_room_for_are_told_again() -> None:
    run = ShardRun(small(max_flows=20_000, batch_size=64))
    for first in range(0, 20_000, 1000):
        run.take([udp(port=port) for port in range(first + 1, first + 1001)])
    run.messages.clear()
    run.worker.tell_all_again()
    assert len(run.events(EVENT_OPEN)) == 20_000
    assert max(message.size for message in run.messages) <= run.tables.dirty.size
    run.finish()
    assert len(run.final()) == 20_000


def test_nothing_is_told_of_nothing() -> None:
    run = ShardRun()
    run.worker.tick(5)
    run.take([])
    run.worker.tell_all_again()
    run.finish()
    assert run.messages == []


# ------------------------------------------------------------------------------------- bounds


def test_held_pieces_of_all_flows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool is empty: holes are given up at once, and counted."""
    monkeypatch.setattr(tables, "NODES", nodes := 50)
    run, each = ShardRun(), 20
    for flow in range(5):
        src = ends("10.1.0.1", flow + 1)
        run.take(
            [Packet(src, SERVER, b"x", seq=0)]
            + [Packet(src, SERVER, b"y", seq=2 * i + 2) for i in range(each)]
        )
        assert run.stats()["held_segments"] == min(nodes, (flow + 1) * each)
    assert run.stats()["no_held_node"] > 0
    run.finish()
    check_totals(run)


def test_content_out_of_order_that_was_written_over_is_counted() -> None:
    run = ShardRun(small(max_stream_content_bytes=4096))
    run.take([tcp(0, 0, payload=b"first"), tcp(0, 10, payload=b"held until too late")])
    for i in range(20):
        run.take([udp(bytes(900), port=i + 1)])
    run.take([tcp(0, 5, payload=b"found")])
    run.finish()
    check_totals(run)
    assert run.stats()["out_of_order_dropped"] == 1
    tcp_stream = next(f for f in run.final().values() if f["stream_bytes"][0] == 29)
    assert run.segments(tcp_stream["stream_id"], 0) == [(5, b"found")]


def test_a_row_that_points_out_of_its_batch_is_left_out() -> None:
    run = ShardRun()
    rows = np.zeros(2, run_rows().dtype)
    rows[:] = run_rows()
    rows["payload_off"] = [0, 2]
    run.take_rows(rows, np.frombuffer(b"abcd", np.uint8), 0)
    run.finish()
    assert run.stats()["malformed_rows"] == 1
    assert run.stats()["packets"] == 1


def run_rows() -> Any:
    from tests.shard_harness import rows_of

    rows, _ = rows_of([udp(b"abc"), udp(b"abc")])
    return rows
