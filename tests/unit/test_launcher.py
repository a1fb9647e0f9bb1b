"""The launcher: its commands, and a local run over services that are a few lines each."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared import figures, kernel_cache, progress, sample, summary, token
from shared.errors import UserError
from shared.run_dir import LONGEST_NAME, SOCKET_PATH_MAX, run_dir
from shared.settings import Settings
from tests.conftest import ROOT, Flowmate, clean_environ

COORDINATOR = r"""
import os, sys, zmq
from pathlib import Path
from shared.schema import Reply, Request, unpack
from shared.service import Loop, new_context, run_service
from shared.wire import Bus, open_socket

def main(settings, stop):
    context = new_context()
    asked = open_socket(context, zmq.ROUTER, 10)
    asked.bind(Bus(settings.run_dir).requests)
    loop, folder = Loop(stop), Path(settings.run_dir)
    others = 1 + settings.workers + bool(settings.api_listen)
    def over():
        hold = os.environ.get("FAKE_HOLD") and not (folder / "capture-ended").exists()
        return len(list(folder.glob("up-*"))) == others and not hold
    def answer():
        who, _, frame = asked.recv_multipart()
        request = unpack(Request, frame, "requests")
        if request.op == "health":
            status = os.environ.get("FAKE_STATUS", "completed") if over() else "running"
            result = {"run_status": status, "totals": {"packets": 1234, "streams": 2},
                      "shards": [], "drops": {"truncated": 1}}
        else:
            result = {"total": 2 if "tcp" in request.args["filter"].values() else 0}
        asked.send_multipart([who, b"", Reply(result=result).pack()])
    loop.on_readable(asked, answer)
    print("event", flush=True) if settings.output == "-" else None
    while not stop.requested:
        loop.turn()
    asked.close()
    context.term()
    sys.stderr.write("coordinator ends\n")
    return 0

if __name__ == "__main__":
    sys.exit(run_service("coordinator", main))
"""
OTHER = r"""
import os, signal, sys
from pathlib import Path
from shared.errors import UserError
from shared.service import Loop, run_service

def main(settings, stop):
    name = "NAME"
    told = (name, settings.workers, settings.shard_index, settings.output)
    sys.stderr.write(" ".join(map(str, told)) + "\n")
    sys.stdout.write("not an event\n")
    sys.stdout.flush()
    if os.environ.get("FAKE_CRASH") == name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if os.environ.get("FAKE_USAGE") == name:
        raise UserError("a bad value")
    folder = Path(settings.run_dir)
    (folder / f"up-{name}-{settings.shard_index}").touch()
    if os.environ.get("FAKE_DEAF") == name:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pause()
    loop = Loop(stop)
    while not stop.requested:
        loop.turn()
    sys.stderr.write(f"{name} ends\n")
    (folder / f"{name}-ended").touch()
    return int(os.environ.get("FAKE_CAPTURE_EXIT", "0")) if name == "capture" else 0

if __name__ == "__main__":
    sys.exit(run_service("NAME", main))
