"""Whether the API needs a secret, and a fresh one when nobody chose it."""

import ipaddress
import os
import secrets
from contextlib import suppress
from pathlib import Path

from shared.settings import Settings, host_port

NAME = "api-token"  # in the run directory


def needs_token(settings: Settings) -> bool:
    """True when others can reach the API and no secret was given."""
    if not settings.api_listen or settings.api_token:
        return False
    host, _ = host_port(settings.api_listen, "api_listen")
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def new_token() -> str:
    return secrets.token_urlsafe(18)


def kept_token(run_dir: str) -> str:
    """The run's: made up at the first start, and the same for an API that is started again.

    A folder in which nothing can be kept gives a new one each time.
    """
    path = Path(run_dir) / NAME
    with suppress(OSError):
        return path.read_text()
    made = new_token()
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(made)
    return made
