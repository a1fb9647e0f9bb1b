from contextlib import suppress

import pytest

from services.coordinator.shards import (
    COMPILE_GRACE_S,
    LOST_AFTER_S,
    START_GRACE_S,
    RefusedError,
    Shards,
)
from shared.schema import EventsHeader


def two(replaced: list[int] | None = None) -> Shards:
    def note(index: int) -> int:
        if replaced is not None:
            replaced.append(index)
        return 7

    return Shards(2, 0.0, note)


def header(seq: int, kind: str = "events", instance: str = "x", **more: object) -> EventsHeader:
    return EventsHeader.model_validate(
        {"kind": kind, "seq": seq, "shard": 0, "instance": instance} | more
    )


def test_numbers_are_given_out_in_order_and_stick() -> None:
    shards = two()
    assert shards.register("x", 1, "h", -1, 0.0).index == 0
    assert shards.register("y", 2, "h", -1, 0.0).index == 1
    assert shards.register("x", 1, "h", -1, 9.0).index == 0
    assert shards.register("y", 2, "h", 0, 9.0).index == 1


def test_no_number_is_taken_from_a_shard_that_is_heard() -> None:
    shards = two()
    shards.register("x", 1, "h", 1, 0.0)
    with pytest.raises(RefusedError) as caught:
        shards.register("y", 2, "h", 1, 1.9)
    assert caught.value.code == "taken"
    assert shards.register("y", 2, "h", -1, 1.9).index == 0
    with pytest.raises(RefusedError):
        shards.register("z", 2, "h", -1, 1.9)


def test_a_silent_holder_is_replaced_and_its_counters_are_carried() -> None:
    replaced: list[int] = []
    shards = two(replaced)
    shards.register("x", 1, "h", 0, 0.0)
    shards.arrived(header(0, stats={"packets": 10, "flow_rows": 4}), 0.0)
    shard = shards.register("y", 2, "h", 0, 2.1)
    assert (replaced, shard.restarts, shard.orphaned_streams) == ([0], 1, 7)
    assert (shards.total("packets"), shards.total("flow_rows")) == (10, 0)
    shards.arrived(header(0, instance="y", stats={"packets": 5, "flow_rows": 1}), 2.2)
    assert (shards.total("packets"), shards.total("flow_rows")) == (15, 1)


@pytest.mark.parametrize("index", [-2, 2, 1000])
def test_a_number_that_is_not_expected_is_refused(index: int) -> None:
    with pytest.raises(RefusedError) as caught:
        two().register("x", 1, "h", index, 0.0)
    assert caught.value.code == "bad_value"


def test_states_of_a_shard() -> None:
    shards = two()
    shard = shards.all[0]
    assert (shard.state(0.0), shard.state(START_GRACE_S + 1)) == ("starting", "lost")
    shards.register("x", 1, "h", 0, 1.0)
    assert (shard.state(1.0), shard.state(1.1 + LOST_AFTER_S)) == ("starting", "lost")
    shards.heartbeat(0, "x", 0, 4.0)
    assert (shard.state(4.0), shard.state(4.1 + LOST_AFTER_S)) == ("ready", "lost")
    shards.arrived(header(0, kind="end"), 9.0)
    assert (shard.state(9.0), shard.state(9.1 + LOST_AFTER_S)) == ("ended", "lost")
    shards.heartbeat(0, "x", 1, 90.0)
    assert shard.state(90.0) == "ended"
    shards.arrived(header(1), 99.0)
    assert shard.state(99.0) == "ready"


def test_a_shard_that_may_have_kernels_to_compile_is_given_time() -> None:
    shards = Shards(1, 0.0, lambda index: 0, COMPILE_GRACE_S)
    assert shards.all[0].state(COMPILE_GRACE_S) == "starting"
    assert shards.all[0].state(COMPILE_GRACE_S + 1) == "lost"
    shards.register("x", 1, "h", 0, 60.0)
    assert shards.all[0].state(60.1 + LOST_AFTER_S) == "lost"


def test_heartbeats_say_what_arrived() -> None:
    shards = two()
    shards.register("x", 1, "h", 0, 0.0)
    assert shards.heartbeat(0, "x", 0, 0.0) == -1
    shards.arrived(header(0), 0.1)
    shards.arrived(header(1), 0.2)
    assert shards.heartbeat(0, "x", 2, 0.3) == 1


def test_a_heartbeat_of_an_unknown_process_takes_a_free_number_only() -> None:
    shards = two()
    shards.heartbeat(0, "x", 5, 0.0)
    assert shards.all[0].instance == "x"
    with pytest.raises(RefusedError):
        shards.heartbeat(0, "y", 5, 1.0)
    with pytest.raises(RefusedError):
        shards.heartbeat(9, "y", 5, 1.0)


