"""Compares a conformance report with the floor: no score may fall below what was reached before.

`floor.py REPORT`. The floor is floor.json beside this file: points of each kind. Raise it when a
change reaches more; a change that has to lower it says why.
"""

import json
import sys
from pathlib import Path

FLOOR = Path(__file__).with_name("floor.json")


def main() -> int:
    """Exit status 1 when a score is below its floor."""
    report = json.loads(Path(sys.argv[1]).read_text())
    total, floor = report["total"], json.loads(FLOOR.read_text())
    low = {kind: least for kind, least in floor.items() if total.get(kind, 0) < least}
    for kind, least in sorted(floor.items()):
        got, of = total.get(kind, 0), total.get(f"{kind}/of", 0)
        mark = "  BELOW THE FLOOR" if kind in low else ""
        print(f"{kind:16} {got:6} of {of:6}, floor {least:6}{mark}")
    for name, capture in report["captures"].items():
        for why in capture["why"][:3] if low else ():
            print(f"  {name}: {why}")
    print(f"{len(floor) - len(low)} passed, {len(low)} failed")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
