"""Analyzers: SSH, the example of the docs, and what the shard does with any of them."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from services.shard import analyze, parsers
from services.shard.parsers import Analyzer, Finding
from services.shard.parsers.ssh import BEFORE_MAX, LINE_MAX, Ssh
from tests.conftest import ROOT
from tests.messages import UDP, Said, conversation, cut, parsed, rows
from tests.shard_harness import ShardRun, small

PORT = 31337


@pytest.fixture
def registered() -> Iterator[Any]:
    """Register classes for one test."""
    names: list[str] = []

    def register(one: type[Analyzer]) -> None:
        parsers.register(one)
        names.append(one.name)

    yield register
    for name in names:
        parsers.unregister(name)


def fed(one: Analyzer, *said: tuple[bool, bytes], size: int = 1 << 20) -> list[Finding]:
    found: list[Finding] = []
    for from_client, octets in said:
        for at in range(0, len(octets), size):
            found += one.feed(octets[at : at + size], from_client)
    return found


# ------------------------------------------------------------------------------------------- SSH
CLIENT, SERVER = b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n", b"SSH-1.99-dropbear\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_both_banners(size: int) -> None:
    one = Ssh()
    assert fed(one, (False, b"welcome\r\n" + SERVER + b"\0\1"), (True, CLIENT), size=size) == [
        {"summary": "server dropbear", "side": "server", "protocol_version": "1.99",
         "software": "dropbear"},
        {"summary": "client OpenSSH_9.6p1", "side": "client", "protocol_version": "2.0",
         "software": "OpenSSH_9.6p1", "comments": "Ubuntu-3"},
    ]  # fmt: skip
    assert one.done


def test_the_longest_banner() -> None:
    longest = b"SSH-2.0-" + b"x" * (LINE_MAX - 9) + b"\n"
    assert len(longest) == LINE_MAX
    assert len(fed(Ssh(), (True, longest), size=1)) == 1
    assert fed(Ssh(), (True, b"SSH-2.0-" + b"x" * LINE_MAX + b"\n")) == []
    assert fed(Ssh(), (True, b"SSH-2.0-" + b"x" * LINE_MAX + b"\n" + CLIENT), size=1) == []


@pytest.mark.parametrize("octets", [b"SSH-\n", b"SSH-2.0\n", b"SSH--x\n", b"SSH-2 0-x\n"])
def test_what_is_no_banner(octets: bytes) -> None:
    assert fed(Ssh(), (True, octets)) == []


def test_a_side_that_never_ends_its_line_is_given_up() -> None:
    one = Ssh()
    for octets in (b"x" * 100, b"y\n"):
        for _ in range(BEFORE_MAX):
            assert fed(one, (False, octets), (True, octets)) == []
    assert one.done


def test_behind_a_gap_there_is_no_banner() -> None:
    one = Ssh()
    assert [*one.feed(b"SSH-2.0-Open", True), *one.gap(True, 3), *one.feed(b"_9\r\n", True)] == []
    assert not one.done


# ------------------------------------------------------------------------------- in the shard
def details(run: ShardRun) -> list[dict[str, Any]]:
    """The findings' JSON."""
    found = []
    for row in rows(run):
        assert (row.protocol, row.kind, row.status) == ("analyzer", "finding", "complete")
        told = json.loads(row.summary)
        assert told["summary"].encode() == row.name
        found.append(told)
    return found


@pytest.mark.parametrize("port", [22, 2222])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_ssh_in_the_shard(port: int, size: int) -> None:
    """On another port the service is known with the fourth byte: what came before is not lost."""
    said = cut([Said(1, SERVER + b"\0" * 40), Said(0, CLIENT)], size)
    run = ShardRun()
    parsed(conversation(said, port), range(len(said) + 2), run)
    assert details(run) == [
        {"protocol": "ssh", "summary": "server dropbear",
         "detail": {"side": "server", "protocol_version": "1.99", "software": "dropbear"}},
        {"protocol": "ssh", "summary": "client OpenSSH_9.6p1",
         "detail": {"side": "client", "protocol_version": "2.0", "software": "OpenSSH_9.6p1",
                    "comments": "Ubuntu-3"}},
    ]  # fmt: skip
    assert run.stats()["analyzers_live"] == 0
    assert [row.side for row in rows(run)] == [1, 0]


