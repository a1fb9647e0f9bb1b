"""Streaming analyzers: bytes in, findings out, no I/O. A new one is one file in this folder.

Rules. An analyzer is made for one stream. `feed` takes what a side said, in order and without
holes; a hole is told with `gap`. A finding is a dict of JSON values; its `summary` is what a list
shows. An analyzer that has seen enough sets `done`, and its stream costs nothing from there on. One
that raises is ended, for that stream. docs/adding-a-parser.md has an example.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeVar

from shared.columns import SERVICES

Finding = dict[str, Any]


class Analyzer:
    """What all have. Streams of these services, or on these ports, are theirs."""

    name: ClassVar[str] = ""
    services: ClassVar[frozenset[str]] = frozenset()
    ports: ClassVar[frozenset[int]] = frozenset()
    done = False

    def feed(self, chunk: bytes, from_client: bool) -> Iterable[Finding]:
        """What a side says next."""
        raise NotImplementedError

    def gap(self, from_client: bool, length: int) -> Iterable[Finding]:
        """So many bytes of a side were never captured."""
        return ()

    def end(self) -> Iterable[Finding]:
        """The stream is over."""
        return ()


Class = TypeVar("Class", bound=type[Analyzer])
_registered: dict[str, type[Analyzer]] = {}


def register(analyzer: Class) -> Class:
    """Have streams looked at by this class. One of the same name is replaced."""
    unknown = analyzer.services - frozenset(SERVICES[1:])
    assert analyzer.name, f"{analyzer.__name__} has no name"
    assert not unknown, f"{analyzer.name}: no such service: {sorted(unknown)}"
    assert all(0 < port < 1 << 16 for port in analyzer.ports), f"{analyzer.name}: no such port"
    _registered[analyzer.name] = analyzer
    return analyzer


def unregister(name: str) -> None:
    """Take a class out again."""
    del _registered[name]


def analyzers() -> Iterator[type[Analyzer]]:
    """All classes: those in this folder, and what else was registered."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    yield from list(_registered.values())
