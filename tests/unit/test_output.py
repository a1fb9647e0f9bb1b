"""Where the events go."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import UserError
from shared.output import check_not_an_input, output_path
from shared.settings import Settings


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"output": "x.jsonl", "pcap": ("a.pcap",)}, "x.jsonl"),
        ({"pcap": ("in/a.pcap", "b.pcap")}, "in/a.pcap.jsonl"),
        ({"pcap": ("-",)}, "live.jsonl"),
        ({}, "live.jsonl"),
    ],
)
def test_the_name_of_the_output(given: dict[str, Any], expected: str) -> None:
    assert output_path(Settings(**given)) == expected


def test_a_capture_is_not_written_over(tmp_path: Path) -> None:
    capture, link, other = (tmp_path / name for name in ("a.pcap", "b.pcap", "c.jsonl"))
    capture.write_bytes(b"precious")
    link.symlink_to(capture)
    for output in (capture, link):
        with pytest.raises(UserError, match="is the capture itself; give another name"):
            check_not_an_input(str(output), ["-", "missing.pcap", str(capture)])
    check_not_an_input(str(other), ["-", "missing.pcap", str(capture)])
    check_not_an_input("-", ["-"])
