"""Whether the API needs a secret, and a fresh one when nobody chose it."""

import ipaddress
import secrets

from shared.settings import Settings, host_port


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
