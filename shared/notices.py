"""What the launcher has to tell the coordinator: a service ended, a service was started again."""

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from shared.children import Child

if TYPE_CHECKING:
    from shared.remote import Remote

KEPT = 256  # while the coordinator is away; the oldest go first
ANSWER_MS = 250


class Notices:
    """Told in order, each once; they wait while nobody answers."""

    def __init__(self) -> None:
        self._waiting: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def add(self, child: Child, what: Literal["ended", "started"], how: str = "") -> None:
        self._waiting.append(
            {
                "service": child.name,
                "pid": child.process.pid,
                "what": what,
                "restarts": child.restarts,
                "how": how,
                "at_us": time.time_ns() // 1000,
            }
        )

    def deliver(self, remote: "Remote", answers: bool = True) -> None:
        """answers: whether the coordinator was heard a moment ago."""
        while answers and self._waiting:
            answers = remote.ask("notice", self._waiting[0], ANSWER_MS) is not None
            if answers:
                self._waiting.popleft()
