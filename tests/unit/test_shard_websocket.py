"""Rules of WebSocket framing (RFC 6455), one named case each, whole and byte by byte."""

from dataclasses import replace
from typing import Any

import pytest

from shared.columns import FRAME_FIN, FRAME_MASKED, FRAME_RSV1, SERVICES
from tests.message_harness import Turn, found_in, packets_of
from tests.messages import Said, conversation, parsed
from tests.property.test_websocket_against_twin import AGREED, ASKED, UPGRADE, frame
from tests.shard_harness import ShardRun
from tests.unit.test_shard_http1 import found, run_of, seen, with_loss

KEY = b"\x37\xfa\x21\x3d"  # RFC 6455 §5.7
MASKED_HELLO = bytes.fromhex("818537fa213d7f9f4d5158")


def frames(*turns: Turn) -> list[dict[str, Any]]:
    return found([*UPGRADE, *turns])[2:]


def test_the_examples_of_the_rfc() -> None:
    plain, masked = frames((1, bytes.fromhex("810548656c6c6f")), (0, MASKED_HELLO))
    assert seen(plain, "protocol", "kind", "framing", "value", "text", "marks") == (
        "websocket", "frame", 1, 5, b"Hello", FRAME_FIN,
    )  # fmt: skip
    assert seen(masked, "side", "text", "marks") == (0, b"Hello", FRAME_FIN | FRAME_MASKED)
    start = len(ASKED)
    assert seen(masked, "start", "header_end", "body_end", "end") == (
        start, start + 6, start + 11, start + 11,
    )  # fmt: skip


def test_the_service_changes_with_the_upgrade() -> None:
    run = ShardRun()
    run.take(packets_of(UPGRADE, end=0))
    assert SERVICES[int(run.tables.flows[0]["service"])] == "websocket"
    response = found_in(run)[1]
    assert seen(response, "code", "framing", "end") == (101, 4, len(AGREED))
    assert run.events()[-1]["service"] == SERVICES.index("websocket")


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_lengths(size: int) -> None:
    sent = frame(2, b"x" * size)
    run = run_of(packets_of([*UPGRADE, (1, sent + frame(9, b""))]))
    (first, second) = found_in(run)[2:]
    assert seen(first, "value", "text", "status") == (size, b"", "complete")
    assert first["end"] == second["start"] == len(AGREED) + len(sent)


def test_fragments_and_a_control_frame_between_them() -> None:
    sent = [frame(1, b"a", first=0), frame(9, b"ping"), frame(0, b"b", first=0), frame(0, b"c")]
    assert [seen(one, "framing", "marks", "text") for one in frames((1, b"".join(sent)))] == [
        (1, 0, b"a"), (9, 1, b""), (0, 0, b""), (0, 1, b""),
    ]  # fmt: skip


def test_text_is_bounded_printable_and_not_that_of_compressed_frames() -> None:
    long, packed = frame(1, b"\n" + b"x" * 200, key=KEY), frame(1, b"abc", first=0xC0)
    first, second = frames((0, long + packed))
    assert first["text"] == b"." + b"x" * 79
    assert seen(second, "text", "marks") == (b"", FRAME_FIN | FRAME_RSV1)


@pytest.mark.parametrize(("payload", "code"), [(b"", 0), (b"\x03", 0), (b"\x03\xe8bye", 1000)])
def test_close_codes(payload: bytes, code: int) -> None:
    for key in (b"", KEY):
        (only,) = frames((0, frame(8, payload, key=key)))
        assert seen(only, "framing", "code", "status") == (8, code, "complete")


@pytest.mark.parametrize(
    "octets",
    [
        frame(3, b"x"), frame(11, b""), frame(9, b"x" * 126), frame(8, b"", first=0),
        b"\x82\x7f\xff" + bytes(7), b"\x82\x7f\x40" + bytes(7),
    ],
)  # fmt: skip
def test_what_is_no_frame_ends_the_direction(octets: bytes) -> None:
    bad, other = frames((1, octets + frame(1, b"after")), (0, frame(1, b"other")))
    assert seen(bad, "side", "status", "note") == (1, "parse_error", "bad_frame")
    assert seen(other, "side", "status", "text") == (0, "complete", b"other")


def test_frames_that_come_before_the_answer_wait_for_it() -> None:
    turns: list[Turn] = [(0, ASKED + frame(1, b"early")), (1, AGREED + frame(1, b"late"))]
    assert [one["text"] for one in found(turns)][2:] == [b"early", b"late"]


@pytest.mark.parametrize("lost", [[], [Said(0, b"GE", 300)]])
def test_frames_from_before_anything_told_what_the_stream_is(lost: list[Said]) -> None:
    """The request was not captured, and the answer is in a later batch."""
    packets = conversation([*lost, Said(0, MASKED_HELLO), Said(1, AGREED)], 9999)
    whole, single = parsed(packets), parsed(packets, range(len(packets)))
    assert [(row.kind, row.side, row.start) for row in single] == [
        ("response", 1, 0), ("frame", 0, 302 if lost else 0)
    ]  # fmt: skip
    assert single[1].summary == b"Hello"
    assert [replace(row, ordinal=0) for row in whole] == [replace(row, ordinal=0) for row in single]


def test_a_gap_within_a_payload_is_passed_over() -> None:
    sent = frame(2, b"x" * 300) + frame(1, b"after")
    run = with_loss([*UPGRADE, (1, sent[:50]), (1, sent[50:200]), (1, sent[200:])], 3)
    first, second = found_in(run)[2:]
    assert seen(first, "status", "note", "gap") == ("partial", "gap", True)
    assert seen(second, "status", "text") == ("complete", b"after")


def test_a_gap_outside_of_a_payload_ends_the_direction() -> None:
    sent = frame(2, b"x" * 30) + frame(1, b"after")
    run = with_loss([*UPGRADE, (1, sent[:20]), (1, sent[20:34]), (1, sent[34:])], 3)
    (only,) = found_in(run)[2:]
    assert seen(only, "status", "note", "gap") == ("partial", "gap", True)


def test_a_frame_that_does_not_end() -> None:
    whole, header = frames((0, frame(2, b"x" * 30)[:12]), (1, b"\x81"))
    assert seen(whole, "status", "note", "value") == ("partial", "end_of_stream", 30)
    assert seen(header, "status", "note", "framing") == ("partial", "end_of_stream", 1)
