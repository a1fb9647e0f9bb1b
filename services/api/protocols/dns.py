"""DNS messages (RFC 1035, 4.1) of every transport, with EDNS (RFC 6891) and the bits of mDNS.

Rules: a section that breaks off keeps what was read, and `note` says why and where. The lists are
bounded, and so is the work for a name (`dns_names`).
"""

from typing import Any

from services.api.protocols.dns_names import name_at
from services.api.protocols.dns_records import CLASSES, IN, OPT, TYPES, data_of, edns_of
from services.api.protocols.octets import CutOffError, Octets

OPCODES = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
    6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI",
    16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG",
    22: "BADTRUNC", 23: "BADCOOKIE",
}  # fmt: skip
FLAGS = {"qr": 15, "aa": 10, "tc": 9, "rd": 8, "ra": 7, "ad": 5, "cd": 4}
COUNTS, HEADER = 4, 12  # octets before the counts, and before the first name
SECTIONS = ("answers", "authority", "additional")
RECORDS_MAX = 1000  # listed of one message
TOP_BIT = 0x8000  # of a class: mDNS' "unicast response" and "cache flush" (RFC 6762, 18)


def explain(octets: bytes | None, name: str) -> dict[str, Any]:
    """octets: the whole message, without TCP's length."""
    detail: dict[str, Any] = {"id": None, "opcode": None, "rcode": None, "flags": []}
    detail |= {"questions": [], **{section: [] for section in SECTIONS}}
    if octets is None:
        questions = [{"name": name, "type": None, "class": None}] if name else []
        return detail | {"questions": questions, "note": "the message is no longer retained"}
    reader = Octets(octets)
    try:
        counts = _header(reader, detail)
        _sections(reader, counts, detail)
    except ValueError as error:  # CutOffError among them
        detail["note"] = str(error)
    return detail


def headline(octets: bytes) -> str:
    """`A flag.lan`: the first question, or where there is none the first record. ValueError when
    these octets, the first ones of a message, are none or too few for it."""
    if not any(octets[COUNTS:HEADER]):
        raise ValueError("a message that names nothing")
    reader = Octets(octets, HEADER)
    name = name_at(reader)
    return f"{type_name(reader.uint(2))} {name}"


def _header(reader: Octets, detail: dict[str, Any]) -> list[int]:
    """Fill what the header says; returns how many questions and records of each section follow."""
    detail["id"] = reader.uint(2)
    flags = reader.uint(2)
    opcode, rcode = flags >> 11 & 15, flags & 15
    detail["opcode"] = OPCODES.get(opcode, f"OPCODE{opcode}")
    detail["rcode"] = RCODES.get(rcode, f"RCODE{rcode}")
    detail["flags"] = [name for name, bit in FLAGS.items() if flags >> bit & 1]
    return [reader.uint(2) for _ in range(4)]


def _sections(reader: Octets, counts: list[int], detail: dict[str, Any]) -> None:
    room = RECORDS_MAX
    for _ in range(min(counts[0], room)):
        detail["questions"].append(_question(reader))
    room -= len(detail["questions"])
    for section, count in zip(SECTIONS, counts[1:], strict=True):
        for _ in range(min(count, room)):
            record = _record(reader, detail)
            if record:
                detail[section].append(record)
            room -= 1
    if sum(counts) > RECORDS_MAX:
        detail["note"] = f"only the first {RECORDS_MAX} of {sum(counts)} records were read"


def _question(reader: Octets) -> dict[str, Any]:
    name = name_at(reader)
    kind, cls = reader.uint(2), reader.uint(2)
    top = cls & TOP_BIT and cls & ~TOP_BIT == IN
    question = {
        "name": name,
        "type": type_name(kind),
        "class": class_name(cls & ~TOP_BIT if top else cls),
    }
    return question | ({"unicast_response": True} if top else {})


def _record(reader: Octets, detail: dict[str, Any]) -> dict[str, Any] | None:
    """The next record. OPT is none: it is the message's `edns`, and widens its rcode."""
    start = reader.at
    name = name_at(reader)
    kind, cls, ttl, size = reader.uint(2), reader.uint(2), reader.uint(4), reader.uint(2)
    rdata = Octets(reader.data, reader.at, min(reader.at + size, reader.end))
    octets = rdata.data[rdata.at : rdata.end]
    cut = size > len(octets)
    reader.at = rdata.end
    if kind == OPT:
        detail["edns"] = edns_of(cls, ttl, rdata)
        if ttl >> 24:
            rcode = ttl >> 24 << 4 | (Octets(reader.data, 3).uint(1) & 15)
            detail["rcode"] = RCODES.get(rcode, f"RCODE{rcode}")
        return None
    top = cls & TOP_BIT and cls & ~TOP_BIT == IN
    record = {
        "name": name,
        "type": type_name(kind),
        "class": class_name(cls & ~TOP_BIT if top else cls),
        "ttl": ttl,
        **({"cache_flush": True} if top else {}),
    }
    try:
        record["data"] = data_of(kind, rdata)
    except ValueError as error:
        record |= {"data": octets.hex(), "note": str(error)}
    if cut:
        raise CutOffError(f"the record at {start} breaks off")
    return record


def type_name(number: int) -> str:
    """Unknown ones as RFC 3597 writes them."""
    return TYPES.get(number, f"TYPE{number}")


def class_name(number: int) -> str:
    """Unknown ones as RFC 3597 writes them."""
    return CLASSES.get(number, f"CLASS{number}")