class Probe(Analyzer):
    """Writes down all that it is told."""

    name: ClassVar[str] = "probe"
    ports: ClassVar[frozenset[int]] = frozenset({PORT})
    told: ClassVar[list[tuple[Any, ...]]]

    def feed(self, chunk: bytes, from_client: bool) -> Iterator[Finding]:
        self.told.append((chunk, from_client))
        yield from ()

    def gap(self, from_client: bool, length: int) -> Iterator[Finding]:
        self.told.append((length, from_client))
        yield from ()

    def end(self) -> Iterator[Finding]:
        self.told.append(("end",))
        yield {"summary": "over"}


@pytest.fixture
def probe(registered: Any) -> type[Probe]:
    class Fresh(Probe):
        told: ClassVar[list[tuple[Any, ...]]] = []

    registered(Fresh)
    return Fresh


def test_what_an_analyzer_is_told(probe: type[Probe]) -> None:
    run = ShardRun()
    said = [Said(0, b"ask", lost=5), Said(1, b"tell"), Said(0, b"more")]
    parsed(conversation(said, PORT), range(9), run)
    assert probe.told == [(b"ask", True), (b"tell", False), (5, True), (b"more", True), ("end",)]
    assert details(run) == [{"protocol": "probe", "summary": "over", "detail": {}}]


def test_datagrams_one_by_one(probe: type[Probe]) -> None:
    parsed(conversation([Said(0, b"one"), Said(0, b"two")], PORT, UDP))
    assert probe.told == [(b"one", True), (b"two", True), ("end",)]


def test_long_groups_come_in_pieces(probe: type[Probe]) -> None:
    octets = bytes(range(256)) * 1000
    parsed(conversation([Said(0, octets)], PORT))
    assert b"".join(one[0] for one in probe.told[:-1]) == octets
    assert max(len(one[0]) for one in probe.told) == analyze.PIECE


def test_a_reused_pair_of_ports_is_another_stream(probe: type[Probe]) -> None:
    one = conversation([Said(0, b"one")], PORT)
    run = ShardRun()
    run.take(one)
    again = conversation([Said(0, b"two")], PORT)
    run.take(
        [packet.__class__(**(vars(packet) | {"seq": packet.seq + 7_000_000})) for packet in again]
    )
    run.finish()
    assert sorted(probe.told, key=str) == sorted(
        [(b"one", True), ("end",), (b"two", True), ("end",)], key=str
    )


def test_one_that_is_done_is_not_asked_again(registered: Any) -> None:
    class Once(Probe):
        name: ClassVar[str] = "once"
        told: ClassVar[list[tuple[Any, ...]]] = []

        def feed(self, chunk: bytes, from_client: bool) -> Iterator[Finding]:
            yield from super().feed(chunk, from_client)
            self.done = True

    registered(Once)
    run = ShardRun()
    run.take(conversation([Said(0, b"one")], PORT))
    assert run.stats()["analyzers_live"] == 0
    run.take(conversation([Said(0, b"one"), Said(0, b"two")], PORT)[-1:])
    run.finish()
    assert Once.told == [(b"one", True)]


def test_one_that_raises_is_ended_and_told_of_once(
    registered: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Probe):
        name: ClassVar[str] = "broken"
        told: ClassVar[list[tuple[Any, ...]]] = []

        def feed(self, chunk: bytes, from_client: bool) -> Iterator[Finding]:
            self.told.append((chunk,))
            yield {"summary": "before"}
            raise ZeroDivisionError("its own fault")

    registered(Broken)
    run = ShardRun()
    with caplog.at_level(logging.WARNING):
        for port in (PORT, 40001):  # a second stream: the other side has the analyzer's port
            said = [Said(0, b"one"), Said(1, b"two")]
            packets = conversation(said, PORT)
            if port != PORT:
                packets = [
                    p.__class__(**(vars(p) | {"proto": UDP, "flags": 0})) for p in packets[2:]
                ]
            run.take(packets)
    run.finish()
    assert len(Broken.told) == 2
    assert run.stats()["analyzer_errors"] == 2
    assert sum("broken" in record.message for record in caplog.records) == 1
    assert [one["summary"] for one in details_of_all(run)] == ["before", "before"]


