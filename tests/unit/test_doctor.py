"""What `flowmate doctor` finds, on this machine as it is."""

import ctypes
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq

from shared import curve, doctor, figures
from shared.doctor import Finding, check_interface, line
from shared.schema import Reach, Reply
from shared.settings import Settings
from shared.tcp_bus import TcpBus
from shared.wire import open_socket, pack_reply
from tests.cluster import Cluster
from tests.conftest import clean_environ
from tests.waiting import eventually

PR_CAPBSET_DROP, CAP_NET_RAW = 24, 13


def said(
    *words: str, folder: Path, before: Callable[[], None] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The command, with a cache of its own. before: called in the new process."""
    environ = clean_environ() | {"XDG_CACHE_HOME": str(folder)}
    environ.pop("FLOWMATE_KERNELS", None)  # set where kernels were imported before
    return subprocess.run(
        [sys.executable, "-m", "shared.launcher", "doctor", *words],
        cwd=folder,
        env=environ,
        preexec_fn=before,
        capture_output=True,
        text=True,
        check=False,
    )


def findings(text: str) -> dict[str, Finding]:
    return {each["check"]: Finding(**each) for each in json.loads(text)}


def test_a_machine_that_will_do(tmp_path: Path, sample_capture: Path) -> None:
    done = said("--pcap", str(sample_capture), "--output", "out.jsonl", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(re.match(r"(ok  |warn)  [^:]+: .+", each) for each in lines)
    size = figures.size(sample_capture.stat().st_size)
    assert f"ok    capture {sample_capture}: {size}" in lines
    assert any(each.startswith("warn  kernels: not compiled yet") for each in lines)
    for check in ("memory", "shared memory", "disk for --output", "clock", "docker"):
        assert any(each[6:].startswith(check) for each in lines), check


def test_what_is_wrong_fails_and_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("--pcap", "none.pcap", "--pcap", ".", "--output", "no/where/out.jsonl")
        more = ("--iface", "none0", "--api-listen", listen)
        done = said("--json", *words, *more, folder=tmp_path)
    assert done.returncode == 1
    found = findings(done.stdout)
    failed = {name: each.text for name, each in found.items() if each.state == "fail"}
    assert failed.keys() - {"rights to capture"} == {
        "capture none.pcap",
        "capture .",
        "interface none0",
        "disk for --output",
        f"port {listen}",
    }
    assert failed["capture none.pcap"] == "no such file"
    assert failed["capture ."] == "is a folder"
    assert failed["interface none0"] == "there is none of that name"
    assert failed["disk for --output"].endswith("no/where is not there")
    assert failed[f"port {listen}"] == "address already in use"
    assert all(each.advice for each in found.values() if each.state == "fail")
    assert "lo" in found["interface none0"].advice


def test_a_setting_that_is_none_is_the_users_mistake(tmp_path: Path) -> None:
    done = said("--max-flows", "many", folder=tmp_path)
    assert done.returncode == 2
    assert "--max-flows many" in done.stderr


def test_folders_and_servers_that_are_read_from(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = f"127.0.0.1:{server.getsockname()[1]}"
        [folder, answers] = doctor.check_open_ended(
            Settings(watch=(str(tmp_path),), pcap_over_ip=(here,))
        )
    [missing, refuses] = doctor.check_open_ended(
        Settings(watch=(str(tmp_path / "none"),), pcap_over_ip=(here,))
    )
    assert (folder.state, answers.state) == ("ok", "ok")
    assert (missing.state, missing.advice) == ("fail", "make it first")
    assert (refuses.state, refuses.text) == ("warn", "connection refused")


@pytest.mark.skipif(not Path("/sys/class/net/lo").exists(), reason="no Linux")
def test_interfaces() -> None:
    assert check_interface("lo")[1:3] in (("ok", "loopback, up"), ("warn", "loopback, down"))
    assert check_interface("any").state == "ok"
    hostile = check_interface("\x1b[2Jx")
    assert hostile.state == "fail"
    assert "\x1b" not in line(hostile)


def give_up_raw_sockets() -> None:
    """For what this process executes, capabilities(7)."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0)


def test_who_may_not_capture_is_told(tmp_path: Path) -> None:
    done = said("--json", "--iface", "lo", folder=tmp_path, before=give_up_raw_sockets)
    assert done.returncode == 1, done.stderr
    right = findings(done.stdout)["rights to capture"]
    assert (right.state, right.text) == ("fail", "not permitted (CAP_NET_RAW)")
    assert "setcap" in right.advice


def test_bounds_that_do_not_fit_into_memory_are_told() -> None:
    [small] = doctor.check_memory(Settings(max_flows=1000, max_streams=1000, workers=1))
    [large] = doctor.check_memory(Settings(max_stream_content_bytes=1 << 50, workers=1))
    assert (small.check, large.check) == ("memory", "memory")
    assert large.state == "warn"
    assert "--max-stream-content-bytes" in large.advice


def test_what_a_run_needs_grows_with_its_bounds() -> None:
    one = doctor.needed_bytes(Settings(workers=1))
    two = doctor.needed_bytes(Settings(workers=2))
    assert two - one == 1_000_000 * doctor.FLOW_BYTES + doctor.SERVICE_BYTES
    none = doctor.needed_bytes(Settings(workers=1, disable_stream_content=True))
    assert one - none == 536870912


def test_a_run_dir_without_room_fails(tmp_path: Path) -> None:
    [found] = doctor.check_shared_memory(Settings(run_dir=str(tmp_path / "none")))
    assert found.state == "fail"
    [found] = doctor.check_shared_memory(Settings(run_dir=str(tmp_path), workers=1))
    assert found.state == "ok"


# ------------------------------------------------------------------------ several machines
@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    one = Cluster(tmp_path)
    yield one
    one.close()


def of_cluster(cluster: Cluster, **more: str) -> list[Finding]:
    there = {"coordinator": f"127.0.0.1:{cluster.port}", "curve_keys": str(cluster.keys)}
    return list(doctor.check_cluster(Settings.model_validate(there | more)))


def test_a_run_on_one_machine_has_no_cluster() -> None:
    assert list(doctor.check_cluster(Settings())) == []


def test_keys_that_do_not_fit_fail(cluster: Cluster, tmp_path: Path) -> None:
    for service in ("capture", "coordinator", "api"):
        (cluster.keys / f"{service}.secret").unlink()
    [keys, coordinator] = of_cluster(cluster)
    assert (keys.state, keys.text) == ("ok", "fit, for shard")
    assert (coordinator.state, coordinator.text) == ("warn", "connection refused")
    (cluster.keys / "shard.secret").chmod(0o644)
    [keys] = of_cluster(cluster)
    assert keys.state == "fail"
    assert "may be read by others: chmod 600" in keys.text
    (cluster.keys / "shard.secret").unlink()
    [keys] = of_cluster(cluster)
    assert (keys.state, keys.text) == ("fail", "there is no *.secret")
    [keys] = of_cluster(cluster, curve_keys="")
    assert keys.state == "fail"
    assert "nothing goes over TCP without keys" in keys.text


def test_a_coordinator_is_asked_with_these_keys(cluster: Cluster, tmp_path: Path) -> None:
    cluster.start("coordinator", workers=1, output=tmp_path / "out.jsonl")

    def answer() -> Finding | None:
        found = of_cluster(cluster)[1]
        return found if found.state == "ok" else None  # it is starting

    assert eventually(answer).text == "answers; 0 of 1 shards"
    curve.make(tmp_path / "other")
    [_, found] = of_cluster(cluster, curve_keys=str(tmp_path / "other"))
    assert (found.state, found.text) == (
        "fail", "is there, but does not answer with these keys",
    )  # fmt: skip
    assert "flowmate keys" in found.advice


@pytest.mark.parametrize(("listens", "state"), [(True, "ok"), (False, "fail")])
def test_shards_are_reached_where_they_say(cluster: Cluster, listens: bool, state: str) -> None:
    """A coordinator that knows of one shard, played by the test."""
    settings = Settings(
        coordinator=f"127.0.0.1:{cluster.port}", curve_keys=str(cluster.keys), workers=1
    )
    bus = TcpBus(settings, "coordinator")
    with zmq.Context() as context, socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        if not listens:
            there.close()
        asked = open_socket(context, zmq.ROUTER, 4)
        bus.bind(asked, bus.requests)
        reach = Reach(host="127.0.0.1", packets=port, credits=port, content=port).model_dump()
        shards = [{"index": 0, "reach": reach}]

        def serve() -> None:
            *envelope, _ = asked.recv_multipart()
            reply = Reply(result={"expected": 1, "shards": shards})
            asked.send_multipart([*envelope, *pack_reply(reply)])

        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(serve)
            [_, coordinator, shard] = of_cluster(cluster)
            served.result()
        asked.close(linger=0)
    assert coordinator.text == "answers; 1 of 1 shards"
    assert shard.state == state
    if not listens:
        assert (shard.check, shard.text) == ("shard 0 at 127.0.0.1", "connection refused")
