"""Data of DNS resource records by type; types without a parser are shown in hex.

RFC 1035 (A NS CNAME SOA PTR MX TXT), 3596 (AAAA), 2782 (SRV), 8659 (CAA), 9460 (SVCB, HTTPS) and
6891 (OPT). A parser takes the record's own octets; names in them may point back into the message.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from services.api.protocols.dns_names import name_at
from services.api.protocols.octets import Octets, numbers, readable

IN = 1
CLASSES = {IN: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
OPT = 41
TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 17: "RP",
    18: "AFSDB", 24: "SIG", 25: "KEY", 28: "AAAA", 29: "LOC", 33: "SRV", 35: "NAPTR", 36: "KX",
    37: "CERT", 39: "DNAME", OPT: "OPT", 43: "DS", 44: "SSHFP", 46: "RRSIG", 47: "NSEC",
    48: "DNSKEY", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 59: "CDS",
    60: "CDNSKEY", 61: "OPENPGPKEY", 64: "SVCB", 65: "HTTPS", 99: "SPF", 108: "EUI48",
    109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI",
    257: "CAA",
}  # fmt: skip
NUMBER_OF = {name: number for number, name in TYPES.items()}
EDNS_OPTIONS = {
    3: "NSID", 5: "DAU", 6: "DHU", 7: "N3U", 8: "CLIENT-SUBNET", 9: "EXPIRE", 10: "COOKIE",
    11: "TCP-KEEPALIVE", 12: "PADDING", 13: "CHAIN", 14: "KEY-TAG", 15: "EXTENDED-ERROR",
}  # fmt: skip
SVC_KEYS = {
    0: "mandatory", 1: "alpn", 2: "no-default-alpn", 3: "port", 4: "ipv4hint", 5: "ech",
    6: "ipv6hint", 7: "dohpath",
}  # fmt: skip
DO = 0x8000  # "DNSSEC OK", among the flags of OPT


def data_of(kind: int, rdata: Octets) -> Any:
    """What the record says: text, a list or a dict; hex for types without a parser."""
    if kind not in PARSERS:
        return rdata.rest().hex()
    data = PARSERS[kind](rdata)
    if len(rdata):
        raise ValueError(f"{len(rdata)} octets behind the record's data")
    return data


def edns_of(cls: int, ttl: int, rdata: Octets) -> dict[str, Any]:
    """What OPT says in its class (UDP size), TTL (version, flags) and options."""
    edns: dict[str, Any] = {
        "udp_size": cls,
        "extended_rcode": ttl >> 24,
        "version": ttl >> 16 & 255,
        "do": bool(ttl & DO),
        "options": [],
    }
    try:
        while len(rdata):
            code = rdata.uint(2)
            name = EDNS_OPTIONS.get(code, f"OPT{code}")
            edns["options"].append({"code": code, "name": name, "data": rdata.vector(2).hex()})
    except ValueError as error:
        edns["note"] = str(error)
    return edns


def _a(rdata: Octets) -> str:
    return str(IPv4Address(rdata.take(4)))


def _aaaa(rdata: Octets) -> str:
    return str(IPv6Address(rdata.take(16)))


def _soa(rdata: Octets) -> dict[str, Any]:
    names = {"mname": name_at(rdata), "rname": name_at(rdata)}
    fields = ("serial", "refresh", "retry", "expire", "minimum")
    return names | {field: rdata.uint(4) for field in fields}


def _mx(rdata: Octets) -> dict[str, Any]:
    return {"preference": rdata.uint(2), "exchange": name_at(rdata)}


def _txt(rdata: Octets) -> list[str]:
    strings = []
    while len(rdata):
        strings.append(readable(rdata.vector(1)))
    return strings


def _srv(rdata: Octets) -> dict[str, Any]:
    fields = {field: rdata.uint(2) for field in ("priority", "weight", "port")}
    return fields | {"target": name_at(rdata)}


def _caa(rdata: Octets) -> dict[str, Any]:
    flags, tag = rdata.uint(1), readable(rdata.vector(1))
    return {"flags": flags, "tag": tag, "value": readable(rdata.rest())}


def _svcb(rdata: Octets) -> dict[str, Any]:
    priority, target, params = rdata.uint(2), name_at(rdata), {}
    while len(rdata):
        key, value = rdata.uint(2), Octets(rdata.vector(2))
        params[SVC_KEYS.get(key, f"key{key}")] = _svc_value(key, value)
    return {"priority": priority, "target": target, "params": params}


def _svc_value(key: int, value: Octets) -> Any:
    match SVC_KEYS.get(key):
        case "mandatory":
            return [SVC_KEYS.get(one, f"key{one}") for one in numbers(value.rest())]
        case "alpn":
            return _txt(value)
        case "port":
            return value.uint(2)
        case "ipv4hint":
            return [_a(value) for _ in range(len(value) // 4)]
        case "ipv6hint":
            return [_aaaa(value) for _ in range(len(value) // 16)]
        case "no-default-alpn":
            return True
        case "dohpath":
            return readable(value.rest())
        case _:
            return value.rest().hex()


PARSERS: dict[int, Callable[[Octets], Any]] = {
    NUMBER_OF["A"]: _a,
    NUMBER_OF["AAAA"]: _aaaa,
    NUMBER_OF["SOA"]: _soa,
    NUMBER_OF["MX"]: _mx,
    NUMBER_OF["SRV"]: _srv,
    NUMBER_OF["CAA"]: _caa,
    NUMBER_OF["SVCB"]: _svcb,
    NUMBER_OF["HTTPS"]: _svcb,
    **{NUMBER_OF[name]: name_at for name in ("NS", "CNAME", "PTR", "DNAME")},
    **{NUMBER_OF[name]: _txt for name in ("TXT", "SPF")},
}
