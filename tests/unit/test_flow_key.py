"""The canonical key and the stream id: order of endpoints, test vectors, and the kernel."""

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flow_key import Endpoint, FlowKey, fnv1a64, hex_id
from tests.reference.flow_hash import flow_hash
from tests.reference.streams import Packet
from tests.shard_harness import ShardRun, ends, rows_of

TCP, UDP = 6, 17
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


# http://www.isthe.com/chongo/src/fnv/test_fnv.c
@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 0xCBF29CE484222325),
        (b"a", 0xAF63DC4C8601EC8C),
        (b"foobar", 0x85944171F73967E8),
    ],
)
def test_fnv_1a_64(data: bytes, value: int) -> None:
    assert fnv1a64(data) == value


def test_the_bytes_under_a_stream_id() -> None:
    key, direction = FlowKey.of(TCP, ends("10.0.0.2", 80), ends("10.0.0.1", 40000))
    assert direction == 1
    packed = bytes.fromhex("06 04 0a000001 9c40 04 0a000002 0050 00000003")
    assert key.stream_id(3) == fnv1a64(packed)
    packed = bytes.fromhex(
        "11 06 20010db8000000000000000000000001 0035 06 20010db8000000000000000000000002 1388"
        "00000000"
    )
    key, direction = FlowKey.of(UDP, ends("2001:db8::1", 53), ends("2001:db8::2", 5000))
    assert direction == 0
    assert key.stream_id(0) == fnv1a64(packed)


def test_an_id_as_text() -> None:
    assert hex_id(0xAB) == "00000000000000ab"
    assert hex_id((1 << 64) - 1) == "f" * 16


def test_endpoints_are_ordered_by_family_then_address_then_port() -> None:
    in_order = [
        ends("0.0.0.0", 65535),
        ends("10.0.0.1", 80),
        ends("10.0.0.1", 443),
        ends("10.0.0.2", 1),
        ends("255.255.255.255", 0),
        ends("::", 0),  # any IPv6 address is behind any IPv4 address
        ends("::1", 5),
        ends("fe80::1", 5),
    ]
    assert sorted([*in_order[4:], *in_order[:4]]) == in_order
    for a, b in itertools.combinations(in_order, 2):
        assert FlowKey.of(UDP, a, b) == (FlowKey(UDP, a, b), 0)
        assert FlowKey.of(UDP, b, a) == (FlowKey(UDP, a, b), 1)


def test_a_flow_to_itself_is_sent_by_a() -> None:
    end = ends("127.0.0.1", 5)
    assert FlowKey.of(UDP, end, end)[1] == 0


@pytest.mark.parametrize("text", ["10.1.2.3", "2001:db8::7"])
def test_the_text_of_an_endpoint(text: str) -> None:
    end = Endpoint.of(text, 5)
    assert end.text == text
    assert end.packed == ipaddress.ip_address(text).packed
    assert len(end.address) == 16


pairs = st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)) | st.tuples(
    st.ip_addresses(v=6), st.ip_addresses(v=6)
)


@pytest.mark.property
@given(pairs, st.integers(0, 65535), st.integers(0, 65535), st.sampled_from((6, 17, 1, 58)))
def test_the_kernel_gives_the_same_id(
    pair: tuple[Address, Address], port_a: int, port_b: int, proto: int
) -> None:
    """Of a flow's first stream and of its second, seen from either side."""
    src, dst = Endpoint.of(str(pair[0]), port_a), Endpoint.of(str(pair[1]), port_b)
    run = ShardRun()
    run.take([Packet(src, dst, b"x", proto), Packet(dst, src, b"y", proto)])
    later = 500 * 10**9
    run.take([Packet(src, dst, b"x", proto, flags=2, seq=99, ts_ns=later)])
    run.finish()
    key, _ = FlowKey.of(proto, src, dst)
    assert set(run.final()) == {key.stream_id(0), key.stream_id(1)}


@given(st.integers(0, 1 << 128), st.integers(0, 1 << 128), st.integers(0, 65535))
def test_the_hash_does_not_know_directions(a: int, b: int, port: int) -> None:
    assert flow_hash((a, port), (b, 80), TCP) == flow_hash((b, 80), (a, port), TCP)


def test_both_directions_have_one_hash_and_one_key() -> None:
    src, dst = ends("10.0.0.1", 1), ends("10.0.0.2", 2)
    rows, _ = rows_of([Packet(src, dst), Packet(dst, src)])
    same = [name for name in rows.dtype.names or () if name != "dir"]
    assert rows[same][0] == rows[same][1]
    assert rows["dir"].tolist() == [0, 1]
