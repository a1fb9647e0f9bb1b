"""`flowmate doctor`: whether this machine and these settings will do; one line for each check.

A check looks at one thing and changes nothing. `fail` = a run with these settings will not work,
`warn` = it will, but something is to be known. What to do stands behind the arrow.
"""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import zmq

from shared import kernel_cache
from shared.command_line import resolve
from shared.curve import SECRET
from shared.errors import EXIT_NOTHING_READ, EXIT_OK, UserError
from shared.figures import size
from shared.output import STDIN, output_path
from shared.schema import SchemaError
from shared.settings import EVERY, Settings, flag, host_port, worker_count
from shared.sources import check_folders
from shared.tcp_bus import TcpBus, bracketed

State = Literal["ok", "warn", "fail"]
SYSFS = Path("/sys/class/net")
ANY = "any"
# ARPHRD_ of linux/if_arp.h: what is decoded, and what it is called
LINKS = {
    "1": "Ethernet", "512": "PPP", "519": "raw IP", "768": "IP in IP", "772": "loopback",
    "776": "IPv6 in IPv4", "65534": "raw IP",
}  # fmt: skip
ETH_P_ALL = 0x0003
UP = 0x1  # IFF_UP, netdevice(7)
TIME_ERROR = 5  # adjtimex(2): nobody sets this clock
# Of adjtimex(2)'s struct: more than it has, all zero = only look.
TIMEX_BYTES = 512
OUTPUT_LOW_BYTES, OUTPUT_LEAST_BYTES = 1 << 30, 64 << 20
LANE_BYTES = 32 << 20  # shared memory of one shard's lane, with some to spare
# What rows cost, measured: docs/operations.md
FLOW_BYTES, STREAM_BYTES, MESSAGE_BYTES = 249, 745, 208
SERVICE_BYTES = 160 << 20  # code, buffers and scratch of a process
DOCKER_S, CONNECT_S = 10.0, 2.0


class Finding(NamedTuple):
    """What a check found. advice: what to do; empty when there is nothing."""

    check: str
    state: State
    text: str
    advice: str = ""


Check = Callable[[Settings], Iterable[Finding]]


# --------------------------------------------------------------------------------- input
def check_input(settings: Settings) -> Iterator[Finding]:
    """Captures can be read."""
    for path in settings.pcap:
        if path == STDIN:
            continue
        name = f"capture {path}"
        if not os.path.exists(path):
            yield Finding(name, "fail", "no such file", "check the path")
        elif os.path.isdir(path):
            yield Finding(name, "fail", "is a folder", "give the files in it")
        elif not os.access(path, os.R_OK):
            yield Finding(name, "fail", "may not be read", f"chmod a+r {path}")
        else:
            yield Finding(name, "ok", size(os.path.getsize(path)))


def check_open_ended(settings: Settings) -> Iterator[Finding]:
    """Watched folders can be read; servers of PCAP-over-IP answer, or will be tried again."""
    for path in settings.watch:
        try:
            check_folders(settings.model_copy(update={"watch": (path,)}))
        except UserError as error:
            _, _, why = str(error).partition(f"{path}: ")
            text, _, advice = why.partition("; ")
            yield Finding(f"folder {path}", "fail", text, advice)
        else:
            yield Finding(f"folder {path}", "ok", "can be read")
    for server in settings.pcap_over_ip:
        yield check_server(server)


def check_server(server: str) -> Finding:
    check = f"server {server}"
    try:
        socket.create_connection(host_port(server, "pcap_over_ip"), CONNECT_S).close()
    except UserError as error:
        return Finding(check, "fail", str(error), "give HOST:PORT")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Finding(check, "warn", reason, "start it; a run tries again until it answers")
    return Finding(check, "ok", "answers")


def check_interfaces(settings: Settings) -> Iterator[Finding]:
    """Each interface is there, is up, has a link type that is decoded; and may be read."""
    for name in settings.iface:
        yield check_interface(name)
    if settings.iface:
        yield check_rights()


def check_interface(name: str) -> Finding:
    """One interface. Its name is not trusted to be printable."""
    check = f"interface {name!r}" if not name.isprintable() else f"interface {name}"
    if name == ANY:
        return Finding(check, "ok", "all interfaces at once")
    if name not in (known for _, known in socket.if_nameindex()):
        there = ", ".join(sorted(known for _, known in socket.if_nameindex()))
        return Finding(check, "fail", "there is none of that name", f"there are {there!a}, and any")
    link = _sysfs(name, "type")
    if link not in LINKS:
        text = f"link type {link or 'unknown'} (ARPHRD) is not decoded"
        return Finding(check, "fail", text, "capture on another interface, or on any")
    if not int(_sysfs(name, "flags") or "0", 16) & UP:
        return Finding(check, "warn", f"{LINKS[link]}, down", f"ip link set {name} up")
    return Finding(check, "ok", f"{LINKS[link]}, up")


