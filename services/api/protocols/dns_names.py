"""Domain names (RFC 1035, 4.1.4), decompressed, as text.

Rules: a pointer must point before the label it stands at, so no name loops; a name has at most 255
octets. Octets that do not print are written `\\DDD`, dots within a label `\\.` (RFC 1035, 5.1).
mDNS has UTF-8 in labels.
"""

from services.api.protocols.octets import CutOffError, Octets

NAME_MAX = 255
POINTERS_MAX = 128  # followed for one name
POINTER = 0xC0


def name_at(reader: Octets) -> str:
    """The name at the reader, which then stands behind it. The root is `.`."""
    data, at = reader.data, reader.at
    labels: list[str] = []
    behind = -1  # where the name ends in the message, once a pointer was followed
    size, lowest, end, pointers = 0, at, reader.end, 0
    while True:
        if at >= end:
            raise CutOffError(f"a name breaks off at {at}")
        length = data[at]
        if length >= POINTER:
            if at + 2 > end:
                raise CutOffError(f"a name breaks off at {at}")
            target = (length & ~POINTER) << 8 | data[at + 1]
            pointers += 1
            if target >= lowest or pointers > POINTERS_MAX:
                raise ValueError(f"the name pointer at {at} leads nowhere")
            behind = at + 2 if behind < 0 else behind
            at = lowest = target
            end = len(data)
            continue
        if length >= 64:
            raise ValueError(f"unknown label type {length >> 6} at {at}")
        at += 1
        if length == 0:
            break
        if at + length > end:
            raise CutOffError(f"a name breaks off at {at}")
        size += length + 1
        if size >= NAME_MAX:
            raise ValueError(f"a name has more than {NAME_MAX} octets at {at}")
        labels.append(_label(data[at : at + length]))
        at += length
    reader.at = behind if behind >= 0 else at
    return ".".join(labels) or "."


def _label(octets: bytes) -> str:
    text = octets.decode("utf-8", "surrogateescape")
    return text if text.isalnum() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character in ".\\":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\{octet:03}" for octet in character.encode("utf-8", "surrogateescape"))
