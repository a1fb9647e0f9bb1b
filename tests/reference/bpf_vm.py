"""The classic BPF machine, one packet and one instruction at a time; the twin of `keep`."""

from collections.abc import Sequence

LOAD_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
MASK = 0xFFFFFFFF


class Reject(Exception):  # noqa: N818 - not an error
    """The packet is too short, or the program divides by zero."""


def run(program: Sequence[tuple[int, int, int, int]], packet: bytes, wirelen: int) -> int:
    """What the program returns: 0 = reject."""
    try:
        return execute(program, packet, wirelen)
    except Reject:
        return 0


def execute(program: Sequence[tuple[int, int, int, int]], packet: bytes, wirelen: int) -> int:
    a = x = pc = 0
    memory = [0] * 16
    while True:
        code, jt, jf, k = program[pc]
        pc += 1
        match code & 7:
            case 0:
                a = load(code, k, x, packet, wirelen, memory)
            case 1:
                x = load(code, k, x, packet, wirelen, memory)
            case 2:
                memory[k] = a
            case 3:
                memory[k] = x
            case 4:
                a = calculate(code & 0xF0, a, x if code & 8 else k)
            case 5:
                pc += jump(code & 0xF0, a, x if code & 8 else k, jt, jf, k)
            case 6:
                return a if code & 0x18 == 0x10 else k
            case _:
                a, x = (x, x) if code & 0x80 else (a, a)


def load(code: int, k: int, x: int, packet: bytes, wirelen: int, memory: list[int]) -> int:
    match code & 0xE0:
        case 0x00:
            return k
        case 0x60:
            return memory[k]
        case 0x80:
            return wirelen
        case 0xA0:
            return (take(packet, k, 1) & 0xF) * 4
        case 0x20:
            return take(packet, k, LOAD_SIZES[code & 0x18])
    return take(packet, x + k, LOAD_SIZES[code & 0x18])


def take(packet: bytes, at: int, size: int) -> int:
    if at + size > len(packet):
        raise Reject
    return int.from_bytes(packet[at : at + size], "big")


def calculate(operation: int, a: int, b: int) -> int:
    if operation in (0x30, 0x90) and b == 0:
        raise Reject
    match operation:
        case 0x00:
            a += b
        case 0x10:
            a -= b
        case 0x20:
            a *= b
        case 0x30:
            a //= b
        case 0x40:
            a |= b
        case 0x50:
            a &= b
        case 0x60:
            a = a << b if b < 32 else 0
        case 0x70:
            a = a >> b if b < 32 else 0
        case 0x80:
            a = -a
        case 0x90:
            a %= b
        case 0xA0:
            a ^= b
    return a & MASK


def jump(test: int, a: int, b: int, jt: int, jf: int, k: int) -> int:
    if test == 0x00:
        return k
    holds = {0x10: a == b, 0x20: a > b, 0x30: a >= b, 0x40: a & b != 0}[test]
    return jt if holds else jf
