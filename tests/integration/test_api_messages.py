"""Messages, bodies, conversation and export: a real API in front of real shards."""

import base64
import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from typing import Any

import dpkt
import pytest

from services.api import conversation, messages
from services.api.content import TransformedContent
from shared.columns import (
    ANALYZER,
    DNS_MESSAGES,
    FINDING,
    FRAME,
    MESSAGE_OPEN,
    MESSAGE_PARTIAL,
    NOTE_GAP,
    RESPONSE,
    WEBSOCKET,
)
from shared.schema import Reply
from shared.wire import refusal
from tests.api_server import Api, serving
from tests.api_site import Site, Streamed, site

pytestmark = pytest.mark.integration

REQUEST = b"GET /flag HTTP/1.1\r\nHost: Team.lan\r\n\r\n"
BODY = b"the flag is " + b"FLAG{0}" * 40
CHUNKS = (
    b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [gzip.compress(BODY)]) + b"0\r\n\r\n"
)
HEAD = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n"
    b"Content-Type: text/plain\r\n\r\n"
)
ANSWER = HEAD + CHUNKS
BEACON = b'{"protocol":"beacon","summary":"seen","detail":{}}'
CHUNKED = 2  # framing of http1


@pytest.fixture(scope="module")
def run_dir() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        yield folder


@pytest.fixture(scope="module")
def api(run_dir: str) -> Iterator[Api]:
    """One server; each test brings services of its own."""
    with serving(run_dir, MAX_STREAM_SLICE_BYTES="64") as one:
        yield one


def exchange(one: Site, **where: int) -> Streamed:
    """A request and its answer, with their messages."""
    stream = one.stream((0, REQUEST), (1, ANSWER), **where)
    request = len(REQUEST)
    stream.message(
        b"GET /flag", b"Team.lan", header_end=request, body_start=request, body_end=request,
        end=request, ts_ns=1_001_000, pair=2, value=2**64 - 1,
    )  # fmt: skip
    stream.message(
        b"200 OK", dir=1, kind=RESPONSE, code=200, header_end=len(HEAD), body_start=len(HEAD),
        body_end=len(ANSWER), end=len(ANSWER), ts_ns=1_002_000, pair=1, framing=CHUNKED,
        value=2**64 - 1,
    )  # fmt: skip
    return stream


# ------------------------------------------------------------------------------------ messages
def test_messages_of_a_stream(api: Api, run_dir: str) -> None:
    with site(run_dir) as one:
        stream = exchange(one)
        body = api.get(f"{stream.path}/messages")
    messages.StreamMessages.model_validate(body)
    request, answer = body["messages"]
    assert (body["next_cursor"], body["total"], body["first_ordinal"]) == (None, 2, 0)
    assert (request["message_id"], request["pair_id"]) == ("0", "1")
    assert (answer["message_id"], answer["pair_id"]) == ("1", "0")
    assert request["detail"]["method"] == "GET"
    assert request["detail"]["host"] == "Team.lan"
    assert (request["body_start"], request["body_end"]) == (None, None)
    assert answer["detail"]["status_code"] == 200
    assert ["Content-Encoding", "gzip"] in answer["detail"]["headers"]
    assert (answer["body_start"], answer["body_end"]) == (len(HEAD), len(ANSWER))
    assert (answer["direction"], answer["ts_us"]) == ("b_to_a", 1002)
    assert (answer["status"], answer["note"]) == ("complete", None)


def test_pages_of_a_stream(api: Api, run_dir: str) -> None:
    with site(run_dir) as one:
        stream = one.stream((0, b"x"))
        for _ in range(25):
            stream.message(b"m")
        ids: list[int] = []
        cursor: int | None = 0
        while cursor is not None:
            page = api.get(f"{stream.path}/messages", limit=10, cursor=cursor)
            ids += [int(message["message_id"]) for message in page["messages"]]
            cursor = page["next_cursor"]
    assert ids == list(range(25))


