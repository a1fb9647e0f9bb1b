"""Where the `flowmate` command begins: from here on Ctrl-C ends it quietly.

What it runs is imported inside: that takes a moment, in which somebody may change their mind.
"""

import os
import sys
from collections.abc import Sequence

EXIT_INTERRUPTED = 130  # as a shell says it of a command that SIGINT ended


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit status."""
    # pydantic would look for plugins among all that is installed, 70 ms of every process
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from shared import commands

        return commands.main(argv)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
