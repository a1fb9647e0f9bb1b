"""Chains of transforms by name."""

from collections.abc import Sequence
from dataclasses import replace

from services.api.transforms import (
    auto,
    chunked,
    compression,
    http_body,
    json_text,
    text,
    websocket,
)
from services.api.transforms.model import Context, Decoded, Decoder, Step, Transformed

STEPS_MAX = 32
DECODERS: dict[str, Decoder] = {
    "url_decode": text.url_decode,
    "base64_decode": text.base64_decode,
    "gzip": compression.gzip,
    "deflate": compression.deflate,
    "brotli": compression.br,
    "zstd": compression.zstd,
    "http_chunked": chunked.decode,
    "http_body": http_body.decode,
    "websocket": websocket.decode,
    "charset": text.charset,
    "json_pretty": json_text.decode,
}
FROM_CONTEXT = ("http_body", "websocket")  # they may have more to go by than the octets
AUTO, PROFILE = "auto", "profile"
NAMES = (*DECODERS, AUTO, PROFILE)
NOTHING = Context()


def check_names(chain: Sequence[str]) -> None:
    """ValueError when a name is unknown, or the chain is too long."""
    unknown = [name for name in chain if name not in NAMES]
    if unknown:
        raise ValueError(f"unknown transform {unknown[0][:40]!r}: one of {', '.join(NAMES)}")
    if len(chain) > STEPS_MAX:
        raise ValueError(f"{len(chain)} transforms in a chain: at most {STEPS_MAX}")


def transform(
    chain: Sequence[str], data: bytes, limit: int, context: Context = NOTHING
) -> Transformed:
    """Run a chain over a slice. ValueError as check_names; nothing that `data` holds is an error.

    No step gives more than `limit` octets. `profile` stands for the context's chain.
    """
    check_names(chain)
    run = _Run(data, limit, context)
    for name in chain:
        if name == PROFILE:
            run.profile()
        elif name == AUTO:
            run.auto()
        else:
            run.step(name)
    limited = run.limited or len(run.data) > limit
    return Transformed(run.data[:limit], run.steps, limited)


class _Run:
    """The octets on their way through a chain, and what was done to them."""

    def __init__(self, data: bytes, limit: int, context: Context) -> None:
        self.data, self.limit, self.context = data, limit, context
        self.steps: list[Step] = []
        self.limited = False

    def step(self, name: str) -> Decoded:
        """One decoder; what it cannot do leaves the octets alone."""
        if self.data or name in FROM_CONTEXT:
            found = DECODERS[name](self.data, self.limit, self.context)
        else:
            found = Decoded(self.data, "noop", "nothing to decode")
        self._add(name, found)
        self.data = found.data
        self.limited |= found.limited
        if name in FROM_CONTEXT:  # what comes next looks at these octets, not at the slice's
            self.context = replace(self.context, messages=(), frames=())
        return found

    def auto(self) -> None:
        """What fits, up to ROUNDS_MAX times, as long as it helps."""
        for rounds in range(auto.ROUNDS_MAX):
            name = auto.guess(self.data, self.context)
            if name is None:
                if rounds == 0:
                    self._add(AUTO, Decoded(self.data, "noop", "nothing that is known"))
                return
            found = self.step(name)
            if found.status in ("noop", "failed") or name == "json_pretty":
                return

    def profile(self) -> None:
        """The profile's own chain; it cannot name itself."""
        chain = [name for name in self.context.profile if name != PROFILE]
        check_names(chain)
        if not chain:
            self._add(PROFILE, Decoded(self.data, "noop", "the profile has no transforms"))
        for name in chain:
            if name == AUTO:
                self.auto()
            else:
                self.step(name)

    def _add(self, name: str, found: Decoded) -> None:
        sizes = len(self.data), len(found.data)
        self.steps.append(Step(name, found.status, found.note, *sizes))
