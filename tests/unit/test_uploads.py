"""Uploads: what the API puts on the disk, and what capture takes from there."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.api.problems import Problem
from services.api.spool import Spool, safe_name
from services.capture.compressed import GZIP_MAGIC, ZSTD_MAGIC
from services.capture.pcap_file import VARIANTS
from services.capture.pcapng import MAGIC
from services.capture.uploads import Uploads
from shared.settings import Settings
from shared.uploads import MAGICS, waiting

PCAP = bytes.fromhex("d4c3b2a1") + bytes(20)


def status_of(octets: list[bytes], folder: Path, longest: int = 1000) -> int:
    """201, or the status of the refusal; nothing is left of what was refused."""
    spool = Spool(folder, "x.pcap", longest)
    try:
        for piece in octets:
            spool.write(piece)
        spool.finish()
    except Problem as problem:
        spool.drop()
        assert list(folder.iterdir()) == []
        return problem.status
    spool.drop()
    assert [path.read_bytes() for path in waiting(folder)] == [b"".join(octets)]
    return 201


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        ([PCAP], 201),
        ([b"\xd4", b"\xc3\xb2", b"\xa1rest"], 201),
        ([b"\x1f\x8b"], 201),
        ([], 415),
        ([b""], 415),
        ([b"\xd4\xc3"], 415),
        ([b"PK\x03\x04"], 415),
        ([b"\xd4", b"\xc3\xb2\xa2"], 415),
        ([PCAP, bytes(1000)], 413),
        ([PCAP, bytes(1000 - len(PCAP))], 201),
    ],
)
def test_what_is_taken(octets: list[bytes], status: int, tmp_path: Path) -> None:
    assert status_of(octets, tmp_path) == status


def test_every_format_that_capture_reads_is_taken() -> None:
    assert {*VARIANTS, MAGIC, GZIP_MAGIC, ZSTD_MAGIC} == set(MAGICS)


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = SimpleNamespace(f_bavail=1, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    assert status_of([PCAP], tmp_path) == 507


@pytest.mark.parametrize(
    ("number", "status"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EACCES, 503)]
)
def test_a_disk_that_fails(number: int, status: int, tmp_path: Path) -> None:
    spool = Spool(tmp_path, "x", 1000)

    class Broken:
        def write(self, octets: Any) -> int:
            raise OSError(number, os.strerror(number))

        def close(self) -> None:
            pass

    spool._file.close()
    spool._file = Broken()  # type: ignore[assignment]
    with pytest.raises(Problem) as caught:
        spool.write(PCAP)
    assert caught.value.status == status


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        Spool(tmp_path / "nowhere", "x", 1000)
    assert caught.value.status == 503


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.pcap", "a.pcap"),
        ("../../etc/passwd", "passwd"),
        ("C:\\captures\\day 1.pcapng", "day_1.pcapng"),
        ("", "capture"),
        ("..", "capture"),
        ("\0\n\u2026", "capture"),
        ("x" * 200 + ".pcap", "x" * 95 + ".pcap"),
    ],
)
def test_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


# ------------------------------------------------------------------------------------- capture
def test_each_upload_is_read_once_and_removed(tmp_path: Path) -> None:
    uploads = Uploads(Settings(run_dir=str(tmp_path), api_listen="127.0.0.1:1"))
    folder = tmp_path / "uploads"
    assert uploads.next() is None
    for name in ("2-b", "1-a", ".3-c"):
        (folder / name).write_bytes(PCAP)
    first, second = uploads.next(), uploads.next()
    assert first is not None
    assert second is not None
    assert [first.name, second.name] == ["1-a", "2-b"]
    assert uploads.next() is None
    uploads.done(first.name)
    assert [path.name for path in waiting(folder)] == ["2-b"]


def test_a_folder_of_the_users_is_kept(tmp_path: Path) -> None:
    uploads = Uploads(Settings(run_dir=str(tmp_path), upload_dir=str(tmp_path / "mine")))
    (tmp_path / "mine" / "1-a").write_bytes(PCAP)
    path = uploads.next()
    assert path is not None
    uploads.done(path.name)
    assert path.exists()
    assert uploads.next() is None


def test_without_an_api_nothing_is_taken(tmp_path: Path) -> None:
    uploads = Uploads(Settings(run_dir=str(tmp_path)))
    assert not uploads.taken
    assert uploads.next() is None
    assert list(tmp_path.iterdir()) == []