def test_a_message_that_is_open_and_one_that_is_not_whole(api: Api, run_dir: str) -> None:
    with site(run_dir) as one:
        stream = one.stream((0, REQUEST + b"more"))
        stream.message(status=MESSAGE_OPEN)
        stream.message(status=MESSAGE_OPEN, header_end=len(REQUEST), body_start=len(REQUEST))
        stream.message(status=MESSAGE_PARTIAL, note=NOTE_GAP)
        found = api.get(f"{stream.path}/messages")["messages"]
        sofar = api.client.get(f"{stream.path}/messages/1/body")
    assert [(m["status"], m["note"]) for m in found] == [
        ("partial", "open"), ("partial", "open"), ("partial", "gap"),
    ]  # fmt: skip
    assert [m["end"] for m in found] == [None, None, 0]
    assert (found[0]["header_end"], found[0]["body_start"]) == (None, None)
    assert (found[1]["body_start"], found[1]["body_end"]) == (len(REQUEST), None)
    assert sofar.content == b"more"


@pytest.mark.parametrize("limit", [1, 7, 512])
@pytest.mark.parametrize("shards", [1, 3])
def test_messages_across_shards(api: Api, run_dir: str, shards: int, limit: int) -> None:
    with site(run_dir, shards) as one:
        streams = [one.stream((0, b"x"), port=1000 + i, shard=i) for i in range(shards)]
        for i in range(40):
            streams[i * i % shards].message(b"m%d" % i, ts_ns=1000 * i)
        found: list[Any] = []
        cursor = None
        while True:
            query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            page = api.get("/api/messages", **query)
            messages.MessagePage.model_validate(page)
            found += page["messages"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert [message["ts_us"] for message in found] == list(range(39, -1, -1))
    assert [message["summary"] for message in found] == [f"m{i}" for i in range(39, -1, -1)]


def test_a_cursor_holds_while_messages_come_in(api: Api, run_dir: str) -> None:
    with site(run_dir, 2) as one:
        streams = [one.stream((0, b"x"), port=1000 + i, shard=i) for i in range(2)]
        for i in range(10):
            streams[i % 2].message(ts_ns=1000 * i)
        first = api.get("/api/messages", limit=5)
        for i in range(10, 20):
            streams[i % 2].message(ts_ns=1000 * i)
        second = api.get("/api/messages", limit=5, cursor=first["next_cursor"])
    assert [message["ts_us"] for message in first["messages"]] == [9, 8, 7, 6, 5]
    assert [message["ts_us"] for message in second["messages"]] == [4, 3, 2, 1, 0]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 4),
        ({"protocol": "http1"}, 2),
        ({"protocol": "dns"}, 1),
        ({"protocol": "beacon"}, 1),
        ({"protocol": "ssh"}, 0),
        ({"kind": "response"}, 1),
        ({"host": "team.lan"}, 1),
        ({"host": "lan"}, 2),
        ({"status": "200"}, 1),
        ({"text": "FLAG"}, 2),
        ({"text": "flag", "protocol": "dns"}, 1),
    ],
)
def test_filters(api: Api, run_dir: str, query: dict[str, str], count: int) -> None:
    with site(run_dir) as one:
        stream = exchange(one)
        stream.message(b"A ", b"flag.lan", protocol=DNS_MESSAGES)
        stream.message(BEACON, protocol=ANALYZER, kind=FINDING)
        names = {message["protocol"] for message in api.get("/api/messages")["messages"]}
        assert names == {"http1", "dns", "beacon"}
        assert len(api.get("/api/messages", **query)["messages"]) == count


@pytest.mark.parametrize(
    "query",
    [
        {"kind": "question"}, {"limit": 0}, {"limit": 513}, {"cursor": "x"}, {"cursor": "-1"},
        {"cursor": "1.2"}, {"cursor": "9" * 19}, {"status": "ok"}, {"text": "x" * 513},
    ],
)  # fmt: skip
def test_values_that_are_bad(api: Api, run_dir: str, query: dict[str, Any]) -> None:
    with site(run_dir):
        assert api.error("/api/messages", 400, **query)["code"] == "bad_value"


