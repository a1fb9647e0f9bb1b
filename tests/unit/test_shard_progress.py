"""What a shard takes and what it counts, whoever is killed in between."""

from typing import Any

from services.shard.progress import Progress
from shared.schema import BatchHeader


class Lane:
    """A capture's messages for one shard: `name` numbers 1, 2, ... in the input."""

    def __init__(self, capture: str, standing: dict[str, Any], name: str = "files") -> None:
        self.capture, self.name = capture, name
        self.sent = standing["rows"]
        self.upto = standing["seen"].get(name, 0)

    def batch(self, rows: int) -> BatchHeader:
        self.upto += rows
        header = BatchHeader(
            kind="packets", seq=0, rows=rows, capture=self.capture, rows_before=self.sent,
            input=self.name, upto=self.upto if self.name else 0,
        )  # fmt: skip
        self.sent += rows
        return header

    def end(self) -> BatchHeader:
        return BatchHeader(kind="end", seq=0, capture=self.capture, rows_before=self.sent)


def take(progress: Progress, *headers: BatchHeader) -> list[bool]:
    taken = []
    for header in headers:
        taken.append(progress.begin(header))
        if taken[-1]:
            progress.finish()
    return taken


def successor(of: Progress, told: int) -> Progress:
    """A new process: the coordinator was told so many packets, and what was taken whole."""
    result = Progress()
    result.follow({"told_packets": told, "rows": of.taken, "seen": of.news()})
    return result


def test_a_run_without_trouble() -> None:
    shard = Progress()
    lane = Lane("a", shard.resume("a"))
    assert take(shard, lane.batch(5), lane.batch(6), lane.end()) == [True] * 3
    assert (shard.taken, shard.news()) == (11, {"files": 11})
    assert shard.news() == {}, "it was told"
    shard.tell_all_again()
    assert shard.news() == {"files": 11}
    assert shard.stats() == {"packets_lost": 0, "packets_repeated": 0}


def test_batches_of_a_capture_that_was_killed_are_left_to_the_next_one() -> None:
    shard = Progress()
    first = Lane("a", shard.resume("a"))
    assert take(shard, first.batch(5))
    late, end = first.batch(6), first.end()
    second = Lane("b", shard.resume("b"))
    assert (second.sent, second.upto) == (5, 5)
    assert take(shard, late, second.batch(3), end, second.batch(3)) == [False, True, False, True]
    assert shard.rows == 11
    assert shard.stats() == {"packets_lost": 0, "packets_repeated": 0}


def test_of_inputs_that_come_in_turns_each_is_told() -> None:
    """A successor knows of all of them, not only of the newest: nothing is sent again."""
    shard = Progress()
    one = Lane("a", shard.resume("a"), "one")
    other = Lane("a", {"rows": 5, "seen": {}}, "other")
    assert take(shard, one.batch(5), other.batch(7))
    after = successor(shard, 12)
    assert after.resume("b") == {"rows": 12, "seen": {"one": 5, "other": 7}}


def test_what_is_being_taken_is_not_told() -> None:
    shard = Progress()
    lane = Lane("a", shard.resume("a"))
    assert take(shard, lane.batch(5))
    shard.begin(lane.batch(6))
    assert (shard.taken, shard.news()) == (5, {"files": 5})
    shard.finish()
    assert (shard.taken, shard.news()) == (11, {"files": 11})


def test_what_was_lost_of_an_input_before_is_not_sent_again() -> None:
    """The last of one input went down with a shard; its successor learns that from the next batch,
    which is of another input: the packets are lost, and stay so."""
    shard = Progress()
    one = Lane("a", shard.resume("a"), "one")
    assert take(shard, one.batch(5))
    after = successor(shard, 5)
    lost = one.batch(4)
    other = Lane("a", {"rows": one.sent, "seen": {}}, "other")
    batch = other.batch(7).model_copy(update={"others": {"one": lost.upto}})
    assert take(after, batch) == [True]
    assert after.stats() == {"packets_lost": 4, "packets_repeated": 0}
    assert after.resume("b")["seen"] == {"one": 9, "other": 7}