def _sysfs(name: str, attribute: str) -> str:
    with suppress(OSError):
        return (SYSFS / name / attribute).read_text(errors="replace").strip()
    return ""


def check_rights() -> Finding:
    """A packet socket can be opened: packet(7) wants CAP_NET_RAW."""
    check = "rights to capture"
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)).close()
    except PermissionError:
        interpreter = os.path.realpath(sys.executable)
        advice = f"run as root, or: setcap cap_net_raw+ep {interpreter}"
        return Finding(check, "fail", "not permitted (CAP_NET_RAW)", advice)
    except (OSError, AttributeError) as error:
        return Finding(check, "fail", f"no packet sockets: {error}", "capture on a Linux machine")
    return Finding(check, "ok", "packet sockets can be opened")


# ------------------------------------------------------------------------------- machine
def check_kernels(settings: Settings) -> Iterator[Finding]:
    """Kernels are compiled."""
    if kernel_cache.is_cold():
        text = "not compiled yet: the first start takes a minute or two"
        yield Finding("kernels", "warn", text, "flowmate warm")
    else:
        yield Finding("kernels", "ok", f"compiled, in {kernel_cache.folder()}")


def needed_bytes(settings: Settings) -> int:
    """What a run may grow to when every table is full."""
    shards = worker_count(settings)
    content = 0 if settings.disable_stream_content else settings.max_stream_content_bytes
    return (
        shards * settings.max_flows * FLOW_BYTES
        + content
        + settings.max_streams * STREAM_BYTES
        + settings.max_messages * MESSAGE_BYTES
        + (shards + 3) * SERVICE_BYTES
    )


def check_memory(settings: Settings) -> Iterator[Finding]:
    """The bounds fit into what is available."""
    available = available_bytes()
    needed = needed_bytes(settings)
    text = f"{size(available)} available, {size(needed)} when every bound is reached"
    if not available:
        yield Finding("memory", "warn", "cannot be told here")
    elif needed > available:
        names = ("max_flows", "max_streams", "max_stream_content_bytes")
        yield Finding("memory", "warn", text, f"lower {', '.join(map(flag, names))}")
    else:
        yield Finding("memory", "ok", text)


def available_bytes() -> int:
    """RAM that processes can have, proc_meminfo(5), and no more than the cgroup allows; 0 =
    nobody says."""
    found = 0
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        found = int(line.split()[1]) * 1024
    with suppress(OSError, ValueError):  # "max" = none
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found


def check_shared_memory(settings: Settings) -> Iterator[Finding]:
    """The folder of the run has room for the lanes. Over TCP there is nothing in it."""
    if settings.coordinator:
        return
    folder = Path(settings.run_dir or "/dev/shm")  # noqa: S108  only looked at
    needed = worker_count(settings) * LANE_BYTES
    free = free_bytes(folder)
    check = f"shared memory {folder}"
    if free < needed:
        advice = "give it more (docker run --shm-size, mount -o remount,size=)"
        state: State = "fail" if settings.run_dir else "warn"
        yield Finding(check, state, f"{size(free)} free, {size(needed)} needed", advice)
    else:
        yield Finding(check, "ok", f"{size(free)} free")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Events, and what else is kept, can be written."""
    places = {
        "output": output_path(settings),
        "state_file": settings.state_file,
        "upload_dir": settings.upload_dir and f"{settings.upload_dir}/x",
    }
    for name, place in places.items():
        if place and place != STDIN and not place.startswith("/dev/"):
            yield check_folder(flag(name), Path(place).absolute().parent)


def check_folder(name: str, folder: Path) -> Finding:
    check = f"disk for {name}"
    if not os.access(folder, os.W_OK):
        why = "cannot be written" if folder.is_dir() else "is not there"
        return Finding(check, "fail", f"{folder} {why}", f"give another {name}")
    free = free_bytes(folder)
    text = f"{size(free)} free in {folder}"
    if free < OUTPUT_LEAST_BYTES:
        return Finding(check, "fail", text, "make room, or give another folder")
    if free < OUTPUT_LOW_BYTES:
        return Finding(check, "warn", text, "make room: events take about 1 kB a stream")
    return Finding(check, "ok", text)


def free_bytes(folder: Path) -> int:
    """Of the file system; 0 where there is none."""
    with suppress(OSError):
        status = os.statvfs(folder)
        return status.f_bavail * status.f_frsize
    return 0


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Addresses to listen on are free."""
    for name in ("api_listen", "metrics_listen"):
        listen = getattr(settings, name)
        if listen:
            yield check_port(name, listen)


