"""Who needs a token."""

from pathlib import Path

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


def test_an_api_that_is_started_again_has_the_token_of_before(tmp_path: Path) -> None:
    made = token.kept_token(str(tmp_path))
    assert len(made) >= 24
    assert token.kept_token(str(tmp_path)) == made
    assert (tmp_path / token.NAME).stat().st_mode & 0o777 == 0o600
    assert token.kept_token(str(tmp_path / "none")) != token.kept_token(str(tmp_path / "none"))