def test_a_shard_that_does_not_answer_is_named(api: Api, run_dir: str) -> None:
    with site(run_dir, 2) as one:
        exchange(one)
        one.shards[1].silent = True
        error = api.error("/api/messages", 503)
    assert (error["code"], "shard 1" in error["message"]) == ("shard_unavailable", True)


# -------------------------------------------------------------------------------------- bodies
def test_a_body_as_it_was_sent_and_without_its_codings(api: Api, run_dir: str) -> None:
    with site(run_dir) as one:
        path = f"{exchange(one).path}/messages"
        sent = api.client.get(f"{path}/1/body")
        plain = api.client.get(f"{path}/1/body", params={"decoded": "true"})
        none = api.client.get(f"{path}/0/body", params={"decoded": "true"})
    assert sent.content == CHUNKS
    assert plain.content == BODY
    assert plain.headers["x-flowmate-decode"] == "http_chunked=applied, gzip=applied"
    assert "x-flowmate-truncated" not in plain.headers
    for response in (sent, plain, none):
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-disposition"].startswith("attachment")
    assert none.content == b""


def test_a_body_that_is_longer_than_a_window(api: Api, run_dir: str) -> None:
    octets = bytes(range(256)) * 10_000
    pieces = [(1, octets[i : i + 60_000]) for i in range(0, len(octets), 60_000)]
    with site(run_dir) as one:
        stream = one.stream(*pieces)
        stream.message(dir=1, body_end=len(octets), end=len(octets))
        stream.message(dir=1, header_end=1, body_start=1, body_end=len(octets), end=len(octets))
        sent = api.client.get(f"{stream.path}/messages/0/body")
        assert sent.content == octets
        assert sent.headers["content-length"] == str(len(octets))
        raw = api.client.get(f"{stream.path}/export", params={"direction": "server"})
        assert raw.content == octets
        with serving(run_dir, MAX_HTTP1_BUFFER_BYTES="1000") as bounded:
            cut = bounded.client.get(f"{stream.path}/messages/1/body?decoded=true")
            assert cut.content == octets[1:1001]
            assert cut.headers["x-flowmate-truncated"] == "true"


def test_bodies_that_are_gone_and_messages_that_never_were(api: Api, run_dir: str) -> None:
    with site(run_dir, max_stream_content_bytes_per_stream=20, max_messages=64) as one:
        stream = exchange(one)
        path = f"{stream.path}/messages"
        for query in ("", "?decoded=true"):
            error = api.error(f"{path}/1/body{query}", 410)
            assert error["code"] == "evicted"
            assert f"{len(HEAD)}-" in error["message"]
        assert api.error(f"{path}/2/body", 404)["code"] == "not_found"
        assert api.error(f"{path}/x/body", 400)["code"] == "bad_value"
        for _ in range(70):
            stream.message()
        assert api.error(f"{path}/0/body", 410)["code"] == "evicted"
        assert api.error("/api/streams/00000000000000ff/messages/0/body", 404)


def frame(payload: bytes, opcode: int = 1, rsv1: bool = False, key: bytes = b"abcd") -> bytes:
    """A masked WebSocket frame (RFC 6455, 5.2)."""
    masked = bytes(octet ^ key[i % 4] for i, octet in enumerate(payload))
    return bytes([0x80 | rsv1 << 6 | opcode, 0x80 | len(payload)]) + key + masked


