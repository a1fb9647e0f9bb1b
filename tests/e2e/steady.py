"""Known traffic, evenly over many TCP streams, and what becomes of it when services are killed."""

import os
import re
import signal

from tests import builders as b
from tests.e2e.run import Row, Served, pid_of, total
from tests.e2e.traffic import START_NS, STEP_NS

STREAMS, PER_STREAM = 300, 40
PACKETS = STREAMS * PER_STREAM
SMALL = {"FLOWMATE_BATCH_SIZE": "64", "FLOWMATE_WORKER_QUEUE_DEPTH": "128"}  # to be held up soon
SINGLY = {"FLOWMATE_BATCH_SIZE": "1", "FLOWMATE_WORKER_QUEUE_DEPTH": "2"}  # so all takes seconds
ON_THE_WAY = int(SMALL["FLOWMATE_WORKER_QUEUE_DEPTH"])  # packets that fit before a shard then


def frames(streams: int = STREAMS, per_stream: int = PER_STREAM, port: int = 80) -> list[bytes]:
    """TCP data in order, all connections in turn."""
    return [
        b.tcp4(
            f"10.0.{stream >> 8}.{stream & 255}", 1024 + stream, "10.9.9.9", port,
            b"%04d %04d" % (stream, number), seq=1 + 9 * number,
        )
        for number in range(per_stream)
        for stream in range(streams)
    ]  # fmt: skip


def timed(packets: list[bytes]) -> list[tuple[int, bytes]]:
    """Each with its time, in nanoseconds: one every STEP_NS."""
    return [(START_NS + i * STEP_NS, packet) for i, packet in enumerate(packets)]


def capture(packets: list[bytes]) -> bytes:
    return b.pcap_bytes(timed(packets))


def accounted(health: Row) -> int:
    """Packets that were analysed or counted as lost, each once."""
    lost = total(health, "packets_lost") - total(health, "packets_repeated")
    return total(health, "packets") + lost


def life_of(health: Row, service: str) -> Row:
    return next((each for each in health["services"] if each["service"] == service), {})


def met(run: Served) -> None:
    """Until the first capture has a lane to every shard, and reads."""
    room = re.compile(r"^flowmate_capture_queue_rows_max [1-9]", re.MULTILINE)
    run.wait_for(lambda _: room.search(run.client.get("/metrics").text))


def held(run: Served) -> int:
    """Stop the shard, so that capture waits for it in the middle of its input; its pid. Capture has
    to have met it: it would wait for ever for a lane to one that is stopped."""
    met(run)
    shard = pid_of(run, "shard")
    os.kill(shard, signal.SIGSTOP)
    return shard
