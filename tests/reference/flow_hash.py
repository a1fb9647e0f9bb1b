"""The flow hash in Python integers, and its shard."""

MASK = (1 << 64) - 1


def endpoint(address: int, port: int) -> int:
    """One 128-bit address and port, mixed."""
    x = ((address >> 64) + port * 0x9E3779B97F4A7C15) * 0xD6E8FEB86659FD93 + (address & MASK)
    x &= MASK
    x = (x ^ x >> 32) * 0xFF51AFD7ED558CCD & MASK
    return x ^ x >> 29


def flow_hash(a: tuple[int, int], b: tuple[int, int], proto: int) -> int:
    """Of two (address, port) and a protocol; the finaliser is SplitMix64's."""
    x = (endpoint(*a) + endpoint(*b) + proto * 0x9E3779B97F4A7C15) & MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def shard_of(value: int, shards: int) -> int:
    return (value >> 32) * shards // (1 << 32)
