"""How each pattern fares in a shard, for the heartbeats."""

from services.shard.patterns.engine import PatternEngine
from shared.schema import PatternReport


def reports(engine: PatternEngine) -> list[PatternReport]:
    """Of every pattern, also of those that cannot be looked for."""
    failed = [
        PatternReport(id=id, state="failed", trouble=words)
        for id, words in sorted(engine.trouble.items())
    ]
    return [report(engine, slot) for slot in sorted(engine.compiled)] + failed


def report(engine: PatternEngine, slot: int) -> PatternReport:
    """Of the pattern in a slot."""
    fare, row = engine.fares[slot], engine.m.sought[slot]
    scanned, todo = engine.retro.progress(slot)
    state = "scanning" if todo else "active"
    words = []
    unseen = fare.unseen_bytes + engine.resting.gone(slot, engine.tails)
    if slot in engine.resting:
        state, todo = "slow", max(1, engine.resting.missed(slot, engine.heads, engine.tails))
        words.append(f"it takes too long: it rests until there is time, {todo} bytes wait")
    if fare.skipped or fare.timeouts:
        state = "slow"
        words.append(
            f"it takes too long: stopped in {fare.timeouts} streams,"
            f" {fare.skipped} put off until there is time"
        )
    if fare.lost:
        words.append(f"{fare.lost} streams lost content before it was looked for")
    if unseen:
        words.append(f"about {unseen} bytes of content made room before it was looked for in them")
    return PatternReport(
        id=int(row["id"]), matches=int(row["matches"]), over_limit=int(row["over_limit"]),
        timeouts=fare.timeouts, skipped=fare.skipped + fare.lost, scanned_bytes=scanned,
        todo_bytes=todo, unseen_bytes=unseen, state=state, trouble="; ".join(words),
    )  # fmt: skip
