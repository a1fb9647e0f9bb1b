"""The BPF kernel keeps what libpcap's own machine keeps, and what the plain twin keeps."""

import logging
import random

import numpy as np
import pcapy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.capture.bpf import (
    CODES,
    DLT,
    CaptureFilter,
    FilterProgram,
    Instruction,
    compile_filter,
)
from services.capture.kernels.bpf_vm import MEMORY_WORDS, keep
from services.capture.source import EMPTY_BATCH, Batch
from shared.columns import RECORD
from shared.errors import UserError
from tests import builders as b
from tests.reference import bpf_vm as reference

RET, ST, STX, MEM, JMP = 6, 2, 3, 0x60, 5
DIVISIONS = (0x34, 0x94)
MASK = 2**32 - 1
seeds, words = st.integers(0, 2**64 - 1), st.integers(0, MASK)

EXPRESSIONS = [
    "",
    "tcp port 80",
    "host 10.0.0.1 and not udp",
    "ip6",
    "ip6 and tcp dst port 443",
    "vlan and tcp",
    "vlan 7 and vlan 9 and udp",
    "mpls 16 and ip",
    "pppoes and tcp",
    "greater 100",
    "less 60 or icmp",
    "tcp[13] & 2 != 0",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) == tcp-syn",
    "ip[8] < 65 and ip[2:2] - ((ip[0] & 15) << 2) > 20",
    "net 10.0.0.0/8 or dst net 192.168.1.0/24",
    "tcp portrange 1000-50000",
    "udp[4:2] % 3 == 1 or udp[0:2] * 2 > 300",
    "len / 7 > 9",
    "ether src 02:00:00:00:00:0a or ether multicast",
    "icmp[icmptype] == icmp-echo",
    "not (tcp or udp)",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    "inbound",
]
LINKS = (1, 0, 101, 12, 113, 276, 228)


def random_frame(rng: random.Random, link: int) -> bytes:
    """Something that the expressions are about, cut short or harmed now and then."""
    ports = rng.choice([80, 443, 1234]), rng.choice([53, 80, 60000])
    body = rng.choice([b"GET / HTTP/1.1\r\n", b"", rng.randbytes(rng.randrange(120))])
    kind, transport = rng.choice(
        [
            (6, b.tcp(*ports, body, flags=rng.randrange(64))),
            (17, b.udp(*ports, body)),
            (1, b.icmp(rng.choice([0, 8, 11]), 0, body)),
        ]
    )
    ends = ["10.0.0.1", "10.0.0.2", "192.168.1.5"]
    if rng.randrange(3):
        packet, ether = b.ip4(rng.choice(ends), rng.choice(ends), kind, transport), b.IPV4
    else:
        packet, ether = b.ip6("2001:db8::1", "2001:db8::2", kind, transport), b.IPV6
    frame = wrap(rng, link, packet, ether)
    if rng.randrange(4) == 0:
        frame = frame[: rng.randrange(len(frame) + 1)]
    if frame and rng.randrange(4) == 0:
        at = rng.randrange(len(frame))
        frame = frame[:at] + rng.randbytes(1) + frame[at + 1 :]
    return frame


def wrap(rng: random.Random, link: int, packet: bytes, ether: int) -> bytes:
    if link == 0:
        return b.null(packet, 2 if ether == b.IPV4 else 10)
    if link == 113:
        return b.sll(packet, ether)
    if link == 276:
        return b.sll2(packet, ether)
    if link != 1:
        return packet
    match rng.randrange(6):
        case 0:
            return b.ethernet(b.vlan(packet, ether, 7), b.VLAN)
        case 1:
            return b.ethernet(b.vlan(b.vlan(packet, ether, 9), b.VLAN, 7), b.VLAN)
        case 2:
            return b.ethernet(b.mpls(packet), b.MPLS)
        case 3:
            return b.ethernet(b.pppoe(packet), b.PPPOE_SESSION)
    return b.ethernet(packet, ether)


def batch_of(frames: list[tuple[int, bytes]]) -> Batch:
    """Frames with their link types, one behind the other with a byte between."""
    records = np.zeros(len(frames), RECORD)
    records["caplen"] = records["wirelen"] = [len(frame) for _, frame in frames]
    records["off"] = np.cumsum(records["caplen"] + 1) - records["caplen"]
    records["link"] = [link for link, _ in frames]
    records["ts_ns"] = np.arange(len(frames))
    data = np.frombuffer(b"".join(b"\xff" + frame for _, frame in frames), np.uint8)
    return Batch(data, records, data.size)


def libpcap_keeps(expression: str, frames: list[tuple[int, bytes]]) -> list[int]:
    """Indices of the frames that libpcap's own machine accepts."""
    programs = {}
    for link in {link for link, _ in frames}:
        try:
            programs[link] = pcapy.compile(DLT.get(link, link), 262144, expression, 1, MASK)
        except pcapy.PcapError:
            continue  # no packet of that link type
    return [
        i
        for i, (link, frame) in enumerate(frames)
        if link in programs and programs[link].filter(frame)
    ]


@pytest.mark.property
@pytest.mark.parametrize("expression", EXPRESSIONS)
@given(seed=seeds)
def test_expressions(expression: str, seed: int) -> None:
    rng = random.Random(seed)
    frames = [(1, random_frame(rng, 1)) for _ in range(20)]
    want = libpcap_keeps(expression, frames)
    capture_filter = CaptureFilter(expression)
    assert capture_filter.apply(batch_of(frames)).records["ts_ns"].tolist() == want
    assert (capture_filter.kept, capture_filter.filtered) == (len(want), 20 - len(want))
    program = compile_filter(expression, 1).instructions
    assert [i for i, (_, f) in enumerate(frames) if reference.run(program, f, len(f))] == want


