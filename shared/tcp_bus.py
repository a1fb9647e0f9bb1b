"""The bus between machines: TCP sockets that let nobody in without a CURVE key of the cluster.

The coordinator has four ports from `--coordinator` on. A shard binds ports of its own and tells
them with its heartbeats; whoever looks for it asks the coordinator, again after it was lost, since
the next one is elsewhere. Sockets that are bound are CURVE servers. Each takes connections only of
services that have to do with it.
"""

import socket as sockets
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import zmq

from shared import curve
from shared.errors import UserError
from shared.schema import Reach, Reply
from shared.settings import EVERY, Service, Settings, host_port
from shared.wire import REQUEST_DEADLINE_MS, Address, Bus, Role

OF_COORDINATOR: tuple[Role, ...] = ("requests", "events", "reports", "deltas")  # in order of ports
OF_SHARD: tuple[Role, ...] = ("packets", "credits", "content")
ALLOWED: Mapping[str, Collection[Service]] = {  # by role
    "requests": EVERY,
    "events": {"shard"},
    "reports": {"capture"},
    "deltas": {"api"},
    "packets": {"capture"},
    "credits": {"capture"},
    "content": {"capture", "api"},
}
MESSAGE_BYTES_MAX = 1 << 28  # longer ones end the connection
HANDSHAKE_MS = 5000
ASK_LEAST_MS = 1000
RECONNECT_MOST_MS = 500  # each time twice as long, up to that
BEAT_MS, SILENT_MS = 2000, 6000  # a machine that is gone says nothing
ANY_HOST = ("0.0.0.0", "::")  # noqa: S104  compared with
NOWHERE = "tcp://127.0.0.1:0"

if TYPE_CHECKING:
    from shared.guard import Guard

Socket = zmq.Socket[bytes]


def bus_of(settings: Settings, service: Service) -> Bus:
    """The bus that the settings ask for. UserError for what cannot be."""
    return TcpBus(settings, service) if settings.coordinator else Bus(settings.run_dir)


