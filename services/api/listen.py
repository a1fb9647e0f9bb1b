"""The address the API listens on: bound before anything else, so that a bad one is told at once.

It listens only when the app is there: until then a client is refused rather than left to wait.
"""

import ipaddress
import socket

from shared.errors import UserError
from shared.settings import Settings, host_port

BACKLOG = 512


def bind(settings: Settings) -> socket.socket:
    """A socket bound to `api_listen`. UserError when it cannot be had, or when it needs a token."""
    if not settings.api_listen:
        raise UserError("no address to listen on: give --api-listen, such as 127.0.0.1:33111")
    host, port = host_port(settings.api_listen, "api_listen")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _unusable(settings, error) from None
    # A name may have both: every client of `localhost` tries IPv4.
    family, kind, proto, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    if not is_loopback(str(address[0])) and not settings.api_token:
        raise UserError(
            f"--api-listen {settings.api_listen}: others can reach this address; give --api-token"
            " SECRET, which every request must then carry, or listen on 127.0.0.1"
        )
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _unusable(settings, error) from None
    return listener


def listen(listener: socket.socket, settings: Settings) -> None:
    """Let clients in. UserError when another process bound the address too, and was quicker."""
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise _unusable(settings, error) from None


def _unusable(settings: Settings, error: OSError) -> UserError:
    reason = (error.strerror or str(error)).lower()
    return UserError(
        f"--api-listen {settings.api_listen}: {reason}; choose an address and port that are free"
    )


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
