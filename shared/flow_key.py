"""The canonical flow key and the stream id, in plain Python: the twin of the kernels.

Endpoints are ordered by (family, 16-byte address with IPv4 right-aligned, port); the smaller is
`a`. The id is FNV-1a 64 (http://www.isthe.com/chongo/tech/comp/fnv/) over the protocol number, then
family, address (4 or 16 bytes) and big-endian port of a and of b, then the incarnation.
"""

import ipaddress
from dataclasses import dataclass

FNV_OFFSET, FNV_PRIME, MASK64 = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1
# of the flow hash: see shared/kernels/flow_hash.py
PORT, HIGH, ENDPOINT = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD
FINAL_1, FINAL_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@dataclass(frozen=True, order=True)
class Endpoint:
    """An address and a port; orders as the canonical key does."""

    family: int
    address: bytes  # 16 bytes, IPv4 right-aligned
    port: int

    @classmethod
    def of(cls, addr: str, port: int) -> "Endpoint":
        """From text such as `10.0.0.1` or `fe80::1`."""
        ip = ipaddress.ip_address(addr)
        return cls(ip.version, ip.packed.rjust(16, b"\0"), port)

    @property
    def packed(self) -> bytes:
        """The address at its own length: 4 or 16 bytes."""
        return self.address[12:] if self.family == 4 else self.address

    @property
    def mixed(self) -> int:
        """What it adds to a flow hash."""
        high, low = (int.from_bytes(half, "big") for half in (self.address[:8], self.address[8:]))
        x = ((high + self.port * PORT) * HIGH + low) & MASK64
        x = (x ^ x >> 32) * ENDPOINT & MASK64
        return x ^ x >> 29

    @property
    def text(self) -> str:
        return str(ipaddress.ip_address(self.packed))


@dataclass(frozen=True)
class FlowKey:
    """One flow: protocol and two ordered endpoints."""

    proto: int
    a: Endpoint
    b: Endpoint

    @classmethod
    def of(cls, proto: int, src: Endpoint, dst: Endpoint) -> tuple["FlowKey", int]:
        """The key, and the direction of a packet from src to dst: 0 = a_to_b, 1 = b_to_a."""
        return (cls(proto, src, dst), 0) if src <= dst else (cls(proto, dst, src), 1)

    def hash(self) -> int:
        """As `PACKET.hash`: 64 bits, the same in both directions."""
        x = (self.a.mixed + self.b.mixed + self.proto * PORT) & MASK64
        x = (x ^ x >> 30) * FINAL_1 & MASK64
        x = (x ^ x >> 27) * FINAL_2 & MASK64
        return x ^ x >> 31

    def stream_id(self, incarnation: int) -> int:
        """FNV-1a 64 over the key and the incarnation (0, 1, 2 …)."""
        data = bytes([self.proto])
        for end in (self.a, self.b):
            data += bytes([end.family]) + end.packed + end.port.to_bytes(2, "big")
        return fnv1a64(data + incarnation.to_bytes(4, "big"))


def fnv1a64(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * FNV_PRIME & MASK64
    return value


def hex_id(stream_id: int) -> str:
    """The text form of a stream id: 16 lower-case hex digits."""
    return f"{stream_id:016x}"
