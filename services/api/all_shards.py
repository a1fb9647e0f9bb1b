"""What is asked of all shards at once: their answers, and which of them gave none."""

import asyncio
from typing import Any

from services.api.backend import Backend, Refused
from services.api.problems import Problem

Told = dict[int, dict[str, Any]]  # a shard's number, and what it said


async def ask_all(
    backend: Backend, op: str, args: dict[int, dict[str, Any]], until: float
) -> tuple[Told, list[str]]:
    """What each shard answers, and those that do not, or that know nothing of it.

    Problem: 503 when none answers, 404 when all that answer know nothing of it, and whatever else
    one of them refuses.
    """

    async def one(shard: int) -> dict[str, Any] | Problem:
        try:
            return (await backend.shard(shard).ask(op, args[shard], until)).result
        except Refused as refused:
            return refused.problem
        except Problem as problem:
            return problem

    answers = dict(zip(args, await asyncio.gather(*map(one, args)), strict=True))
    problems = {i: answer for i, answer in answers.items() if isinstance(answer, Problem)}
    for problem in problems.values():
        if problem.status not in (404, 503):
            raise problem
    if problems and len(problems) == len(answers):
        raise next((p for p in problems.values() if p.status == 404), problems[min(problems)])
    told = {i: answer for i, answer in answers.items() if not isinstance(answer, Problem)}
    return told, [f"shard {i}: {problem.message}" for i, problem in problems.items()]
