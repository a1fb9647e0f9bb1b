"""CURVE keys: who is who between machines. A folder has a public key of each service, and the
secret ones of those that run on this machine; `flowmate keys` makes all of them.

A key is a line of 40 characters (Z85, ZeroMQ RFC 32) in a file of its own, `shard.public` or
`shard.secret`. All shards of a cluster share one pair, as all APIs do: what a key proves is the
service that a peer is, not the machine.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import zmq

from shared.errors import EXIT_OK, UserError
from shared.settings import EVERY, Service

PUBLIC, SECRET = ".public", ".secret"
KEY_BYTES = 40  # of text
FILE_BYTES_MAX = 64
HOW = "flowmate keys DIR makes them"


class Keys(NamedTuple):
    """What one service has. secret: its own; public: of all services. As text."""

    service: Service
    secret: bytes
    public: Mapping[Service, bytes]


def load(folder: str, service: Service) -> Keys:
    """The keys that `service` needs. UserError says which one is missing or wrong, and why."""
    public: dict[Service, bytes] = {each: _read(Path(folder, each + PUBLIC)) for each in EVERY}
    path = Path(folder, service + SECRET)
    secret = _read(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(f"{path} may be read by others: chmod 600 {path}")
    if zmq.curve_public(secret) != public[service]:
        raise UserError(
            f"{path} and {service}{PUBLIC} are no pair: give each machine files of one folder"
        )
    return Keys(service, secret, public)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX).strip()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"--curve-keys: {path}: {reason}; {HOW}") from None
    try:
        zmq.curve_public(text)  # any key will do: it only has to be one
    except (ValueError, zmq.ZMQError):
        raise UserError(
            f"--curve-keys: {path} is no key of {KEY_BYTES} characters; {HOW}"
        ) from None
    return text


def make(folder: Path) -> None:
    """A pair for each service in a folder that has none; nothing is overwritten. UserError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for service in EVERY:
            for path in (folder / (service + PUBLIC), folder / (service + SECRET)):
                if path.exists():
                    raise UserError(f"{path} is there already: give another folder, or remove it")
        for service in EVERY:
            public, secret = zmq.curve_keypair()
            _write(folder / (service + SECRET), secret, 0o600)
            _write(folder / (service + PUBLIC), public, 0o644)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{folder}: {reason}; give a folder that can be written") from None


def _write(path: Path, key: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key + b"\n")


def main(argv: Sequence[str]) -> int:
    """`flowmate keys DIR`."""
    if len(argv) != 1 or argv[0].startswith("-"):
        raise UserError("flowmate keys: name the folder that they are to be in")
    folder = Path(argv[0])
    make(folder)
    print(
        f"keys of {', '.join(EVERY)} are in {folder}; a machine needs every *{PUBLIC}, and the"
        f" {SECRET} of the services that run there"
    )
    return EXIT_OK
