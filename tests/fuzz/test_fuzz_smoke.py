"""A few hundred mutated captures, always the same ones; `make fuzz` runs as many as one likes."""

import os

import pytest

from tests.fuzz import chain, mutate, seeds

SEED = 20260117
COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
CASES, BLOCK = (300, 50) if COMPILED else (4, 2)


@pytest.fixture(scope="module")
def bystanders() -> chain.Bystanders:
    return chain.Bystanders()


@pytest.mark.parametrize("number", range(len(seeds.captures())))
def test_what_is_mutated_is_fine_itself(number: int, bystanders: chain.Bystanders) -> None:
    outcome = chain.run(seeds.captures()[number].join(), bystanders)
    assert outcome.packets > 20
    assert outcome.streams > 2


@pytest.mark.parametrize("first", range(0, CASES, BLOCK))
def test_mutated_captures_break_nothing(first: int, bystanders: chain.Bystanders) -> None:
    corpus = mutate.read_corpus([])
    for number in range(first, first + BLOCK):
        data = mutate.case(SEED, number, corpus)
        try:
            chain.run(data, bystanders)
        except Exception as error:
            error.add_note(f"python -m tests.fuzz.mutate --seed {SEED} --first {number} --count 1")
            raise


def test_a_case_is_always_the_same() -> None:
    one, other = mutate.read_corpus([]), mutate.read_corpus([])
    assert [mutate.case(1, i, one) for i in range(20)] == [
        mutate.case(1, i, other) for i in range(20)
    ]


def test_cases_reach_the_shards() -> None:
    """Not all damage stops at the file format: most cases still give streams."""
    corpus = mutate.read_corpus([])
    fruitful = sum(bool(chain.run(mutate.case(SEED, i, corpus)).streams) for i in range(BLOCK))
    assert fruitful > BLOCK // 2