def test_holes_are_counted_and_repetitions_are_not_entered_again() -> None:
    shards = two()
    shards.heartbeat(0, "x", 0, 0.0)
    assert [shards.arrived(header(seq), 0.1) for seq in (0, 3, 3, 1, 4)] == [
        True, True, False, False, True,
    ]  # fmt: skip
    shard = shards.all[0]
    assert (shard.messages_lost, shard.messages_repeated) == (2, 2)


def test_a_message_lost_before_the_first_that_arrives_is_a_hole_too() -> None:
    shards = two()
    shards.heartbeat(0, "x", 0, 0.0)
    shards.arrived(header(2), 0.1)
    assert shards.all[0].messages_lost == 2


def test_a_coordinator_that_restarted_does_not_miss_what_another_one_read() -> None:
    shards = two()
    shards.heartbeat(0, "x", 57, 0.0)
    assert shards.arrived(header(57), 0.1)
    assert shards.all[0].messages_lost == 0


def test_late_words_of_a_process_that_was_replaced_are_counted_as_lost() -> None:
    shards = two()
    shards.register("x", 1, "h", 0, 0.0)
    shards.register("y", 1, "h", 0, 3.0)
    assert not shards.arrived(header(0), 3.1)
    assert shards.all[0].messages_lost == 1


def test_who_comes_after_the_input_has_ended_has_ended() -> None:
    shards = two()
    shards.register("x", 1, "h", 0, 0.0)
    shards.arrived(header(0, instance="x"), 0.0)
    shards.input_ended = True
    assert not shards.all_ended
    shards.register("y", 1, "h", 0, 3.0)
    assert shards.all[0].ended


def test_nobody_is_lost_while_the_coordinator_does_not_listen() -> None:
    shards = two()
    shards.register("x", 1, "h", 0, 0.0)
    shards.excuse(1.5)
    assert shards.all[0].state(3.0) != "lost"
    shards.excuse(9.0)
    assert shards.all[0].state(9.0) == "lost"


def test_replicas_are_counted_before_the_first_has_a_number() -> None:
    """The content budget is divided by how many there are."""
    shards = Shards(0, 0.0, lambda index: 0)
    assert (shards.expected, shards.all_ended) == (1, False)
    for now, instance in ((0.0, "a"), (1.0, "b"), (2.5, "c"), (2.9, "a")):
        with pytest.raises(RefusedError, match="still being counted") as refused:
            shards.register(instance, 1, "h", -1, now)
        assert refused.value.code == "wait"
    numbers = [shards.register(instance, 1, "h", -1, 4.6).index for instance in "bac"]
    assert sorted(numbers) == [0, 1, 2]
    assert shards.expected == 3
    with pytest.raises(RefusedError) as refused:
        shards.register("d", 1, "h", -1, 4.7)
    assert refused.value.code == "taken"


def test_a_coordinator_that_restarts_knows_how_many_replicas_there_were() -> None:
    before = Shards(0, 0.0, lambda index: 0)
    for now in (0.0, 3.0):
        with suppress(RefusedError):
            before.register("a", 1, "h", -1, now)
    after = Shards(0, 10.0, lambda index: 0)
    after.restore(before.keep(), 10.0)
    assert [shard.instance for shard in after.all] == ["a"]
    assert after.register("a", 1, "h", -1, 10.0).index == 0


def test_who_was_replaced_is_not_heard_any_more() -> None:
    shards = Shards(1, 0.0, lambda index: 0)
    shards.register("old", 7, "h", 0, 0.0)
    shards.note_death(0, 8)
    assert not shards.all[0].is_lost(0.1), "it was another process"
    shards.note_death(0, 7)
    assert shards.all[0].is_lost(0.1)
    shards.register("new", 9, "h", 0, 0.2)
    late = EventsHeader(kind="events", seq=0, shard=0, instance="old", stats={"packets": 5})
    assert not shards.arrived(late, 9.0)
    assert shards.all[0].instance == "new"
    with pytest.raises(RefusedError, match="another process now"):
        shards.heartbeat(0, "old", 0, 9.0)


def test_who_had_a_number_has_it_again() -> None:
    """The coordinator was killed before it left word of its shards."""
    shards = Shards(0, 0.0, lambda index: 0)
    for instance, index in (("new", -1), ("b", 1), ("a", 0)):
        with pytest.raises(RefusedError):
            shards.register(instance, 1, "h", index, 0.1)
    held = {name: shards.register(name, 1, "h", i, 3.0).index for name, i in
            (("new", -1), ("a", 0), ("b", 1))}  # fmt: skip
    assert held == {"new": 2, "a": 0, "b": 1}