def check_port(name: str, listen: str) -> Finding:
    check = f"port {listen}"
    try:
        host, port = host_port(listen, name)
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except UserError as error:
        return Finding(check, "fail", str(error))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Finding(check, "fail", reason, f"choose another {flag(name)}")
    return Finding(check, "ok", "free")


def check_clock(settings: Settings) -> Iterator[Finding]:
    """Somebody sets this machine's clock: packets' times are worth as much as it is."""
    room = ctypes.create_string_buffer(TIMEX_BYTES)
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    state = -1 if adjtimex is None else adjtimex(room)
    if state == TIME_ERROR:
        advice = "timedatectl set-ntp true, or compare times with care"
        yield Finding("clock", "warn", "is not synchronised", advice)
    elif state < 0:
        yield Finding("clock", "warn", "cannot be told here")
    else:
        yield Finding("clock", "ok", "synchronised")


def check_docker(settings: Settings) -> Iterator[Finding]:
    """An engine and compose v2, which `docker compose up` needs and nothing else."""
    if shutil.which("docker") is None:
        text = "not installed; only docker compose up needs it"
        yield Finding("docker", "warn", text, "install Docker Engine 20.10 or newer")
        return
    server = _docker("version", "--format", "{{.Server.Version}}")
    compose = _docker("compose", "version", "--short")
    if not server:
        yield Finding("docker", "warn", "the engine does not answer", "start it, or join its group")
    elif not compose:
        yield Finding("docker", "warn", f"engine {server}, no compose v2", "install the plugin")
    else:
        yield Finding("docker", "ok", f"engine {server}, compose {compose}")


def _docker(*words: str) -> str:
    """What it says; empty when it fails."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["docker", *words], capture_output=True, text=True, check=False, timeout=DOCKER_S
        )
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""


# ------------------------------------------------------------------------ other machines
def check_cluster(settings: Settings) -> Iterator[Finding]:
    """Keys of this machine fit, the coordinator takes them, and its shards can be reached."""
    if not settings.coordinator:
        return
    keys, buses = f"keys in {settings.curve_keys or 'no folder'}", []
    for service in EVERY:
        if settings.curve_keys and not Path(settings.curve_keys, service + SECRET).exists():
            continue  # it runs on another machine
        try:
            buses.append(TcpBus(settings.model_copy(update={"run_dir": ""}), service))
        except UserError as error:
            yield Finding(keys, "fail", str(error))
            return
    if not buses:
        advice = "copy that of each service that runs here"
        yield Finding(keys, "fail", f"there is no *{SECRET}", advice)
        return
    yield Finding(keys, "ok", f"fit, for {', '.join(bus.keys.service for bus in buses)}")
    yield from check_coordinator(settings.coordinator, buses[0])


def check_coordinator(address: str, bus: TcpBus) -> Iterator[Finding]:
    """It answers with these keys, and so do the shards that it knows."""
    check = f"coordinator {address}"
    with zmq.Context() as context:
        try:
            reply, _ = bus.ask(context, bus.requests, "topology")
        except (TimeoutError, SchemaError) as error:
            found = check_server(address)._replace(check=check)
            if found.state == "ok":
                advice = "give each machine files of one folder that flowmate keys made"
                text = "is there, but does not answer with these keys"
                text = str(error) if isinstance(error, SchemaError) else text
                found = Finding(check, "fail", text, advice)
            yield found
            return
    shards = reply.result["shards"]
    yield Finding(check, "ok", f"answers; {len(shards)} of {reply.result['expected']} shards")
    for index in sorted(bus.learn(shards)):
        reach = bus.where(index)
        assert reach is not None
        found = check_server(bracketed(reach.host, reach.packets))
        advice = "let these machines connect, or give that shard --advertise"
        yield (
            found
            if found.state == "ok"
            else found._replace(check=f"shard {index} at {reach.host}", state="fail", advice=advice)
        )


# ----------------------------------------------------------------------------------- all
CHECKS: Sequence[Check] = (
    check_input,
    check_open_ended,
    check_interfaces,
    check_kernels,
    check_memory,
    check_shared_memory,
    check_disk,
    check_ports,
    check_cluster,
    check_clock,
    check_docker,
)


def examine(settings: Settings) -> list[Finding]:
    return [finding for check in CHECKS for finding in check(settings)]


def line(finding: Finding) -> str:
    advice = f"  → {finding.advice}" if finding.advice else ""
    return f"{finding.state:4}  {finding.check}: {finding.text}{advice}"


def main(argv: Sequence[str]) -> int:
    """Print the findings, as JSON with --json; exit status 1 when something fails. All other
    arguments are settings, as of a run."""
    rest = [word for word in argv if word != "--json"]
    findings = examine(resolve(rest, None))
    if len(rest) < len(argv):
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        print("\n".join(map(line, findings)))
    failed = any(finding.state == "fail" for finding in findings)
    return EXIT_NOTHING_READ if failed else EXIT_OK
