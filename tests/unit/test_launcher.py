"""The launcher: its commands, and a local run over services that are a few lines each."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared.patience import PAUSES_S
from tests.conftest import ROOT, Flowmate, clean_environ
from tests.e2e.run import processes_of
from tests.waiting import eventually

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
        elif request.op == "notice":
            words = "service", "what", "how", "restarts"
            sys.stderr.write(" ".join(str(request.args[word]) for word in words) + "\n")
            result = {}
        elif request.op == "facets":
            services = [{"name": "unknown", "count": 1}, {"name": "http", "count": 1}]
            result = {"protocols": [{"name": "tcp", "count": 2}], "services": services}
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
    if settings.metrics_listen:
        sys.stderr.write(f"metrics of {name} at {settings.metrics_listen}\n")
    sys.stderr.write(" ".join(map(str, told)) + "\n")
    sys.stderr.write(f"in {settings.run_dir}\n")
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
children.ROOT = pathlib.Path(__file__).parent
from shared.launcher import main
sys.exit(main(sys.argv[1:]))
"""
INTERRUPTED = """
import os, pathlib, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if children := sys.modules.get("shared.children"):
            children.ROOT = pathlib.Path(__file__).parent
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
from shared.launcher import main
sys.exit(main(["--pcap", "a.pcap"]))
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
        (folder / "start.py").write_text(START)
        (folder / "interrupted.py").write_text(INTERRUPTED)

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(self.folder / "start.py"), *arguments],
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
        (["--pcap", "x", "--metrics-listen", "[::1]:65532", "--workers", "2"], "have port 65536"),
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
    assert re.search(r"services +http 1\n", err)
    assert re.search(r"drops +truncated 1\n", err)
    assert re.search(r"output +a.pcap.jsonl\n", err)


def test_children_are_told_the_number_of_shards_and_each_its_own(tree: Tree) -> None:
    _, _, err = tree.run("--pcap", "a.pcap", "--workers", "2", FLOWMATE_SHARD_INDEX="7")
    assert "shard 2 0 a.pcap.jsonl" in err
    assert "shard 2 1 a.pcap.jsonl" in err
    _, _, err = tree.run("--pcap", "-")
    assert re.search(r"capture [1-9]\d* -1 live.jsonl", err)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_each_service_has_a_port_of_its_own_for_metrics(tree: Tree, host: str, port: int) -> None:
    wanted = {("api", "5002"), ("capture", "5000"), ("shard", "5003"), ("shard", "5004")}
    found: set[tuple[str, str]] = set()
    with tree.start(
        *("--pcap", "a.pcap", "--workers", "2", "--metrics-listen", f"{host}:5000"),
        *("--api-listen", f"127.0.0.1:{port}"),
        FAKE_HOLD="1",
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            found |= set(re.findall(rf"^metrics of (\w+) at {re.escape(host)}:(\d+)$", line))
            if found >= wanted:
                break
        process.terminate()
        process.communicate(timeout=30)
    assert found == wanted


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


def test_a_service_that_always_crashes_is_named_and_ends_the_others(tree: Tree) -> None:
    status, _, err = tree.run("--pcap", "a.pcap", FAKE_HOLD="1", FAKE_CRASH="shard")
    assert status == 70
    words = "flowmate: shard 0 ended early (killed by SIGSEGV)"
    assert err.count(f"{words}; starting it again") == len(PAUSES_S)
    assert f"{words}, too often within a minute; stopping" in err
    assert "coordinator ends" in err


@pytest.mark.parametrize("service", ["capture", "shard", "coordinator", "api"])
def test_a_service_that_is_killed_is_started_again(tree: Tree, port: int, service: str) -> None:
    address = ("--api-listen", f"127.0.0.1:{port}")
    with tree.start("--pcap", "a.pcap", *address, FAKE_HOLD="1") as process:
        for restarts in (1, 2):
            [pid] = eventually(lambda: children_of(process.pid, service))
            os.kill(pid, signal.SIGKILL)
            name = "shard 0" if service == "shard" else service
            heard(process, f"{name} ended early (killed by SIGKILL); starting it again")
            heard(process, f"{name} started  {restarts}")  # the coordinator was told
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=30)[1]
    assert process.returncode == 0, err


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


@pytest.mark.parametrize(
    ("module", "status"),
    [
        *((name, 130) for name in ("commands", "kernel_cache", "local_run", "settings", "output")),
        ("remote", 0),  # the services run by then: they are ended in order
    ],
)
def test_a_signal_while_it_starts_ends_it_quietly(tree: Tree, module: str, status: int) -> None:
    """Whatever it is importing at that moment."""
    done = subprocess.run(
        [sys.executable, str(tree.folder / "interrupted.py"), f"shared.{module}"],
        check=False,
        env=clean_environ() | {"PYTHONPATH": str(ROOT)},
        cwd=tree.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == status, done.stderr


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


def test_nothing_is_left_behind(tree: Tree) -> None:
    _, _, err = tree.run("--pcap", "a.pcap")
    used = set(re.findall(r"^in (/.+)$", err, re.M))
    assert len(used) == 1
    assert not Path(used.pop()).exists()


def test_services_end_when_the_launcher_is_killed(tree: Tree) -> None:
    with tree.start("--pcap", "a.pcap", FAKE_HOLD="1") as process:
        heard(process, "capture ")
        process.kill()
        process.communicate(timeout=30)  # returns when nobody holds the pipes any more


def test_compilers_end_when_the_launcher_is_killed(tree: Tree) -> None:
    """The processes of a first run, before there is any service."""
    cold = {"XDG_CACHE_HOME": str(tree.folder / "cache"), "FLOWMATE_KERNELS": ""}
    with tree.start("--pcap", "a.pcap", **cold) as process:
        heard(process, "compiling kernels")
        eventually(lambda: len(processes_of(process.pid)) > 1)  # the workers of the first
        process.kill()
        process.wait(30)
        eventually(lambda: not processes_of(process.pid))


def children_of(launcher: int, service: str) -> list[int]:
    """Live processes of a service."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            mine = int(parent) == launcher and state != "Z"
            if mine and f"services.{service}".encode() in stat.with_name("cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found
