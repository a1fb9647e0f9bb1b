"""Addresses over TCP, who may connect to them, and what settings are refused."""

import logging
import socket as sockets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from shared import curve
from shared.errors import UserError
from shared.lanes import LaneReceiver, LaneSender
from shared.settings import Service, Settings
from shared.tcp_bus import TcpBus, bus_of
from shared.wire import Bus, open_socket
from tests.conftest import Flowmate
from tests.ports import free_ports
from tests.waiting import eventually

SILENCE_MS = 500
Context = zmq.Context[zmq.Socket[bytes]]


class Site:
    """Keys, and buses of services in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(4)
        self.contexts: list[Context] = []
        self.sockets: list[zmq.Socket[bytes]] = []
        curve.make(folder / "keys")

    def bus(self, service: Service, **settings: Any) -> TcpBus:
        own = {"coordinator": f"127.0.0.1:{self.port}", "curve_keys": str(self.folder / "keys")}
        return TcpBus(Settings.model_validate(own | settings), service)

    def context(self) -> Context:
        self.contexts.append(zmq.Context())
        return self.contexts[-1]

    def open(self, kind: int) -> "zmq.Socket[bytes]":
        self.sockets.append(open_socket(self.context(), kind, 4))
        return self.sockets[-1]

    def close(self) -> None:
        for socket in self.sockets:
            socket.close(linger=0)
        for context in self.contexts:
            context.destroy(linger=0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(tmp_path)
    yield one
    one.close()


def lane(site: Site, bus: TcpBus) -> LaneSender:
    made = LaneSender(site.context(), bus, 0, rows=8, payload=64, depth=2, inline=bus.inline)
    site.sockets += [made.socket, made.credits]
    return made


class Shard:
    """The sockets of one."""

    def __init__(self, site: Site, bus: TcpBus) -> None:
        self.site, self.bus = site, bus
        self.context = site.context()
        self.lanes = LaneReceiver(self.context, bus, 0, 4)
        site.sockets += [self.lanes.socket, self.lanes.credits]

    def open(self) -> "Shard":
        """The last of them."""
        self.asked = open_socket(self.context, zmq.ROUTER, 4)
        self.site.sockets.append(self.asked)
        self.bus.bind(self.asked, self.bus.shard_requests(0))
        return self

    def take(self) -> tuple[int, bytes, int]:
        """The next batch, given back: its number, its payload, and packets sent before it."""
        assert self.lanes.socket.poll(5000)
        batch = self.lanes.receive()
        assert batch is not None
        self.lanes.done(batch)
        header = batch.header
        return header.seq, batch.payload.tobytes(), header.rows_before

    def has_paid(self, sender: LaneSender, left: int = 0) -> bool:
        """Whether all that it took is credited, so that so many packets are left under way; what
        found no peer yet is offered again."""
        self.lanes.pay()
        return sender.queue_rows == left

    def close(self) -> None:
        for socket in (self.asked, self.lanes.socket, self.lanes.credits):
            socket.close(linger=0)
        self.context.term()


def told(bus: TcpBus, shard: int = 0) -> list[dict[str, Any]]:
    """As the coordinator tells of a shard."""
    assert bus.reach is not None
    return [{"index": shard, "reach": bus.reach.model_dump()}]


# ------------------------------------------------------------------------------- settings
def test_services_of_one_machine_meet_in_a_folder(tmp_path: Path) -> None:
    bus = bus_of(Settings(run_dir=str(tmp_path)), "api")
    assert type(bus) is Bus
    assert (bus.inline, bus.reach, bus.refused) == (False, None, 0)
    assert bus.shard_requests(3) == f"ipc://{tmp_path}/shard-3.requests"
    assert bus.learn([{"index": 0, "reach": None}]) == {0}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"curve_keys": ""}, "nothing goes over TCP without keys; make some"),
        ({"curve_keys": "/none"}, "no such file or directory; flowmate keys DIR makes them"),
        ({"coordinator": "there"}, "give HOST:PORT"),
        ({"coordinator": "there:65533"}, "there are no four ports from it"),
        ({"transport": "slots"}, "machines share no memory; leave it out"),
        ({"run_dir": "/dev/null/x"}, "--run-dir /dev/null/x: not a directory"),
    ],
)
def test_what_cannot_be_is_refused(site: Site, settings: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        site.bus("capture", **settings)


@pytest.mark.parametrize("service", ["capture", "shard", "coordinator", "api"])
def test_a_service_says_so_in_one_line(flowmate: Flowmate, service: str) -> None:
    given = ["--coordinator", "127.0.0.1:9999", "--run-dir", "x"]
    given += {"capture": ["--pcap", "-"], "api": ["--api-listen", "127.0.0.1:1"]}.get(service, [])
    done = flowmate(service, *given)
    assert done.returncode == 2
    assert "nothing goes over TCP without keys" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_local_run_has_no_coordinator_elsewhere(flowmate: Flowmate) -> None:
    done = flowmate("--pcap", "-", "--coordinator", "127.0.0.1:9999")
    assert done.returncode == 2
    assert "--coordinator is for services on several machines" in done.stderr


# ------------------------------------------------------------------------------ addresses
def test_a_shard_has_ports_of_its_own_and_tells_them(site: Site) -> None:
    capture, one = site.bus("capture"), Shard(site, site.bus("shard"))
    assert one.bus.reach is None, "it has not bound all its sockets"
    shard = one.open().bus
    reach = shard.reach
    assert reach is not None
    assert reach.host == "127.0.0.1"
    assert len({reach.packets, reach.credits, reach.content}) == 3
    assert capture.where(0) is None
    assert capture.learn([*told(shard), {"index": 1, "reach": None}]) == {0}
    assert capture.where(0) == reach
    assert capture.packets(0) == f"tcp://127.0.0.1:{reach.packets}"


def test_ports_that_were_chosen_are_had_or_it_says_why(site: Site) -> None:
    first = free_ports(3)
    one = Shard(site, site.bus("shard", bus_port=first)).open()
    reach = one.bus.reach
    assert reach is not None
    assert [reach.packets, reach.credits, reach.content] == [first, first + 1, first + 2]
    with pytest.raises(UserError, match=f"{first} for packets: address already in use"):
        serve(site, bus_port=first)
    with pytest.raises(UserError, match=r"--bus-listen none\.invalid: "):
        serve(site, bus_listen="none.invalid")


def serve(site: Site, **settings: Any) -> None:
    """One socket of a shard."""
    bus = site.bus("shard", **settings)
    bus.bind(site.open(zmq.PULL), bus.packets(0))


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({}, "127.0.0.1"),
        ({"bus_listen": "0.0.0.0"}, "127.0.0.1"),  # which is on the way to the coordinator
        ({"bus_listen": "0.0.0.0", "advertise": "tap.example"}, "tap.example"),
    ],
)
def test_what_a_shard_advertises(site: Site, settings: dict[str, str], host: str) -> None:
    one = Shard(site, site.bus("shard", **settings)).open()
    assert one.bus.reach is not None
    assert one.bus.reach.host == host


# ---------------------------------------------------------------------------- who may come
@pytest.fixture
def reports(site: Site) -> tuple[TcpBus, "zmq.Socket[bytes]"]:
    """The coordinator's socket for reports."""
    bus = site.bus("coordinator")
    socket = site.open(zmq.PULL)
    bus.bind(socket, bus.reports)
    return bus, socket


