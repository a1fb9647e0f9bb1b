"""`make chaos`: runs in which services are killed, held up and starved, until the time is over."""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.rounds import Round

ROUND_S = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", default="", help="as an earlier run printed it")
    arguments = parser.parse_args()
    seed = arguments.seed or secrets.token_hex(4)
    print(f"seed {seed}", flush=True)
    until, number = time.monotonic() + arguments.seconds, 0
    while (left := until - time.monotonic()) > 1 or not number:
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            each = Round(Path(folder), f"{seed} {number}")
            kind = (each.of_files, each.of_a_pipe, each.of_a_folder)[number % 3]
            try:
                print(f"round {number}, {kind.__name__}: {kind(min(ROUND_S, left))}", flush=True)
            except BaseException:
                print(f"round {number} of seed {seed} failed after: {each.done}", flush=True)
                raise
        number += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