def test_the_body_of_a_websocket_frame_is_unmasked_and_inflated(api: Api, run_dir: str) -> None:
    squeeze = zlib.compressobj(wbits=-15)
    texts = [b"hello hello hello", b"hello hello again"]
    payloads = [squeeze.compress(t) + squeeze.flush(zlib.Z_SYNC_FLUSH) for t in texts]
    frames = [frame(payload[:-4], rsv1=True) for payload in payloads] + [frame(b"plain")]
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    with site(run_dir) as one:
        stream = one.stream((0, REQUEST), (1, answer), *((0, octets) for octets in frames))
        stream.message(b"101", dir=1, kind=RESPONSE, code=101, header_end=len(answer))
        at = len(REQUEST)
        for octets in frames:
            stream.message(
                protocol=WEBSOCKET, kind=FRAME, start=at, header_end=at + 6, body_start=at + 6,
                body_end=at + len(octets), end=at + len(octets), framing=1,
            )  # fmt: skip
            at += len(octets)
        bodies_ = [
            api.client.get(f"{stream.path}/messages/{i}/body?decoded=true").content
            for i in (1, 2, 3)
        ]
        masked = api.client.get(f"{stream.path}/messages/3/body").content
        view = api.get(f"{stream.path}/content", start=len(REQUEST), transform="websocket")
    assert bodies_ == [*texts, b"plain"]
    assert masked == frames[2][6:]
    assert view["transform"]["view"].encode() == b"".join([*texts, b"plain"])


# ------------------------------------------------------------------------------------- content
def test_a_transform_takes_whole_messages(api: Api, run_dir: str) -> None:
    with site(run_dir) as one:
        stream = exchange(one)
        whole = api.get(
            f"{stream.path}/content", direction="server", start=10, len=20, transform="http_body"
        )
        chain = api.get(f"{stream.path}/content", len=4, transform="url_decode,base64_decode")
        bad = api.error(f"{stream.path}/content", 400, transform="gzip,rot13")
        without = api.get(f"{stream.path}/content")
    TransformedContent.model_validate(whole)
    assert whole["transform"]["view"].encode() == BODY
    assert whole["returned_bytes"] == 20
    assert base64.b64decode(whole["transform"]["base64"]) == BODY
    assert [step["name"] for step in whole["transform"]["steps"]] == ["http_body"]
    assert chain["transform"]["chain"] == ["url_decode", "base64_decode"]
    assert bad["code"] == "bad_value"
    assert "transform" not in without