"""
START = """
import pathlib, sys
from shared import children
children.ROOT = pathlib.Path(sys.argv[1])
from shared.launcher import main
sys.exit(main(sys.argv[2:]))
"""


class Tree:
    """A folder with services that only pretend."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("capture", "shard", "coordinator", "api"):
            package = folder / "services" / name
            package.mkdir(parents=True)
            (package / "__init__.py").touch()
            text = COORDINATOR if name == "coordinator" else OTHER.replace("NAME", name)
            (package / "__main__.py").write_text(text)
        (folder / "services" / "__init__.py").touch()
        (folder / "a.pcap").touch()

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", START, str(self.folder), *arguments],
            env=clean_environ() | {"PYTHONPATH": str(ROOT)} | environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        with self.start(*arguments, **environ) as process:
            out, err = process.communicate(timeout=60)
            return process.returncode, out, err


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def heard(process: "subprocess.Popen[str]", words: str) -> str:
    """Standard error up to the line with `words`."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"{words!r} was never said, but: {''.join(lines)}")


# ------------------------------------------------------------------------------- commands
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to read: give a capture with --pcap FILE"),
        (["think"], "think is no command; commands: capture, shard, coordinator, api, sample"),
        (["--pcap"], "expected one argument"),
        (["--max-flow", "1"], "unrecognized arguments"),
        (["sample", "-o", "no/such/folder/x.pcap"], "no such file or directory"),
        (["healthcheck", "weather"], "name one of capture, shard, coordinator, api"),
        (["--pcap", "x", "--api-listen", "33111"], "give HOST:PORT"),
        (["--pcap", "x", "--mode", "dump", "--api-listen", "127.0.0.1:1"], "--mode dump"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    flowmate: Flowmate, arguments: list[str], words: str
) -> None:
    done = flowmate(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_file_for_a_command_gets_a_hint(flowmate: Flowmate, sample_capture: Path) -> None:
    assert f"flowmate --pcap {sample_capture}" in flowmate(sample_capture).stderr


def test_version_and_help(flowmate: Flowmate) -> None:
    assert re.fullmatch(r"flowmate \d+\.\d+\.\d+\n", flowmate("--version").stdout)
    assert "flowmate sample [-o FILE]" in flowmate("--help").stdout


def test_an_address_in_use_is_told_before_anything_starts(flowmate: Flowmate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = flowmate("--pcap", "x", "--api-listen", address)
    assert done.returncode == 2
    assert f"--api-listen {address}: address already in use" in done.stderr


# ------------------------------------------------------------------------------ local run
def test_a_run_ends_with_its_table(tree: Tree) -> None:
    status, out, err = tree.run("--pcap", "a.pcap", "--workers", "2")
    assert status == 0
    assert out == ""
    assert "flowmate: completed after" in err
    assert re.search(r"packets +1,234 ·", err)
    assert re.search(r"streams +2 · tcp 2\n", err)
    assert re.search(r"drops +truncated 1\n", err)
    assert re.search(r"output +a.pcap.jsonl\n", err)


def test_children_are_told_the_number_of_shards_and_each_its_own(tree: Tree) -> None:
    _, _, err = tree.run("--pcap", "a.pcap", "--workers", "2", FLOWMATE_SHARD_INDEX="7")
    assert "shard 2 0 a.pcap.jsonl" in err
    assert "shard 2 1 a.pcap.jsonl" in err
    _, _, err = tree.run("--pcap", "-")
    assert re.search(r"capture [1-9]\d* -1 live.jsonl", err)


def test_the_coordinator_ends_last(tree: Tree) -> None:
    _, _, err = tree.run("--pcap", "a.pcap")
    order = [line.split()[0] for line in err.splitlines() if line.endswith(" ends")]
    assert sorted(order[:2]) == ["capture", "shard"]
    assert order[2:] == ["coordinator"]


def test_only_events_go_to_standard_output(tree: Tree) -> None:
    _, out, err = tree.run("--pcap", "a.pcap", "--output", "-")
    assert out == "event\n"
    assert "output" not in err


def test_a_failed_run_is_status_1(tree: Tree) -> None:
    assert tree.run("--pcap", "a.pcap", FAKE_STATUS="failed")[0] == 1


def test_a_crash_is_named_and_ends_the_others(tree: Tree) -> None:
    status, _, err = tree.run("--pcap", "a.pcap", FAKE_HOLD="1", FAKE_CRASH="shard")
    assert status == 70
    assert "flowmate: shard 0 ended early (killed by SIGSEGV); stopping" in err


def test_a_mistake_that_a_service_finds_is_told_once(tree: Tree) -> None:
    status, _, err = tree.run("--pcap", "a.pcap", FAKE_HOLD="1", FAKE_USAGE="capture")
    assert status == 2
    assert err.count("a bad value") == 1
    assert "ended early" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_capture_first_and_what_was_read_is_told(
    tree: Tree, number: signal.Signals
) -> None:
    with tree.start("--pcap", "a.pcap", FAKE_HOLD="1") as process:
        heard(process, "capture ")
        process.send_signal(number)
        err = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert err.index("capture ends") < err.index("shard ends") < err.index("coordinator ends")
    assert "completed after" in err


def test_a_second_signal_kills(tree: Tree) -> None:
    with tree.start("--pcap", "a.pcap", FAKE_HOLD="1", FAKE_DEAF="capture") as process:
        heard(process, "capture ")
        process.send_signal(signal.SIGINT)
        heard(process, "stopping")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=5)
    assert process.returncode == 130


def test_with_an_api_it_stays_until_told_to_go(tree: Tree, port: int) -> None:
    address = f"127.0.0.1:{port}"
    with tree.start("--pcap", "a.pcap", "--api-listen", address) as process:
        heard(process, "completed after")
        with socket.create_server(("127.0.0.1", port)):
            assert f"API http://{address}/  (Ctrl-C ends)" in heard(process, "API")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert "api ends" in process.communicate(timeout=30)[1]
    assert process.returncode == 0


def test_nothing_is_left_behind(tree: Tree, tmp_path: Path) -> None:
    before = set(Path("/dev/shm").glob("flowmate-*"))
    tree.run("--pcap", "a.pcap")
    assert set(Path("/dev/shm").glob("flowmate-*")) - before == set()


def test_services_end_when_the_launcher_is_killed(tree: Tree) -> None:
    with tree.start("--pcap", "a.pcap", FAKE_HOLD="1") as process:
        heard(process, "capture ")
        process.kill()
        process.communicate(timeout=30)  # returns when nobody holds the pipes any more


# -------------------------------------------------------------------------------- run dir
def test_a_run_dir_is_private_and_short_lived() -> None:
    with run_dir("", 1) as path:
        assert path.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(path)) + LONGEST_NAME <= SOCKET_PATH_MAX
    assert not path.exists()


def test_a_given_run_dir_is_kept(tmp_path: Path) -> None:
    with run_dir(str(tmp_path / "run"), 1) as path:
        (path / "something").touch()
    assert (path / "something").exists()


def test_a_long_run_dir_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too long; 86 bytes at most"), run_dir("/" + "x" * 87, 1):
        pass


def test_without_room_in_memory_it_lies_in_the_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with run_dir("", 1 << 40) as path:
        assert path.parent in (tmp_path, Path("/tmp"))


def test_what_a_killed_run_left_is_removed() -> None:
    with run_dir("", 1) as first:
        parent = first.parent
    abandoned = parent / "flowmate-abandoned"
    abandoned.mkdir()
    (abandoned / "lock").touch()
    os.utime(abandoned, (0, 0))
    with run_dir("", 1) as alive:
        os.utime(alive, (0, 0))
        assert not abandoned.exists()
        with run_dir("", 1):
            assert alive.exists()


# ------------------------------------------------------------------------- what is printed
class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def health(**more: object) -> dict[str, object]:
    source = {"name": "/x/a.pcap", "size": 1000, "position": 250}
    return {"run_status": "running", "totals": {"packets": 5000}, "sources": [source]} | more


def test_a_bar_on_a_terminal() -> None:
    times = iter([0.0, 0.0, 2.0])
    terminal = Terminal()
    bar = progress.Progress(terminal, lambda: next(times))
    bar.update(health())
    bar.update(health())
    bar.clear()
    assert "█████░░░░░░░░░░░░░░░  25%  5,000 packets" in terminal.getvalue()
    assert "2.5 k packets/s  ETA 6.0 s" in terminal.getvalue()
    assert terminal.getvalue().endswith(progress.CLEAR)


def test_no_bar_in_a_pipe() -> None:
    pipe = io.StringIO()
    progress.Progress(pipe).update(health())
    assert pipe.getvalue() == ""


def test_a_source_without_a_size_has_no_bar() -> None:
    told = health(sources=[{"name": "-", "size": 0, "position": 9}])
    assert progress.line(told, 2.0) == "reading  5,000 packets  2.5 k packets/s"


def test_problems_are_listed_and_the_rest_is_counted() -> None:
    problems = [{"offset": 1000 * i, "reason": "record cut short"} for i in range(9)]
    source = {"name": "/x/a.pcap", "damaged": 12, "problems": problems}
    text = summary.table(health(sources=[source]), {}, {}, summary.Times(1.0, 0.5), "-")
    assert "packets   5,000 · 0 B · 10 k packets/s" in text
    assert "problems  a.pcap: record cut short" in text
    assert "a.pcap at byte 4,000" in text
    assert "a.pcap at byte 5,000" not in text
    assert text.endswith("7 more")


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (figures.size(999), "999 B"),
        (figures.size(1_234_567), "1.23 MB"),
        (figures.size(10**18), "1e+03 PB"),
        (figures.rate(12), "12"),
        (figures.rate(1_234_567), "1.23 M"),
        (figures.duration(3.21), "3.2 s"),
        (figures.duration(125), "2 min 05 s"),
        (figures.duration(7500), "2 h 05 min"),
        (figures.ranking({"a": 1, "b": 2000, "c": 0}), "b 2,000 · a 1"),
        (figures.ranking({"a": 1, "b": 2, "c": 3}, 1), "c 3 · 2 more"),
    ],
)
def test_figures(shown: str, wanted: str) -> None:
    assert shown == wanted


# ----------------------------------------------------------------------------------- token
@pytest.mark.parametrize(
    ("listen", "needed"),
    [
        ("", False),
        ("127.0.0.1:1", False),
        ("localhost:1", False),
        ("[::1]:1", False),
        ("0.0.0.0:1", True),
        ("[::]:1", True),
        ("box.example:1", True),
    ],
)
def test_others_need_a_token(listen: str, needed: bool) -> None:
    assert token.needs_token(Settings(api_listen=listen)) is needed
    assert not token.needs_token(Settings(api_listen=listen, api_token="x"))


# ------------------------------------------------------------------------------ kernel cache
@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(kernel_cache.VARIABLE, "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_kernels_are_kept_under_their_digest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel_cache.is_cold()
    kernel_cache.prepare()
    assert kernel_cache.is_cold()
    kernel_cache.note_warm()
    assert not kernel_cache.is_cold()
    place = home / "flowmate" / f"kernels-{kernel_cache.digest()}"
    assert os.environ[kernel_cache.VARIABLE] == str(place)
    assert place.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(kernel_cache, "version", lambda name: "0.0")
    assert kernel_cache.digest() not in place.name


def test_a_folder_that_others_can_write_is_not_used(home: Path) -> None:
    place = kernel_cache.folder()
    place.mkdir(parents=True)
    place.chmod(0o777)
    kernel_cache.prepare()
    assert os.environ[kernel_cache.VARIABLE] != str(place)


def test_kernels_of_old_sources_are_forgotten(home: Path) -> None:
    old, recent = home / "flowmate" / "kernels-old", home / "flowmate" / "kernels-recent"
    for folder in (old, recent):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    kernel_cache.prepare()
    assert not old.exists()
    assert recent.exists()


# ---------------------------------------------------------------------------------- sample
def test_the_sample_is_always_the_same() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    sample.recording().write(first)
    sample.recording().write(second)
    assert first.getvalue() == second.getvalue()
    assert 300_000 < len(first.getvalue()) < 1_000_000