@pytest.mark.property
@given(expression=st.sampled_from(EXPRESSIONS), seed=seeds)
def test_link_types_in_one_batch(expression: str, seed: int) -> None:
    rng = random.Random(seed)
    links = [rng.choice(LINKS) for _ in range(20)]
    frames = [(link, random_frame(rng, link)) for link in links]
    kept = CaptureFilter(expression).apply(batch_of(frames))
    assert kept.records["ts_ns"].tolist() == libpcap_keeps(expression, frames)


def random_program(rng: random.Random) -> FilterProgram:
    """Any valid one; loads stay near the packet, so that it lives for a while."""
    size = rng.randint(1, 16)
    program: list[Instruction] = []
    for at in range(size - 1):
        code = rng.choice(sorted(CODES))
        behind = size - at - 1
        k = rng.choice([rng.randrange(16), rng.randrange(16), rng.getrandbits(32), MASK])
        if code in (ST, STX, MEM, MEM | 1):
            k = rng.randrange(MEMORY_WORDS)
        if code in DIVISIONS:
            k = k or 1
        if code == JMP:
            k = rng.randrange(behind)
        program.append((code, rng.randrange(behind), rng.randrange(behind), k))
    program.append((rng.choice([RET, RET | 0x10]), 0, 0, rng.choice([0, 1, MASK])))
    return FilterProgram(tuple(program))


@pytest.mark.property
@given(seed=seeds)
def test_any_program_against_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        program = random_program(rng)
        frame, wirelen = rng.randbytes(rng.randrange(40)), rng.getrandbits(16)
        want = reference.run(program.instructions, frame, wirelen)
        assert kernel_keeps(program, frame, wirelen) == (want != 0)


@pytest.mark.property
@given(
    st.sampled_from([op | source for op in range(0, 0xB0, 0x10) for source in (0, 8)]),
    words,
    words | st.integers(0, 40),
)
def test_arithmetic_against_the_twin(operation: int, a: int, b: int) -> None:
    """A = a op b, then: is it what the twin says?"""
    if (operation in (0x30, 0x90) and b == 0) or operation == 0x88:
        return
    steps = [(0, 0, 0, a), (1, 0, 0, b), (4 | operation, 0, 0, b)]
    value = reference.run([*steps, (RET | 0x10, 0, 0, 0)], b"", 0)
    rejected = operation in (0x38, 0x98) and b == 0
    test = [(0x15, 0, 1, value), (RET, 0, 0, 1), (RET, 0, 0, 0)]
    assert kernel_keeps(FilterProgram((*steps, *test)), b"", 0) == (not rejected)


def kernel_keeps(program: FilterProgram, frame: bytes, wirelen: int) -> bool:
    """Run a program on a frame that has other bytes before and behind it."""
    batch = batch_of([(1, frame), (1, b"\x55" * 8)])
    records = batch.records[:1]
    records["wirelen"] = wirelen
    entries = np.zeros(65536, np.uint32)
    entries[1] = 1
    kept, cursor = np.zeros(1, RECORD), np.zeros(1, np.int64)
    memory = np.full(MEMORY_WORDS, 99, np.uint64)
    count = keep(program.words, entries, batch.data, records, 0, kept, 0, memory, cursor)
    assert cursor[0] == 1
    return bool(count)


@pytest.mark.parametrize(
    ("instructions", "reason"),
    [
        ((), "end in a return"),
        (((0x20, 0, 0, 0),), "end in a return"),
        (((0x05, 0, 0, 1), (RET, 0, 0, 0)), "jumps out"),
        (((0x15, 0, 1, 0), (RET, 0, 0, 0)), "jumps out"),
        (((0x61, 0, 0, 16), (RET, 0, 0, 0)), "memory"),
        (((0x34, 0, 0, 0), (RET, 0, 0, 0)), "divides by zero"),
        (((0xFFFF, 0, 0, 0), (RET, 0, 0, 0)), "no such code"),
        (((0x00, 0, 0, 1 << 32), (RET, 0, 0, 0)), "out of range"),
    ],
)
def test_programs_that_could_go_astray_are_refused(
    instructions: tuple[Instruction, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        FilterProgram(instructions)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("tcp porrt 80", 'syntax error, at "porrt" \\(column 5\\)'),
        ("tcp port 80 and", "syntax error, at its end"),
        ("(tcp or udp", "syntax error, at its end"),
        ("tcp port 80)", 'at "\\)" \\(column 12\\)'),
        ("tcp port 99999", "illegal port number 99999 > 65535, at column 10"),
        ("port nosuchport", "unknown port 'nosuchport', at column 6"),
        ("net 10.0.0.1/8", "at column 5"),
        ("ip and ip6", "rejects all packets"),
        ("tcp\0", "null"),
    ],
)
def test_a_bad_filter_is_the_users_mistake(expression: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        CaptureFilter(expression)
    assert expression in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_filter_for_other_link_types_only(caplog: pytest.LogCaptureFixture) -> None:
    """It is right for 802.11; Ethernet packets are filtered out, which is said once."""
    caplog.set_level(logging.WARNING, logger="services.capture.bpf")
    capture_filter = CaptureFilter("wlan type mgt")
    for _ in range(3):
        kept = capture_filter.apply(batch_of([(1, bytes(60)), (105, bytes(60)), (1, b"")]))
        assert kept.records["link"].tolist() == [105]
    assert (capture_filter.kept, capture_filter.filtered) == (3, 6)
    assert capture_filter.refused == {1}
    assert len(caplog.records) == 1
    assert "802.11" in caplog.text


def test_an_empty_batch_passes() -> None:
    assert CaptureFilter("tcp").apply(EMPTY_BATCH).records.size == 0