# -------------------------------------------------------------------------------- conversation
def test_a_conversation(api: Api, run_dir: str) -> None:
    with site(run_dir) as one:
        stream = exchange(one)
        body = api.get(f"{stream.path}/conversation")
        conversation.Conversation.model_validate(body)
        pages, cursor = [], None
        while True:
            query: dict[str, str] = {"cursor": cursor} if cursor else {}
            page = api.get(f"{stream.path}/conversation", limit=1, mode="raw", **query)
            pages += page["turns"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    first, *answer = body["turns"]
    assert (first["direction"], first["view"]) == ("a_to_b", REQUEST.decode())
    assert first["message"]["message_id"] == "0"
    assert (first["ts_us"], first["delta_us"]) == (1001, 0)
    assert answer[0]["message"]["summary"] == "200 OK"
    assert (answer[0]["delta_us"], answer[0]["end"]) == (1, 64)
    assert [turn["continues"] for turn in answer] == [True] * (len(answer) - 1) + [False]
    assert [turn["message_count"] for turn in answer] == [1] + [0] * (len(answer) - 1)
    assert b"".join(base64.b64decode(turn["view"]) for turn in pages) == REQUEST + ANSWER
    assert body["next_cursor"] is None
    assert body["end_cursor"] == f"{len(REQUEST)}-{len(ANSWER)}"


@pytest.mark.parametrize("cursor", ["1", "a-b", "1-2-3", "-1-2", "9999999999999999999-0"])
def test_cursors_that_are_none(api: Api, run_dir: str, cursor: str) -> None:
    with site(run_dir) as one:
        api.error(f"{exchange(one).path}/conversation", 400, cursor=cursor)


# -------------------------------------------------------------------------------------- export
def test_export_of_octets_and_of_json(api: Api, run_dir: str) -> None:
    with site(run_dir) as one:
        path = f"{exchange(one).path}/export"
        raw = api.client.get(path, params={"direction": "b_to_a"})
        assert (raw.content, raw.headers["x-flowmate-gaps"]) == (ANSWER, "none")
        assert api.client.get(path).content == REQUEST
        both = api.get(path, format="json")
        assert both["stream"]["stream_id_hex"] == path.split("/")[3]
        octets = {
            name: b"".join(base64.b64decode(s["base64"]) for s in side["segments"])
            for name, side in both["directions"].items()
        }
        assert octets == {"a_to_b": REQUEST, "b_to_a": ANSWER}
        one_side = api.get(path, format="json", direction="server")
        assert list(one_side["directions"]) == ["b_to_a"]
        api.error(path, 400, direction="both")
        api.error(path, 400, format="xml")


def test_export_of_what_has_holes(api: Api, run_dir: str) -> None:
    with site(run_dir, max_stream_content_bytes_per_stream=50) as one:
        stream = exchange(one)
        raw = api.client.get(f"{stream.path}/export", params={"direction": "server"})
        assert raw.content == ANSWER[-50:]
        assert raw.headers["x-flowmate-gaps"] == f"0-{len(ANSWER) - 50}"
        both = api.get(f"{stream.path}/export", format="json")
        assert both["directions"]["a_to_b"] == {
            "end_of_stream": len(REQUEST), "gaps": [{"start": 0, "end": len(REQUEST)}],
            "segments": [],
        }  # fmt: skip
        assert api.error(f"{stream.path}/export", 410)["code"] == "evicted"


def test_export_as_packets(api: Api, run_dir: str) -> None:
    long = bytes(range(256)) * 20
    with site(run_dir) as one:
        stream = one.stream((0, REQUEST), (1, ANSWER), (1, long), (0, b"bye"))
        response = api.client.get(f"{stream.path}/export", params={"format": "pcap"})
    assert response.headers["content-type"] == "application/x-pcapng"
    assert "synthesised" in response.headers["x-flowmate-note"]
    assert b"synthesised" in response.content[:400]
    said, times = [b"", b""], []
    for ts, octets in dpkt.pcapng.Reader(io.BytesIO(response.content)):
        packet = dpkt.ip.IP(octets)
        segment, sum_ip, sum_tcp = packet.data, packet.sum, packet.data.sum
        packet.sum = segment.sum = 0
        rebuilt = dpkt.ip.IP(bytes(packet))
        assert (rebuilt.sum, rebuilt.data.sum) == (sum_ip, sum_tcp)
        assert len(packet) <= 1500
        said[segment.dport != 80] += segment.data
        times.append(float(ts))
    assert said == [REQUEST + b"bye", ANSWER + long]
    assert times == sorted(times)
    assert times[3] == pytest.approx(0.001_001, abs=1e-9)


# --------------------------------------------------------------------------------------- faults
@pytest.mark.parametrize(
    "what", ["messages", "conversation", "export", "export?format=json", "matches", "content"]
)
def test_what_the_shard_has_evicted_is_gone(api: Api, run_dir: str, what: str) -> None:
    with site(run_dir, max_flows=1) as one:
        stream = exchange(one)
        one.stream((0, b"another"), port=1)
        assert api.error(f"{stream.path}/{what}", 410)["code"] == "evicted"


def test_content_that_leaves_while_it_is_read_ends_the_connection(api: Api, run_dir: str) -> None:
    octets = b"z" * 3_000_000
    pieces = [(1, octets[i : i + 60_000]) for i in range(0, len(octets), 60_000)]
    with site(run_dir) as one:
        stream = one.stream(*pieces)
        real = one.shards[0].operations

        class Leaving(dict[str, Any]):
            def __getitem__(self, op: str) -> Any:
                def answer(args: dict[str, Any]) -> tuple[Reply, list[bytes]]:
                    if op == "bytes" and args["start"] > 1_000_000:
                        return refusal("not_found", "it left"), []
                    result: tuple[Reply, list[bytes]] = real[op](args)
                    return result

                return answer

        one.shards[0].operations = Leaving()
        with pytest.raises(Exception, match="peer closed connection"):
            api.client.get(f"{stream.path}/export", params={"direction": "server"})
    assert api.client.get("/metrics").status_code == 200


def test_models_are_those_that_openapi_names(api: Api) -> None:
    schemas = api.get("/api/openapi.json")["components"]["schemas"]
    assert {"StreamMessages", "MessagePage", "Conversation", "TransformedContent"} <= set(schemas)