def details_of_all(run: ShardRun) -> list[dict[str, Any]]:
    return [json.loads(row.summary) for row in rows(run)]


@pytest.mark.parametrize(
    "value", [float("nan"), object(), b"bytes", {1, 2}], ids=["nan", "object", "bytes", "set"]
)
def test_a_finding_that_is_no_json_is_its_analyzers_fault(registered: Any, value: object) -> None:
    class Odd(Probe):
        name: ClassVar[str] = "odd"

        def feed(self, chunk: bytes, from_client: bool) -> Iterator[Finding]:
            yield {"summary": "odd", "value": value}

    registered(Odd)
    run = ShardRun()
    assert parsed(conversation([Said(0, b"one")], PORT), (), run) == []
    assert run.stats()["analyzer_errors"] == 1


def test_no_more_live_than_there_may_be(
    probe: type[Probe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyze, "LIVE_MAX", 0)
    run = ShardRun()
    parsed(conversation([Said(0, b"one"), Said(0, b"two")], PORT), range(9), run)
    assert probe.told == []
    assert run.stats()["analyzers_refused"] == 1


def test_no_more_bytes_than_there_may_be(
    probe: type[Probe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyze, "FED_MAX", 4)
    parsed(conversation([Said(0, b"one"), Said(0, b"two"), Said(0, b"three")], PORT), range(9))
    assert [one[0] for one in probe.told] == [b"one", b"two"]


def test_no_more_findings_than_there_may_be(registered: Any) -> None:
    class Talkative(Probe):
        name: ClassVar[str] = "talkative"

        def feed(self, chunk: bytes, from_client: bool) -> Iterator[Finding]:
            while True:
                yield {"summary": "and"}

    registered(Talkative)
    run = ShardRun()
    parsed(conversation([Said(0, b"x")] * 20, PORT), range(30), run)
    assert len(run.found) == analyze.FOUND_MAX


@pytest.mark.parametrize("many", [1, 20, 200])
def test_keys_that_do_not_fit_are_left_out(many: int) -> None:
    finding = {"summary": "s", **{f"key{i}": i for i in range(many)}}
    octets, name = analyze.as_text("probe", finding)
    text = octets.tobytes()
    assert len(text) <= 512
    told = json.loads(text[: len(text) - name])
    assert list(told["detail"]) == [f"key{i}" for i in range(min(many, len(told["detail"])))]
    assert len(told["detail"]) > 0


@pytest.mark.parametrize(
    "summary", ["ü" * 500, '"' * 500, "\\" * 500, "\0" * 500, "\udc80" * 500, ""]
)
def test_any_summary_fits(summary: str) -> None:
    octets, name = analyze.as_text("p" * 30, {"summary": summary})
    text = octets.tobytes()
    assert len(text) <= 512
    assert json.loads(text[: len(text) - name])["summary"].encode() == text[len(text) - name :]


# -------------------------------------------------------------------------------------- the docs
def test_the_example_of_the_docs() -> None:
    written = (ROOT / "docs" / "adding-a-parser.md").read_text()
    match = re.search(r"```python\n(.*?)```", written, re.DOTALL)
    assert match is not None
    assert len(match[1].splitlines()) < 40
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(match[1], "adding-a-parser.md", "exec"), names)
    try:
        expected = [{"summary": "login of eve", "ok": False}]
        for size in (1, 5, 100):
            said = (True, b"HELLO\nLOGIN eve\n"), (False, b"NO such name\n"), (True, b"LOGIN bob\n")
            assert fed(names["Vault"](), *said, size=size) == expected
        run = ShardRun(small())
        parsed(conversation([Said(0, b"LOGIN eve\n"), Said(1, b"OK\n")], PORT), range(9), run)
        assert details(run) == [
            {"protocol": "vault", "summary": "login of eve", "detail": {"ok": True}}
        ]
    finally:
        parsers.unregister("vault")


def test_a_class_without_a_name_or_of_an_unknown_service_is_refused() -> None:
    class Unknown(Probe):
        services: ClassVar[frozenset[str]] = frozenset({"nonsense"})

    class Nameless(Probe):
        name: ClassVar[str] = ""

    for one in (Unknown, Nameless):
        with pytest.raises(AssertionError):
            parsers.register(one)