def test_what_cannot_be_read_again_is_taken_from_either() -> None:
    shard = Progress()
    first = Lane("a", shard.resume("a"), "")
    late = first.batch(6)
    second = Lane("b", shard.resume("b"), "")
    assert take(shard, second.batch(3), late, second.batch(3)) == [True] * 3
    assert shard.rows == 12
    assert shard.lost == 0


def test_a_new_shard_counts_what_went_down_with_the_old_one() -> None:
    old = Progress()
    lane = Lane("a", old.resume("a"))
    take(old, lane.batch(5), lane.batch(6))
    lane.batch(7)
    new = successor(old, told=5)  # the last word, on 6 packets, did not arrive
    take(new, lane.batch(8))
    assert new.lost == 6 + 7
    assert new.rows == 5 + 6 + 7 + 8


def test_packets_that_are_lost_at_the_very_end_are_counted_too() -> None:
    old = Progress()
    lane = Lane("a", old.resume("a"))
    take(old, lane.batch(5))
    lane.batch(7)
    new = successor(old, told=5)
    take(new, lane.end())
    assert (new.lost, new.rows) == (7, 12)


def test_capture_and_shard_are_killed_at_once() -> None:
    """The old shard was in the middle of a batch, and had told of a part of it."""
    old = Progress()
    lane = Lane("a", old.resume("a"))
    take(old, lane.batch(5))
    new = successor(old, told=7)
    again = Lane("b", new.resume("b"))
    assert new.resume("b") == {"rows": 5, "seen": {"files": 5}}, "asked twice, the same"
    take(new, again.batch(6), again.end())
    assert new.stats() == {"packets_lost": 0, "packets_repeated": 2}
    told, analysed = 7, 6
    assert told + analysed - new.repeated == 11


def test_a_batch_whose_lane_is_gone() -> None:
    shard = Progress()
    first = Lane("a", shard.resume("a"), "")
    shard.lose(first.batch(4))
    assert (shard.lost, shard.rows) == (4, 4)
    files = Lane("a", {"rows": 4, "seen": {}})
    late = files.batch(3)
    shard.resume("b")
    shard.lose(late)
    assert shard.lost == 4, "it is sent again"


def test_the_oldest_inputs_are_forgotten() -> None:
    shard = Progress()
    for number in range(2000):
        take(shard, Lane("", {"rows": number, "seen": {}}, f"upload {number}").batch(1))
    seen = shard.resume("b")["seen"]
    assert len(seen) == 1024
    assert "upload 1999" in seen


def test_what_was_lost_is_counted_when_nothing_more_comes() -> None:
    new = Progress()
    new.follow({"told_packets": 7, "rows": 5, "seen": {"files": 5}, "sent": 12})
    assert new.lost == 5
    more = Lane("a", {"rows": 12, "seen": {}}, "upload x")
    take(new, more.batch(3))
    assert (new.lost, new.rows) == (5, 15)


def test_several_batches_are_told_of_together() -> None:
    shard = Progress()
    files = Lane("first", shard.resume("first"))
    first, second = files.batch(10), files.batch(5)
    assert shard.begin(first)
    assert shard.begin(second)
    assert (shard.taken, shard.news()) == (0, {})
    shard.finish()
    assert (shard.taken, shard.news()) == (15, {"files": 15})


def test_what_stands_back_is_not_told_of() -> None:
    """A shard that waits to be fed: what it lets pass comes again, also to its own successor."""
    shard = Progress()
    lane = Lane("first", shard.resume("first"))
    assert take(shard, lane.batch(10)) == [True]
    shard.lose(lane.batch(5))
    shard.finish()  # nothing was begun
    assert shard.taken == 10
