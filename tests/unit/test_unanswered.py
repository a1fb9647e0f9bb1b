"""Somebody who is silent is told of once, and not at once."""

import logging

import pytest

from shared import unanswered
from shared.unanswered import Unanswered


def test_it_is_told_once_after_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    monkeypatch.setattr("shared.unanswered.time.monotonic", lambda: now)
    one = Unanswered(logging.getLogger("shard"), "tcp://there:1")
    with caplog.at_level(logging.WARNING):
        one.again()
        assert caplog.text == ""
        now += unanswered.TELL_AFTER_S
        one.again()
        one.again()
    assert caplog.text.count("tcp://there:1 does not answer, trying on; flowmate doctor") == 1