def say(site: Site, bus: TcpBus, word: bytes) -> None:
    socket = site.open(zmq.PUSH)
    bus.connect(socket, bus.reports)
    socket.send(word)


def test_capture_reports_and_others_do_not(
    site: Site, reports: tuple[TcpBus, "zmq.Socket[bytes]"], caplog: pytest.LogCaptureFixture
) -> None:
    bus, socket = reports
    with caplog.at_level(logging.WARNING):
        say(site, site.bus("capture"), b"report")
        assert socket.poll(5000)
        assert socket.recv() == b"report"
        assert bus.refused == 0
        say(site, site.bus("shard"), b"no report")
        eventually(lambda: bus.refused == 1)
        assert not socket.poll(SILENCE_MS)
    assert "refused a peer at 127.0.0.1: shard has nothing to do with reports" in caplog.text


def test_strangers_are_refused_counted_and_told_once(
    tmp_path: Path,
    site: Site,
    reports: tuple[TcpBus, "zmq.Socket[bytes]"],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus, socket = reports
    stranger = Site(tmp_path / "other")
    stranger.port = site.port
    try:
        with caplog.at_level(logging.WARNING):
            say(stranger, stranger.bus("capture"), b"from another cluster")
            eventually(lambda: bus.refused >= 3)  # it tries again and again
            plain = stranger.open(zmq.PUSH)
            plain.connect(bus.reports)
            plain.send(b"without keys")
            assert not socket.poll(SILENCE_MS)
    finally:
        stranger.close()
    words = "refused a peer of reports: it has no keys, or those of another cluster"
    assert caplog.text.count(words) == 1


def test_octets_that_are_no_handshake_do_no_harm(
    site: Site, reports: tuple[TcpBus, "zmq.Socket[bytes]"]
) -> None:
    _, socket = reports
    for octets in (b"", b"GET / HTTP/1.1\r\n\r\n" * 100, b"\xff" + b"\0" * 8 + b"\x7f" * 1000):
        with sockets.create_connection(("127.0.0.1", site.port + 2)) as there:
            there.sendall(octets)
    say(site, site.bus("capture"), b"report")
    assert socket.poll(5000)
    assert socket.recv() == b"report"


def test_capture_takes_nobody_for_a_shard_who_has_not_its_key(site: Site) -> None:
    """The secret of an API does not make a shard."""
    impostor = site.bus("shard")
    api = curve.load(str(site.folder / "keys"), "api")
    impostor.keys = impostor.keys._replace(
        secret=api.secret, public=dict(impostor.keys.public) | {"shard": api.public["api"]}
    )
    shard = Shard(site, impostor).open()
    capture = site.bus("capture")
    capture.learn(told(impostor))
    sender = lane(site, capture)
    assert sender.acquire(0) is not None
    assert sender.send(0, 0, 0, 0, 1000)
    assert not shard.lanes.socket.poll(SILENCE_MS)


# ---------------------------------------------------------------------------------- lanes
def give(sender: LaneSender, octets: bytes) -> bool:
    """One batch of one packet; False when no slot is free."""
    index = sender.acquire(200)
    if index is None:
        return False
    slot = sender.slots[index]
    slot.rows[:1] = 0
    slot.payload[: len(octets)] = list(octets)
    assert sender.send(index, 1, len(octets), 0, 1000)
    return True


def test_no_more_than_the_lane_has_slots_is_ever_under_way(site: Site) -> None:
    shard, capture = Shard(site, site.bus("shard")).open(), site.bus("capture")
    capture.learn(told(shard.bus))
    sender = lane(site, capture)
    assert [give(sender, b"%d" % number) for number in range(4)] == [True, True, False, False]
    assert (sender.queue_rows, sender.peak_rows, sender.max_rows) == (2, 2, 16)
    assert shard.take()[1] == b"0"
    eventually(lambda: shard.has_paid(sender, left=1))
    assert give(sender, b"4")
    assert [shard.take()[1] for _ in range(2)] == [b"1", b"4"]
    eventually(lambda: shard.has_paid(sender))
    sender.close()


def test_a_lane_moves_with_its_shard(site: Site) -> None:
    first, capture = Shard(site, site.bus("shard")).open(), site.bus("capture")
    capture.learn(told(first.bus))
    sender = lane(site, capture)
    assert give(sender, b"a")
    assert first.take() == (0, b"a", 0)
    eventually(lambda: first.has_paid(sender))
    assert give(sender, b"lost")  # is never taken
    first.close()
    open_index = sender.acquire(200)
    assert open_index is not None
    sender.slots[open_index].payload[:4] = list(b"open")

    second = Shard(site, site.bus("shard")).open()
    capture.learn(told(second.bus))
    sender.move()
    site.sockets += [sender.socket, sender.credits]
    assert sender.queue_rows == 0
    assert sender.slots[open_index].payload[:4].tobytes() == b"open"
    assert sender.send(open_index, 1, 4, 0, 1000)
    assert second.take() == (2, b"open", 2)  # what is missing can be counted
    assert give(sender, b"b")
    assert second.take() == (3, b"b", 3)
    assert sender.say("end", 0, 1000)
    assert second.take()[0] == 4
    eventually(lambda: second.has_paid(sender) and sender.settled(50))
    sender.close()
