"""How long somebody waits who searches while a capture is read: `python -m bench.latency search`.

From the request that begins a search until the first hit is seen by asking for hits, and until a
search without any is done. What is looked for is a word that most streams have, some bytes of a
stream anywhere in the inventory, which are the only ones mostly, and a word that is not there.
"""

import argparse
import json
import random
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.asking import Run, Waits
from bench.probe import warm
from shared.flow_key import hex_id

POLL_S = 0.005
PAUSE_S = 0.02  # between searches
GIVE_UP_S = 20.0
BYTES = 16  # that are looked for of one stream
NOWHERE = "no such word {:016x}"
Choose = Callable[[Run, random.Random], dict[str, str] | None]


def searches(given: argparse.Namespace) -> list[Waits]:
    """As many whole runs as it takes for `given.times` searches of each kind."""
    warm(given.capture)
    kinds: dict[str, Choose] = {
        f"search, {given.word!r}, first hit": lambda *_: substring(given.word),
        "search, some stream's bytes, first hit": bytes_of_a_stream,
        "search, nowhere, done": nowhere,
    }
    busy = {name: Waits(f"{name}, during ingest") for name in kinds}
    idle = {name: Waits(f"{name}, when done") for name in kinds}
    chance = random.Random(1)
    while min(len(waits.ms) for waits in busy.values()) < given.times:
        with (
            tempfile.TemporaryDirectory(prefix="fm-bench-") as name,
            Run(given.capture, Path(name), given.shards) as run,
        ):
            run.wait_for_api()
            run.wait_for_packets()
            while not run.ended:
                for kind, choose in kinds.items():
                    one_search(run, busy[kind], choose, chance, lambda: not run.ended)
            for kind, choose in kinds.items():
                if len(idle[kind].ms) < given.times:
                    one_search(run, idle[kind], choose, chance, lambda: True)
    return [*busy.values(), *idle.values()]


def substring(word: str) -> dict[str, str]:
    return {"kind": "substring", "value": word}


def nowhere(_: Run, chance: random.Random) -> dict[str, str]:
    return substring(NOWHERE.format(chance.getrandbits(64)))


def bytes_of_a_stream(run: Run, chance: random.Random) -> dict[str, str] | None:
    """Of any stream that is in the inventory; None where it has too few."""
    rows = run.page(cursor=chance.randrange(1, 2 + run.health()["totals"]["streams"]), limit=1)
    if not rows.size:
        return None
    name = hex_id(int(rows[0]["stream_id"]))
    direction = chance.choice(("a_to_b", "b_to_a"))
    path = f"/api/streams/{name}/content"
    _, body = run.api.get(path, direction=direction, mode="raw", start=0, len=4096)
    segments = json.loads(body).get("segments") or [{"base64": ""}]
    octets = b64decode(segments[0]["base64"])
    if len(octets) < BYTES:
        return None
    begin = chance.randrange(len(octets) - BYTES + 1)
    return {"kind": "binary", "value": octets[begin : begin + BYTES].hex()}


def one_search(
    run: Run, waits: Waits, choose: Choose, chance: random.Random, counts: Callable[[], bool]
) -> None:
    """Until its first hit, or its end. counts: whether it still was what is measured."""
    wanted = choose(run, chance)
    if wanted is None:
        return
    began = time.perf_counter()
    status, begun = run.api.post("/api/search", wanted)
    waits.refused += status != 201
    if status != 201:
        return
    path = f"/api/search/{begun['search_id']}"
    answer: dict[str, Any] = {"hits": [], "done": False}
    while not answer["hits"] and not answer["done"]:
        time.sleep(POLL_S)
        _, body = run.api.get(path)
        answer = json.loads(body)
        if time.perf_counter() - began > GIVE_UP_S:
            raise TimeoutError(f"{wanted}: neither a hit nor an end in {GIVE_UP_S:.0f} s")
    seconds = time.perf_counter() - began
    if counts():
        waits.ms.append(seconds * 1e3)
        waits.bytes += answer["progress"]["scanned_bytes"]
    run.api.delete(path)
    time.sleep(PAUSE_S)
