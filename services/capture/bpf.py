"""Capture filters: libpcap compiles them to classic BPF, a kernel runs them over whole batches.

A filter means something else on every link type, so it is compiled for each one that turns up.
Where libpcap says "expression rejects all packets" it keeps none; where it cannot compile the
filter for a link type at all, those packets are filtered out, which is said once.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pcapy
from numpy.typing import NDArray

from services.capture.kernels.bpf_vm import (
    ABS,
    ALU,
    DIV,
    IMM,
    IND,
    JA,
    JMP,
    JSET,
    LD,
    LDX,
    LEN,
    MEM,
    MEMORY_WORDS,
    MISC,
    MOD,
    MSH,
    NEG,
    RET,
    RET_A,
    SIZE_B,
    SIZE_H,
    SOURCE_X,
    ST,
    STX,
    TXA,
    XOR,
    keep,
)
from services.capture.source import Batch
from shared.columns import RECORD
from shared.errors import UserError

log = logging.getLogger(__name__)

SNAPLEN = 262144
NETMASK_UNKNOWN = 0xFFFFFFFF
ETHERNET = 1
# On what a filter must make sense at least once: Ethernet, BSD null, PPP, raw IP, 802.11, radiotap,
# SLL, SLL2. The first gives the message.
TRIED_AT_START = (ETHERNET, 0, 9, 101, 105, 127, 113, 276)
# LINKTYPE_ in a file to DLT_ of libpcap on Linux, where they differ (pcap-common.c)
DLT = {14: 12, 100: 11, 101: 12, 102: 15, 103: 16, 106: 19}
REJECTS_ALL = "expression rejects all packets"
SYNTAX_ERROR = "syntax error"
LINK_TYPES = 65536
REFUSALS_TOLD = 16

TOKEN = re.compile(r"&&|\|\||[!<>=]=|<<|>>|[\w.:/\\-]+|\S")
TOKENS_PROBED = 64
# What can follow an unfinished filter so that it is one: how a syntax error is located
ENDINGS = (
    "",
    " 1",
    " tcp",
    " 10.0.0.1",
    " port 1",
    " 0:0:0:0:0:0",
    " = 1",
    " 1 = 1",
    "] = 1",
    "0] = 1",
)

LOADS = {IMM, MEM, LEN}
PACKET_LOADS = {mode | size for mode in (ABS, IND) for size in (0, SIZE_H, SIZE_B)}
CODES = frozenset(
    {LD | mode for mode in LOADS | PACKET_LOADS}
    | {LDX | mode for mode in LOADS | {MSH | SIZE_B}}
    | {ST, STX, RET, RET | RET_A, MISC, MISC | TXA, ALU | NEG, JMP | JA}
    | {ALU | op | source for op in range(0, XOR + 1, 0x10) for source in (0, SOURCE_X)}
    | {JMP | test | source for test in range(0x10, JSET + 1, 0x10) for source in (0, SOURCE_X)}
) - {ALU | NEG | SOURCE_X}

Instruction = tuple[int, int, int, int]  # code, jt, jf, k


@dataclass(frozen=True)
class FilterProgram:
    """A checked BPF program: every run of it ends, and touches only the packet and its memory."""

    instructions: tuple[Instruction, ...]

    def __post_init__(self) -> None:
        if not self.instructions or self.instructions[-1][0] & 7 != RET:
            raise ValueError("a BPF program must end in a return")
        for at, instruction in enumerate(self.instructions):
            if reason := _fault(instruction, len(self.instructions) - at - 1):
                raise ValueError(f"BPF instruction {at} {instruction}: {reason}")

    @cached_property
    def words(self) -> NDArray[np.uint64]:
        """(n,) as the kernel reads them."""
        return np.array(
            [code << 48 | jt << 40 | jf << 32 | k for code, jt, jf, k in self.instructions],
            np.uint64,
        )


def _fault(instruction: Instruction, behind: int) -> str:
    """What is wrong with an instruction that has `behind` more behind it; "" = nothing."""
    code, jt, jf, k = instruction
    if code not in CODES:
        return "no such code"
    if not (0 <= jt < 256 and 0 <= jf < 256 and 0 <= k < 1 << 32):
        return "a field out of range"
    if code & 7 == JMP and (k if code == JMP | JA else max(jt, jf)) >= behind:
        return "jumps out of the program"
    if (code in (ST, STX) or code in (LD | MEM, LDX | MEM)) and k >= MEMORY_WORDS:
        return "no such memory word"
    if code in (ALU | DIV, ALU | MOD) and k == 0:
        return "divides by zero"
    return ""


REJECT_ALL = FilterProgram(((RET, 0, 0, 0),))


def compile_filter(expression: str, linktype: int, snaplen: int = SNAPLEN) -> FilterProgram:
    """The program of a filter for a link type (LINKTYPE_*).

    UserError: names the expression, says what libpcap says and where. A name in the expression
    (`host www.example.com`) is looked up by libpcap here, which may take as long as DNS does.
    """
    try:
        return _compile(expression, linktype, snaplen)
    except (pcapy.PcapError, pcapy.BPFError, ValueError) as error:
        told = str(error).removeprefix("can't parse filter expression: ")
        raise UserError(
            f'capture filter "{expression}": {told}{_where(expression, told)}'
        ) from None


def _compile(expression: str, linktype: int, snaplen: int) -> FilterProgram:
    compiled = pcapy.compile(DLT.get(linktype, linktype), snaplen, expression, 1, NETMASK_UNKNOWN)
    return FilterProgram(tuple(compiled.get_bpf()))


def _where(expression: str, told: str) -> str:
    """`, at "porrt" (column 5)`; "" if it cannot be said."""
    tokens = list(TOKEN.finditer(expression))
    if told == SYNTAX_ERROR:
        return _where_syntax(expression, tokens)
    named = re.search(r"""['"]([^'"]+)['"]|(\d+)""", told)
    wanted = (named.group(1) or named.group(2)) if named else ""
    for token in tokens:
        if token.group() == wanted:
            return f", at column {token.start() + 1}"
    return ""


def _where_syntax(expression: str, tokens: Sequence[re.Match[str]]) -> str:
    """The first token with which no filter can go on: what stands before it still can."""
    if len(tokens) > TOKENS_PROBED:
        return ""
    if _can_go_on(expression):
        return ", at its end: something is missing"
    for token in reversed(tokens):
        if _can_go_on(expression[: token.start()]):
            return f', at "{token.group()}" (column {token.start() + 1})'
    return ""


def _can_go_on(beginning: str) -> bool:
    closing = ")" * max(0, beginning.count("(") - beginning.count(")"))
    for ending in ENDINGS:
        try:
            _compile(beginning + ending + closing, ETHERNET, SNAPLEN)
        except pcapy.PcapError as error:
            if str(error).endswith(SYNTAX_ERROR):
                continue
        return True
    return False


class CaptureFilter:
    """A filter over batches of any link types. UserError if it makes sense on none."""

    def __init__(self, expression: str, snaplen: int = SNAPLEN) -> None:
        self.expression = expression
        self.kept = 0  # packets
        self.filtered = 0  # packets
        self.refused: set[int] = set()  # link types it could not be compiled for
        self._snaplen = snaplen
        self._words = np.empty(0, np.uint64)
        self._entries = np.zeros(LINK_TYPES, np.uint32)
        self._records = np.empty(0, RECORD)
        self._memory = np.zeros(MEMORY_WORDS, np.uint64)
        self._cursor = np.zeros(1, np.int64)
        self._check()

    def apply(self, batch: Batch) -> Batch:
        """The batch with only those records that pass; good until the next call."""
        count, at, total = 0, 0, len(batch.records)
        if total > len(self._records):
            self._records = np.empty(total, RECORD)
        while at < total:
            count = keep(
                self._words,
                self._entries,
                batch.data,
                batch.records,
                at,
                self._records,
                count,
                self._memory,
                self._cursor,
            )
            at = int(self._cursor[0])
            if at < total:
                self._learn(int(batch.records[at]["link"]))
        self.kept += count
        self.filtered += total - count
        return Batch(batch.data, self._records[:count], batch.used)

    def _check(self) -> None:
        first: UserError | None = None
        for link in TRIED_AT_START:
            try:
                compile_filter(self.expression, link, self._snaplen)
                return
            except UserError as error:
                first = first or error
                if REJECTS_ALL in str(error):
                    break  # it contradicts itself
        assert first is not None
        raise first

    def _learn(self, link: int) -> None:
        """Compile for a link type that turned up."""
        try:
            program = compile_filter(self.expression, link, self._snaplen)
        except UserError as error:
            program = REJECT_ALL
            if REJECTS_ALL not in str(error):
                self._refuse(link, error)
        self._entries[link] = 1 + len(self._words)
        self._words = np.concatenate([self._words, program.words])

    def _refuse(self, link: int, error: UserError) -> None:
        self.refused.add(link)
        if len(self.refused) <= REFUSALS_TOLD:
            log.warning("packets of link type %d are filtered out: %s", link, error)
