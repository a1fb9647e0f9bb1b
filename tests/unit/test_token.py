"""Who needs a token."""

import pytest

from shared import token
from shared.settings import Settings


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
