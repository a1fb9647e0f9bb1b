"""What all tests share: how hard hypothesis tries, where captures are, how flowmate is started."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
RUN_SECONDS = 120  # a first run compiles the kernels

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("quick", deadline=None, max_examples=15, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=20_000)
settings.load_profile("ci" if os.environ.get("CI") else "default")

Flowmate = Callable[..., "subprocess.CompletedProcess[str]"]


def clean_environ() -> dict[str, str]:
    """This process's environment without flowmate's settings; services are found in this tree."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FLOWMATE_")}
    return kept | {"PYTHONPATH": str(ROOT)}


def peak_bytes_of(pid: int) -> int:
    """The most memory that a process had in RAM, proc(5) status."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) << 10


@pytest.fixture(scope="session")
def command() -> list[str]:
    """The words that start flowmate."""
    return [sys.executable, "-m", "shared.launcher"]


@pytest.fixture
def flowmate(command: list[str], tmp_path: Path) -> Flowmate:
    """Run the command in an empty folder to its end: `flowmate("--pcap", file)`."""

    def run(*arguments: str | Path, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*command, *map(str, arguments)],
            check=False,
            cwd=tmp_path,
            env=clean_environ() | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )

    return run


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Captures with their truth, kept outside the repository; skips where they are not."""
    folder = Path(os.environ.get("FLOWMATE_SHARED") or ROOT.parent / "shared")
    if not (folder / "corpus").is_dir():
        pytest.skip(f"no captures in {folder}: set FLOWMATE_SHARED")
    return folder


@pytest.fixture(scope="session")
def corpus(shared_folder: Path) -> Path:
    """The folder of captures."""
    return shared_folder / "corpus"


@pytest.fixture(scope="session")
def sample_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated sample."""
    from shared.sample import recording

    path = tmp_path_factory.mktemp("sample") / "sample.pcap"
    with path.open("wb") as file:
        recording().write(file)
    return path
