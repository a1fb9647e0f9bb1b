"""What patterns may cost, and when there is time: purses and clocks, without a shard."""

import pytest

from services.shard.patterns.budget import (
    CALL_S,
    LAST_PURSE_S,
    LIVE_SHARE,
    PURSE_S,
    TIMEOUT_S,
    Last,
    Leisure,
    Live,
    Purse,
)


def test_the_costliest_rest_until_the_others_fit() -> None:
    now = [0.0]
    budget_of = Live(lambda: True, lambda: now[0])
    budget_of.suspects = frozenset((4,))
    budget_of.purse.most = budget_of.purse._left = 0.05
    now[0] = 1.0
    for slot, seconds in ((1, 0.01), (2, 0.3), (3, 0.02)):
        assert budget_of.limit(slot, 100) > 0
        budget_of.pay(slot, seconds)
    assert budget_of.limit(2, 100) == 0
    assert budget_of.settle() == [2]
    assert budget_of.settle() == []
    now[0] += 2.0
    assert budget_of.settle() == []
    for _ in range(400):  # 1.2 ms at the price of what is ordinary
        budget_of.pay(5, CALL_S, 1)
    for _ in range(6000):
        budget_of.pay(4, CALL_S, 1)
    assert budget_of.settle() == [4]
    idle = Live(lambda: False, lambda: now[0])
    idle.pay(1, 1e10)
    assert idle.settle() == []


def test_the_share_of_those_that_go_on() -> None:
    """Whoever keeps paying: what is paid stays below the share and some advances."""
    now, paid = [0.0], 0.0
    live = Live(lambda: True, lambda: now[0])
    live.purse.most = live.purse._left = 0.05
    awake = set(range(10))
    while now[0] < 10:
        now[0] += 0.001
        for slot in awake:
            if live.limit(slot, 100):
                live.pay(slot, 0.00005 * (1 + slot))
                paid += 0.00005 * (1 + slot)
        now[0] += 0.00005 * sum(1 + slot for slot in awake)
        awake -= set(live.settle())
    assert awake
    assert paid < LIVE_SHARE * now[0] + 10 * 0.05


def test_behind_the_last_packet_a_part_for_each() -> None:
    last = Last(dict.fromkeys((1, 2)))
    assert last.limit(1, 0) < TIMEOUT_S
    last.pay(1, LAST_PURSE_S, 0)
    assert last.limit(1, 0) == 0
    assert last.limit(2, 0) > 0
    assert last.limit(3, 0) == 0
    assert last.settle() == [1]


def test_a_purse_fills_with_time() -> None:
    now = [0.0]
    purse = Purse(clock=lambda: now[0])
    purse.pay(0.001, 100_000)
    assert purse.can_pay()
    assert purse.worth(0) == pytest.approx(PURSE_S + CALL_S)
    purse.pay(PURSE_S + 0.05, 10)
    assert not purse.can_pay()
    now[0] += 2.0
    assert purse.can_pay()
    assert not purse.spend(1.0)
    purse.refill(0.01)
    assert purse.worth(0) == pytest.approx(0.01 + CALL_S)


def test_there_is_leisure_when_packets_took_little_of_the_time_for_a_while() -> None:
    now = [0.0]
    leisure = Leisure(lambda: now[0])
    for busy, is_there, is_loaded in (
        (0.0, False, False), (0.0, True, False), (0.35, False, True), (0.15, False, False),
        (0.05, False, False), (0.05, True, False),
    ):  # fmt: skip
        leisure.begin()
        now[0] += busy
        leisure.end()
        now[0] += 0.4 - busy
        assert (leisure.is_there(), leisure.is_loaded()) == (is_there, is_loaded)
    leisure.begin()
    now[0] += 1.0
    assert leisure.is_loaded()  # in the middle of a batch
