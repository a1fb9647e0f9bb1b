"""Where the events go, and that they go over nothing that is to be read."""

import os
from collections.abc import Sequence

from shared.errors import UserError
from shared.settings import Settings

STDIN = "-"


def output_path(settings: Settings) -> str:
    """What was asked for, or `<pcap>.jsonl` beside the first capture, or `live.jsonl` here."""
    if settings.output:
        return settings.output
    first = settings.pcap[0] if settings.pcap else STDIN
    return "live.jsonl" if first == STDIN else f"{first}.jsonl"


def check_not_an_input(output: str, inputs: Sequence[str]) -> None:
    """UserError if writing would destroy what is to be read."""
    for path in inputs:
        if os.path.isfile(path) and os.path.exists(output) and os.path.samefile(path, output):
            raise UserError(f"--output {output}: is the capture itself; give another name")
