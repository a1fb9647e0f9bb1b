"""The shard as a process: capture and coordinator are played by the test, over real sockets."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import zmq

from shared.columns import EVENT_CLOSE, EVENT_OPEN
from shared.schema import Pattern, PatternReport
from shared.wire import open_socket
from tests.reference.streams import Packet
from tests.shard_harness import ends
from tests.shard_site import (
    ROWS,
    START_S,
    UDP,
    Coordinator,
    Site,
    message,
    say,
    send,
    started,
)
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def site() -> Iterator[Site]:
    # short: the path of a Unix socket has 107 bytes
    with tempfile.TemporaryDirectory(prefix="fm-", ignore_cleanup_errors=True) as folder:
        built = Site(Path(folder))
        try:
            yield built
        finally:
            built.close()


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "slots"])
def test_from_packets_to_events_and_content(site: Site, inline: bool) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        site.shard()
        started(coordinator)
        _, registered = coordinator.asked[0]
        assert registered["index"] == -1
        assert registered["pid"] == site.processes[0].pid
        lane = site.lane(inline)
        for number in range(50):
            send(lane, [message(flow, number, b"%03d,%03d." % (flow, number)) for flow in range(9)])
        opened = eventually(lambda: [*coordinator.events(EVENT_OPEN)][:9])
        assert site.content(opened[0], 0).startswith(b"000,000.000,001.")
        say(lane, "end", 1000)
        ended = eventually(coordinator.ended)
        closed = coordinator.events(EVENT_CLOSE)
        assert len(closed) == 9
        assert all(event["packets"].tolist() == [50, 0] for event in closed)
        assert (ended.stats["packets"], ended.stats["flows"]) == (450, 9)
        assert ended.now_ns == 1000
        assert eventually(lambda: lane.settled(100))
        for event in closed:
            flow = int(event["port_a"]) - 2000
            wanted = b"".join(b"%03d,%03d." % (flow, number) for number in range(50))
            assert site.content(event, 0) == wanted
        previews = {
            (row, side): b"" for told in coordinator.told for row, side, *_ in told.previews
        }
        for told in coordinator.told:
            for row, side, start, octets in told.previews:
                assert start == len(previews[row, side])
                previews[row, side] += octets
        assert sorted(previews.values()) == sorted(site.content(e, 0)[:256] for e in closed)
        assert [told.header.seq for told in coordinator.told] == list(range(len(coordinator.told)))


def test_content_is_read_while_packets_flow(site: Site) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        site.shard()
        started(coordinator)
        lane, stop = site.lane(), threading.Event()
        send(lane, [message(0, 0, b"the first words.")])
        (stream,) = eventually(lambda: coordinator.events(EVENT_OPEN))

        def flow() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                send(lane, [message(1, number, bytes(1000)) for _ in range(ROWS)])

        feeder = threading.Thread(target=flow)
        feeder.start()
        waits = []
        try:
            for _ in range(50):
                began = time.monotonic()
                assert site.content(stream, 0) == b"the first words."
                waits.append(time.monotonic() - began)
        finally:
            stop.set()
            feeder.join()
        assert sorted(waits)[len(waits) // 2] < 0.5, "a read waits for one batch at most"
        say(lane, "end")
        eventually(coordinator.ended)


def has_ended_with(coordinator: Coordinator, flows: int) -> bool:
    ended = coordinator.ended()
    return ended is not None and ended.stats["flows"] == flows


def test_after_the_end_there_may_be_more(site: Site) -> None:
    """A second capture, or the next file of a folder."""
    with Coordinator(site.bus, "first") as coordinator:
        site.shard()
        started(coordinator)
        for count in (1, 2):
            lane = site.lane()
            send(lane, [message(0, 0, b"again")])
            say(lane, "end")
            eventually(partial(has_ended_with, coordinator, count))
            eventually(partial(lane.settled, 100))
            site.lanes.pop().close()
        ids = [int(event["incarnation"]) for event in coordinator.events(EVENT_CLOSE)]
        assert ids == [0, 1]


def test_time_passes_without_packets(site: Site) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        site.shard(flow_idle_timeout_ms=1000)
        started(coordinator)
        lane = site.lane()
        send(lane, [Packet(ends("10.0.0.1", 5), ends("10.0.0.2", 6), b"x", UDP, 0)])
        say(lane, "tick", 3_000_000_000)
        (closed,) = eventually(lambda: coordinator.events(EVENT_CLOSE))
        assert closed["packets"].tolist() == [1, 0]


def test_a_coordinator_that_restarts_is_told_all_again(site: Site) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        site.shard()
        started(coordinator)
        lane = site.lane()
        send(lane, [message(flow, 0, b"flow %d" % flow) for flow in range(5)])
        eventually(lambda: len(coordinator.events(EVENT_OPEN)) == 5)
    with Coordinator(site.bus, "second") as coordinator:
        eventually(lambda: len(coordinator.events(EVENT_OPEN)) == 5)
        assert all(told.header.snapshot for told in coordinator.told if told.events.size)
        assert eventually(lambda: coordinator.count("register")) == 1
        (again,) = [args for op, args in coordinator.asked if op == "register"]
        assert (again["index"], again["pid"]) == (0, site.processes[0].pid)
        texts = [octets for told in coordinator.told for *_, octets in told.previews]
        assert sorted(texts) == [b"flow %d" % flow for flow in range(5)]
        send(lane, [message(0, 1, b"more 0")])
        say(lane, "end")
        assert eventually(coordinator.ended).stats["flows"] == 5
        assert not coordinator.told[-1].header.snapshot
        assert len(coordinator.events(EVENT_CLOSE)) == 5
    with Coordinator(site.bus, "third") as coordinator:  # and after the end, that it has ended
        eventually(coordinator.ended)
        assert len(coordinator.events(EVENT_OPEN)) == len(coordinator.events(EVENT_CLOSE)) == 5


def test_a_slow_coordinator_holds_the_input_up_and_loses_nothing(site: Site) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        site.shard(event_queue_depth=1, worker_queue_depth=2 * ROWS, stream_update_packets=1)
        started(coordinator)
        lane = site.lane(depth=2)
        send(lane, [message(0, 0, b"x" * 100)])
        (stream,) = eventually(lambda: coordinator.events(EVENT_OPEN))
        coordinator.reads.clear()
        sent = 0
        while True:  # until nothing is taken any more
            slot = lane.acquire(1000)
            if slot is None:
                break
            lane.free.append(slot)
            # a batch of new streams each: its events are too large for the sockets' own buffers
            send(lane, [message(1 + sent * ROWS + i, 0, b"y" * 100) for i in range(ROWS)])
            sent += 1
            assert sent < 70, "nothing holds the input up"
        assert site.content(stream, 0) == b"x" * 100, "requests are answered all the same"
        site.ask("search_start", search="s", kind="substring", value="x" * 100)
        eventually(lambda: site.ask("search_poll", search="s")[0].result["done"])
        coordinator.reads.set()
        say(lane, "end")
        ended = eventually(coordinator.ended)
        assert ended.stats["flows"] == 1 + sent * ROWS
        assert len(coordinator.events(EVENT_OPEN)) == 1 + sent * ROWS
        assert [told.header.seq for told in coordinator.told] == list(range(len(coordinator.told)))


def test_sigterm_is_an_orderly_end(site: Site) -> None:
    """Every stream's last event is sent before the process goes."""
    with Coordinator(site.bus, "first") as coordinator:
        process = site.shard()
        started(coordinator)
        lane = site.lane()
        send(lane, [message(flow, 0, b"text") for flow in range(20)])
        eventually(lambda: len(coordinator.events(EVENT_OPEN)) == 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        eventually(lambda: len(coordinator.events(EVENT_CLOSE)) == 20)
        assert coordinator.ended() is None, "it was not the input's end"


def test_sigterm_with_nobody_there(site: Site) -> None:
    """Neither before it is registered nor when the coordinator is gone does it hang."""
    process = site.shard()
    with Coordinator(site.bus, "first") as coordinator:
        started(coordinator)
        lane = site.lane()
        send(lane, [message(0, 0, b"text")])
        eventually(lambda: coordinator.events(EVENT_OPEN))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    alone = site.shard()
    eventually(lambda: os.path.exists(f"/proc/{alone.pid}/fd") and listens(alone.pid), START_S)
    alone.send_signal(signal.SIGTERM)
    assert alone.wait(PATIENCE_S) == 0


def listens(pid: int) -> bool:
    """Whether the process has its handler of SIGTERM (proc(5), SigCgt)."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def test_a_refused_shard_says_why(site: Site) -> None:
    with Coordinator(site.bus, "first", refuses="bad_value"):
        process = site.shard()
        assert process.wait(START_S) == 2
        assert "there is no number left" in site.log


def test_a_shard_waits_for_a_number_that_is_taken(site: Site) -> None:
    """Its predecessor was killed a moment ago, and the coordinator does not know yet."""
    with Coordinator(site.bus, "first", refuses="taken") as coordinator:
        site.shard()
        eventually(lambda: coordinator.count("register") > 3, START_S)
        assert site.log.count("there is no number left; waiting until one is free") == 1
        coordinator.refuses = ""
        started(coordinator)
        lane = site.lane()
        send(lane, [message(0, 0, b"text")])
        say(lane, "end")
        assert eventually(coordinator.ended).stats["packets"] == 1


def test_a_shard_that_waits_for_a_number_can_be_stopped(site: Site) -> None:
    with Coordinator(site.bus, "first", refuses="taken") as coordinator:
        process = site.shard()
        eventually(lambda: coordinator.count("register") > 1, START_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_heartbeats_go_on_after_the_end(site: Site) -> None:
    """Else nobody could tell that the content is gone."""
    with Coordinator(site.bus, "first") as coordinator:
        site.shard()
        started(coordinator)
        say(site.lane(), "end")
        eventually(coordinator.ended)
        before = coordinator.count("heartbeat")
        eventually(lambda: coordinator.count("heartbeat") > before + 1)


def test_what_is_no_batch_is_left_out(site: Site) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        site.shard()
        started(coordinator)
        stranger = open_socket(site.context, zmq.PUSH, 10)
        stranger.connect(site.bus.packets(0))
        stranger.send(b"hello")
        stranger.send_multipart([b"\x80", b"?", b"?"])
        eventually(lambda: site.log.count("packets of shard 0") == 2)
        stranger.close(linger=0)
        lane = site.lane()
        send(lane, [message(0, 0, b"text")])
        say(lane, "end")
        assert eventually(coordinator.ended).stats["packets"] == 1


def test_a_shard_that_was_killed_is_replaced(site: Site) -> None:
    """What it held is lost; the lane goes on with the next one."""
    with Coordinator(site.bus, "first") as coordinator:
        process = site.shard()
        started(coordinator)
        lane = site.lane(depth=2)
        send(lane, [message(0, 0, b"text")])
        eventually(lambda: coordinator.events(EVENT_OPEN))
        process.kill()
        process.wait()
        before = coordinator.count("register")
        site.shard()
        eventually(lambda: coordinator.count("register") > before, START_S)
        for number in range(10):
            send(lane, [message(0, number, b"text")])
        say(lane, "end")
        assert eventually(coordinator.ended).stats["packets"] >= 9


def test_the_slots_of_a_shard_that_was_killed_come_back(site: Site) -> None:
    """Batches were on their way to it: the lane must not wait for their credits for ever."""
    with Coordinator(site.bus, "first") as coordinator:
        process = site.shard()
        started(coordinator)
        lane = site.lane(depth=2)
        send(lane, [message(0, 0, b"text")])
        eventually(lambda: coordinator.events(EVENT_OPEN))
        process.send_signal(signal.SIGSTOP)
        for number in (1, 2):
            send(lane, [message(0, number, b"lost")])
        time.sleep(0.2)  # for ZeroMQ to hand them to the process that will not read them: else
        # the next one gets them, and the test passes as well
        process.kill()
        process.wait()
        before = coordinator.count("register")
        site.shard()
        eventually(lambda: coordinator.count("register") > before, START_S)
        for number in range(10):
            send(lane, [message(1, number, b"text")])
        say(lane, "end")
        assert eventually(lambda: lane.settled(100))
        ended = eventually(coordinator.ended)
        assert ended.stats["packets"] == 10
        assert ended.stats["packets_lost"] == 3  # this coordinator says that nothing was told


def test_an_end_that_was_lost_with_a_shard_is_said_again(site: Site) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        process = site.shard()
        started(coordinator)
        lane = site.lane()
        send(lane, [message(0, 0, b"text")])
        eventually(lambda: coordinator.events(EVENT_OPEN))
        process.send_signal(signal.SIGSTOP)
        say(lane, "end")
        time.sleep(0.2)
        process.kill()
        process.wait()
        site.shard()
        assert eventually(lambda: lane.settled(100), START_S)
        assert eventually(coordinator.ended)


def test_patterns_of_the_coordinator_and_searches(site: Site) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        site.shard()
        started(coordinator)
        lane = site.lane()
        send(lane, [message(1, 0, b"a needle.")])
        opened = eventually(lambda: coordinator.events(EVENT_OPEN))[0]
        needle = Pattern(id=9, name="", kind="regex", value="ne+dle")
        coordinator.patterns = 1, [needle]
        eventually(lambda: (9, 1) in [one for told in coordinator.told for one in told.pairs])
        send(lane, [message(1, 1, b"a neeedle")])
        say(lane, "end", 10)
        eventually(coordinator.ended)
        told = [one for told in coordinator.told for one in told.matches]
        assert told == [(9, 2, b"needle"), (9, 11, b"neeedle")]
        assert [one for told in coordinator.told for one in told.pairs][-1] == (9, 2)
        ref = {"stream_id": int(opened["stream_id"]), "row": int(opened["row"])}
        reply, _ = site.ask("matches", **ref)
        assert reply.result["total"] == 2
        reply, _ = site.ask("content", **ref, direction=0)
        assert reply.result["highlights"] == [[9, 2, 8, 0], [9, 11, 18, 0]]
        site.ask("search_start", search="s", kind="substring", value="a ne")
        reply = eventually(
            lambda: (found := site.ask("search_poll", search="s")[0]).result["done"] and found
        )
        assert [hit["start"] for hit in reply.result["hits"]] == [0, 9]
        reports = eventually(
            lambda: [args["patterns"] for _, args in coordinator.asked if args.get("patterns")]
        )
        assert PatternReport.model_validate(reports[-1][0]).id == 9
        coordinator.patterns = 2, []
        eventually(lambda: (9, 0) in [one for told in coordinator.told for one in told.pairs])


def test_what_was_put_off_is_looked_through_or_given_up_before_the_end_is_said(site: Site) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        evil = Pattern(id=9, name="evil", kind="regex", value="(?:a|a)+$|b(?R)?c")
        coordinator.patterns = 1, [evil]
        site.shard()
        started(coordinator)
        lane = site.lane()
        eventually(
            lambda: [args["patterns"] for _, args in coordinator.asked if args.get("patterns")]
        )
        send(lane, [message(1, 0, b"a" * 1200 + b"!"), message(2, 0, b"a bc.")])
        say(lane, "end", 10)
        eventually(coordinator.ended)
        told = [one for told in coordinator.told for one in told.matches]
        assert told == [(9, 2, b"bc")]
        assert "'evil' takes too long: it was not looked for in all of 1 streams" in site.log


def test_favorites_of_the_coordinator_outlive_the_others(site: Site) -> None:
    with Coordinator(site.bus, "first") as coordinator:
        site.shard(max_stream_content_bytes=1 << 16)
        started(coordinator)
        lane = site.lane()
        send(lane, [message(1, 0, b"a" * 500), message(2, 0, b"b" * 500)])
        eventually(lambda: len(coordinator.events(EVENT_OPEN)) == 2)
        first, second = coordinator.events(EVENT_OPEN)
        coordinator.favorites = 7, [(int(first["row"]), int(first["stream_id"]))]
        eventually(lambda: coordinator.count("select_rows"))
        beats = coordinator.count("heartbeat")
        eventually(lambda: coordinator.count("heartbeat") > beats + 2)
        assert coordinator.count("select_rows") == 1
        for i in range(400):
            send(lane, [message(3 + i, 0, b"c" * 500)])
        say(lane, "end", 10)
        eventually(coordinator.ended)
        assert site.content(first, 0) == b"a" * 500
        assert site.content(second, 0) == b""
        coordinator.favorites = 8, []
        eventually(lambda: coordinator.count("select_rows") == 2)