class TcpBus(Bus):
    """The addresses of a run on several machines, as `service` sees them. Its run directory is its
    own, and is made. inline: memory cannot be shared."""

    inline = True

    def __init__(self, settings: Settings, service: Service) -> None:
        super().__init__(settings.run_dir)
        self._host, self._port = host_port(settings.coordinator, "coordinator")
        if self._port + len(OF_COORDINATOR) - 1 > 65535:
            raise UserError(
                f"--coordinator {settings.coordinator}: there are no four ports from it"
            )
        if not settings.curve_keys:
            raise UserError(
                f"--coordinator {settings.coordinator}: nothing goes over TCP without keys; make"
                " some (flowmate keys DIR) and give --curve-keys DIR"
            )
        if settings.transport == "slots":
            raise UserError("--transport slots: machines share no memory; leave it out")
        self.keys = curve.load(settings.curve_keys, service)
        self._settings = settings
        self._shards: dict[int, Reach] = {}
        self._bound: dict[Role, int] = {}
        self._found_host = ""
        self._guard: Guard | None = None
        if settings.run_dir:
            try:
                self.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise UserError(f"--run-dir {self.run_dir}: {reason}") from None

    @property
    def refused(self) -> int:  # type: ignore[override]
        return 0 if self._guard is None else self._guard.refused

    def _of_coordinator(self, role: Role) -> Address:
        port = self._port + OF_COORDINATOR.index(role)
        return Address(url(self._host, port), role)

    def _of_shard(self, role: Role, shard: int) -> Address:
        """One that nobody has told of is nowhere."""
        reach = self._shards.get(shard)
        return Address(NOWHERE if reach is None else url(reach.host, getattr(reach, role)), role)

    # --------------------------------------------------------------------------- sockets
    def bind(self, socket: Socket, address: Address) -> None:
        """At `--bus-listen`: the coordinator on the ports of its address, a shard on its own."""
        role = address.role
        if self._guard is None:
            from shared.guard import Guard  # asyncio comes with it

            self._guard = Guard(socket.context, self.keys.public, ALLOWED)
        _prepare(socket)
        socket.curve_secretkey = self.keys.secret
        socket.curve_publickey = self.keys.public[self.keys.service]
        socket.curve_server = True
        socket.zap_domain = role.encode()
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self._guard.watch(socket, role)
        where = url(_numeric(self._settings.bus_listen), self._own_port(role))
        try:
            socket.bind(where)
        except zmq.ZMQError as error:
            reason = (error.strerror or str(error)).lower()
            raise UserError(f"{where} for {role}: {reason}; see --bus-listen") from None
        endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        self._bound[role] = int(endpoint.rstrip(b"\0").rpartition(b":")[2])

    def _own_port(self, role: Role) -> int:
        if role in OF_COORDINATOR:
            return self._port + OF_COORDINATOR.index(role)
        first = self._settings.bus_port
        return first + OF_SHARD.index(role) if first else 0

    def connect(self, socket: Socket, address: Address) -> None:
        """As this service, to nobody but who has the key of the one that is to be there."""
        server: Service = "coordinator" if address.role in OF_COORDINATOR else "shard"
        _prepare(socket)
        socket.curve_serverkey = self.keys.public[server]
        socket.curve_secretkey = self.keys.secret
        socket.curve_publickey = self.keys.public[self.keys.service]
        if address != NOWHERE:
            socket.connect(address)

    def ask(
        self,
        context: zmq.Context[Socket],
        address: Address,
        op: str,
        args: dict[str, Any] | None = None,
        timeout_ms: int = REQUEST_DEADLINE_MS,
    ) -> tuple[Reply, list[bytes]]:
        """As on one machine, but there is a name to look up and a handshake before the request."""
        return super().ask(context, address, op, args, max(timeout_ms, ASK_LEAST_MS))

    # ---------------------------------------------------------------------------- shards
    def learn(self, shards: Iterable[Mapping[str, Any]]) -> set[int]:
        found = {}
        for shard in shards:
            if shard.get("reach"):
                found[int(shard["index"])] = Reach.model_validate(shard["reach"])
        self._shards.update(found)
        return set(found)

    def where(self, shard: int) -> Reach | None:
        return self._shards.get(shard)

    @property
    def reach(self) -> Reach | None:
        """None until all is bound, and there is a way to the coordinator."""
        self._found_host = self._found_host or self._advertised()
        if not self._found_host or any(role not in self._bound for role in OF_SHARD):
            return None
        ports = {role: self._bound[role] for role in OF_SHARD}
        return Reach(host=self._found_host, **ports)

    def _advertised(self) -> str:
        """`--advertise`, else where it listens, else this machine's address on the way to the
        coordinator; empty when there is none now."""
        listen = _numeric(self._settings.bus_listen)
        if self._settings.advertise or listen not in ANY_HOST:
            return self._settings.advertise or listen
        try:
            found = sockets.getaddrinfo(self._host, self._port, type=sockets.SOCK_DGRAM)
            family, kind, proto, _, address = found[0]
            with sockets.socket(family, kind, proto) as probe:
                probe.connect(address)  # sends nothing: the system chooses a route
                return str(probe.getsockname()[0])
        except OSError:
            return ""


def _prepare(socket: Socket) -> None:
    socket.setsockopt(zmq.IPV6, 1)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MOST_MS)
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    socket.setsockopt(zmq.HEARTBEAT_IVL, BEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, SILENT_MS)
    socket.setsockopt(zmq.CONNECT_TIMEOUT, HANDSHAKE_MS)


def bracketed(host: str, port: int | str) -> str:
    """HOST:PORT, where an IPv6 address has colons of its own."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(host: str, port: int) -> str:
    """port 0: any."""
    return f"tcp://{bracketed(host, port or '*')}"


def _numeric(host: str) -> str:
    """An address to bind: ZeroMQ takes no names there. UserError when there is none."""
    try:
        return str(sockets.getaddrinfo(host, None, type=sockets.SOCK_STREAM)[0][4][0])
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"--bus-listen {host}: {reason}; give an address of this machine") from None
