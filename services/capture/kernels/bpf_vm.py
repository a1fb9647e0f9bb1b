"""The classic BPF machine (McCanne and Jacobson 1993) over a batch of packets.

An instruction is one word: code << 48 | jt << 40 | jf << 32 | k. Programs are trusted: whoever
makes one (`services.capture.bpf`) has checked that its jumps go forward and stay inside, that it
ends in a return, and that it names one of the 16 memory words. So every program ends, and only
loads are checked here: outside of the captured bytes they reject the packet, as in libpcap, and
so does a division by zero. Everything is uint64 with 32 bits in use, so nothing wraps by itself.
"""

import numpy as np

from shared.columns import U8, U32, U64, OutI64, OutRecords, OutU64, Records
from shared.kernels import inlined, kernel

Int = int | np.int64

# Instruction classes (code & 7), and within them
LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
SIZE_H, SIZE_B = 0x08, 0x10  # code & 0x18; 0 = a word
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0  # code & 0xe0
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR = range(0x00, 0xB0, 0x10)  # code & 0xf0
JA, JEQ, JGT, JGE, JSET = range(0x00, 0x50, 0x10)  # code & 0xf0
SOURCE_X, RET_A, TXA = 0x08, 0x10, 0x80
MEMORY_WORDS = 16

ZERO, ONE, TWO, THREE, FOUR = (np.uint64(n) for n in range(5))
NIBBLE, BYTE, WORD = np.uint64(0x0F), np.uint64(0xFF), np.uint64(0xFFFFFFFF)
BITS_8, BITS_16, BITS_24, BITS_32 = (np.uint64(n) for n in (8, 16, 24, 32))
BITS_40, BITS_48 = np.uint64(40), np.uint64(48)
WRAP = np.uint64(1 << 32)


@inlined
def _load(data: U8, at: np.uint64, code: Int) -> np.uint64:
    """A big-endian word, half word or byte."""
    if code & 0x18 == SIZE_B:
        return np.uint64(data[at])
    if code & 0x18 == SIZE_H:
        return np.uint64(data[at]) << BITS_8 | np.uint64(data[at + ONE])
    high = np.uint64(data[at]) << BITS_24 | np.uint64(data[at + ONE]) << BITS_16
    return high | np.uint64(data[at + TWO]) << BITS_8 | np.uint64(data[at + THREE])


@inlined
def _calculate(operation: Int, a: np.uint64, b: np.uint64) -> np.uint64:
    """One ALU operation, modulo 2^32; b is not 0 where it divides."""
    if operation == ADD:
        return a + b & WORD
    if operation == SUB:
        return a + (WRAP - b) & WORD
    if operation == MUL:
        return a * b & WORD
    if operation == DIV:
        return a // b
    if operation == OR:
        return a | b
    if operation == AND:
        return a & b
    if operation == LSH:
        return a << b & WORD if b < BITS_32 else ZERO
    if operation == RSH:
        return a >> b if b < BITS_32 else ZERO
    if operation == NEG:
        return WRAP - a & WORD
    if operation == MOD:
        return a % b
    return a ^ b


@inlined
def _holds(condition: Int, a: np.uint64, b: np.uint64) -> bool:
    if condition == JEQ:
        return bool(a == b)
    if condition == JGT:
        return bool(a > b)
    if condition == JGE:
        return bool(a >= b)
    return bool((a & b) != ZERO)


@inlined
def _run(
    program: U64,
    entry: np.uint64,
    data: U8,
    off: np.uint64,
    caplen: np.uint64,
    wirelen: np.uint64,
    memory: OutU64,
) -> np.uint64:
    """What the program that begins at `entry` returns for one packet; 0 = reject."""
    pc, a, x = entry, ZERO, ZERO
    while True:
        word = program[pc]
        pc += ONE
        code = np.int64(word >> BITS_48)
        k = word & WORD
        kind = code & 7
        if kind == LD or kind == LDX:
            mode = code & 0xE0
            value = k  # IMM
            if mode == ABS or mode == IND:
                at = k + x if mode == IND else k
                size = ONE if code & 0x18 == SIZE_B else TWO if code & 0x18 == SIZE_H else FOUR
                if at + size > caplen:
                    return ZERO
                value = _load(data, off + at, code)
            elif mode == MEM:
                value = memory[k]
            elif mode == LEN:
                value = wirelen
            elif mode == MSH:
                if k >= caplen:
                    return ZERO
                value = (np.uint64(data[off + k]) & NIBBLE) << TWO
            if kind == LD:
                a = value
            else:
                x = value
        elif kind == JMP:
            if code & 0xF0 == JA:
                pc += k
            elif _holds(code & 0xF0, a, x if code & SOURCE_X else k):
                pc += word >> BITS_40 & BYTE
            else:
                pc += word >> BITS_32 & BYTE
        elif kind == ALU:
            operation = code & 0xF0
            b = x if code & SOURCE_X else k
            if b == ZERO and (operation == DIV or operation == MOD):
                return ZERO
            a = _calculate(operation, a, b)
        elif kind == RET:
            return a if code & 0x18 == RET_A else k
        elif kind == ST:
            memory[k] = a
        elif kind == STX:
            memory[k] = x
        elif code & 0xF8 == TXA:
            a = x
        else:
            x = a


@kernel
def keep(
    program: U64,
    entries: U32,
    data: U8,
    records: Records,
    start: int,
    kept: OutRecords,
    count: int,
    memory: OutU64,
    cursor: OutI64,
) -> int:
    """Copy the records that their link type's program accepts to `kept[count:]`; the new count.

    entries: (65536,) 1 + where a link type's program begins in `program`, 0 = there is none yet.
    Begins at records[start] and ends behind the last, or at the first record without a program;
    cursor[0] says where. kept must have room for all records. memory: (16,), zero for each packet.
    """
    i = start
    while i < records.size:
        record = records[i]
        entry = np.uint64(entries[np.uint64(record["link"])])
        if entry == ZERO:
            break
        for word in range(MEMORY_WORDS):
            memory[word] = ZERO
        off, caplen = np.uint64(record["off"]), np.uint64(record["caplen"])
        wirelen = np.uint64(record["wirelen"])
        if _run(program, entry - ONE, data, off, caplen, wirelen, memory) != ZERO:
            kept[count] = record
            count += 1
        i += 1
    cursor[0] = i
    return count
