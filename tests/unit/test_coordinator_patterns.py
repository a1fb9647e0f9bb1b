"""The list of patterns: what is taken, what is refused and where, what a change does."""

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.coordinator import patterns
from services.coordinator.patterns import checked, hexadecimal
from services.coordinator.shards import RefusedError
from shared.columns import EVENT_CLOSE, REASONS
from shared.errors import UserError
from shared.schema import Pattern, PatternReport
from shared.team import PATTERNS_MAX, NewPattern, PatternChange
from tests.team_site import TeamSite, pairs_of, state_in


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        ("deadBEEF", "deadbeef"),
        ("de ad:be_ef", "deadbeef"),
        ("0xde 0XAD-be", "deadbe"),
        (" 00 ", "00"),
        ("0xdead", "dead"),
    ],
)
def test_hexadecimal_is_taken_as_people_write_it(value: str, digits: str) -> None:
    assert hexadecimal(value) == digits


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("binary", "dead0", "is not hexadecimal, at position 4"),
        ("binary", "00 gg", "is not hexadecimal, at position 3"),
        ("binary", " :-", "has no byte, at position 0"),
        ("binary", "0x", "has no byte, at position 0"),
        ("regex", "flag(", "missing ), at position 5"),
        ("regex", "[a-", "at position 3"),
        ("regex", "a{2}*+", "multiple repeat, at position"),
        ("regex", "(" * 4000, "at position"),
        ("regex", "\ud800", "is not text, at position 0"),
        ("substring", "a\udfff", "is not text, at position 1"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_with_a_position(
    kind: str, value: str, said: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        checked(kind, value)
    assert refused.value.code == "bad_pattern"
    assert said in str(refused.value)


@given(st.sampled_from(("substring", "regex", "binary")), st.text(max_size=40))
def test_no_value_is_a_fault(kind: str, value: str) -> None:
    kept = None
    with contextlib.suppress(RefusedError):
        kept = checked(kind, value)
    if kept is not None:
        assert kept == (bytes.fromhex(kept).hex() if kind == "binary" else value)


def test_a_pattern_has_a_name_a_colour_and_a_number_of_its_own() -> None:
    site = TeamSite()
    numbers = [site.look_for("flag{"), site.look_for("00FF", "binary", name="zero", color="#fff")]
    first, second = site.team.patterns.describe()
    assert (numbers, first["name"], second["name"]) == ([1, 2], "flag{", "zero")
    assert (first["color"], second["color"]) == (patterns.PALETTE[1], "#fff")
    assert second["value"] == "00ff"
    site.team.patterns.remove(2)
    assert site.look_for("again") == 3


def test_every_change_raises_the_version_and_what_finds_else_the_revision() -> None:
    site = TeamSite()
    number = site.look_for("flag")
    listed = site.team.patterns
    steps: list[tuple[dict[str, Any], int, int]] = [
        ({"name": "the flag"}, 1, 0),
        ({"color": "#abc"}, 1, 0),
        ({"color": "#abc"}, 0, 0),
        ({}, 0, 0),
        ({"enabled": False}, 1, 1),
        ({"enabled": True}, 1, 1),
        ({"value": "FLAG"}, 1, 1),
        ({"kind": "regex"}, 1, 1),
        ({"direction": "server", "services": ["http"]}, 1, 1),
    ]
    for given_fields, version, revision in steps:
        before = listed.version, listed.of(number).revision
        listed.change(number, PatternChange(**given_fields))
        after = listed.version, listed.of(number).revision
        assert (after[0] - before[0], after[1] - before[1]) == (version, revision), given_fields
    told = Pattern.model_validate(listed.told()["patterns"][0])
    assert (told.name, told.value, told.kind, told.services) == (
        "the flag", "FLAG", "regex", ["http"],
    )  # fmt: skip


def test_a_name_that_was_the_value_follows_it() -> None:
    site = TeamSite()
    number = site.look_for("flag")
    site.team.patterns.change(number, PatternChange(value="FLAG"))
    assert site.team.patterns.of(number).name == "FLAG"


def test_a_change_is_checked_as_a_whole() -> None:
    site = TeamSite()
    number = site.look_for("flag(")
    with pytest.raises(RefusedError, match="missing"):
        site.team.patterns.change(number, PatternChange(kind="regex"))
    assert site.team.patterns.of(number).kind == "substring"
    with pytest.raises(RefusedError, match="no pattern 9"):
        site.team.patterns.change(9, PatternChange())


def test_matches_go_with_a_pattern_and_with_what_it_found() -> None:
    site = TeamSite()
    one, two = site.look_for("one"), site.look_for("two")
    site.tell({"id": 1}, {"id": 2}, pairs=pairs_of((1, one, 3), (1, two, 4), (2, two, 1)))
    assert site.extras(1) == {"match_count": 7, "pattern_ids": [one, two]}
    assert site.shown(only_matched=True) == site.shown(pattern_id=two) == [1, 2]
    assert site.shown(pattern_id=one) == [1]
    site.team.patterns.change(two, PatternChange(enabled=False))
    assert site.extras(1) == {"match_count": 3, "pattern_ids": [one]}
    site.tell(pairs=pairs_of((2, two, 1)))  # was on its way
    assert site.shown(only_matched=True) == [1]
    site.team.patterns.remove(one)
    site.tell(pairs=pairs_of((2, one, 1), (2, 77, 1)))
    assert (site.shown(only_matched=True), len(site.inventory.matches)) == ([], 0)


def test_a_stream_told_by_another_process_counts_from_zero() -> None:
    site = TeamSite()
    one, two = site.look_for("one"), site.look_for("two")
    site.tell({"id": 1}, pairs=pairs_of((1, one, 3), (1, two, 1)))
    site.inventory.forget_rows(0)
    assert site.extras(1)["match_count"] == 4
    site.tell({"id": 1}, pairs=pairs_of((1, one, 2)))
    assert site.extras(1) == {"match_count": 2, "pattern_ids": [one]}


def test_a_row_keeps_its_matches_when_its_stream_leaves_the_shard() -> None:
    site = TeamSite(capacity=2)
    one = site.look_for("one")
    site.tell({"id": 1}, pairs=pairs_of((1, one, 3)))
    site.tell({"id": 1, "kind": EVENT_CLOSE, "reason": REASONS.index("evicted")})
    site.tell({"id": 1025})  # another stream of the same row
    assert site.extras(1) == {"match_count": 3, "pattern_ids": [one]}
    assert (site.shown(only_matched=True), site.extras(1025)) == ([1], {})
    site.tell({"id": 3})  # takes its place in the inventory
    assert (site.shown(only_matched=True), len(site.inventory.matches)) == ([], 0)


def test_a_slot_taken_by_another_stream_has_none_of_the_matches() -> None:
    site = TeamSite(capacity=1)
    one = site.look_for("one")
    site.tell({"id": 1}, pairs=pairs_of((1, one, 3)))
    site.tell({"id": 2}, pairs=pairs_of((1, one, 4)))
    assert (site.extras(2), len(site.inventory.matches)) == ({}, 0)
    assert site.inventory.losses()["match_counts_after_eviction"] == 1


def test_changed_matches_are_told_once() -> None:
    site = TeamSite()
    one, two = site.look_for("one"), site.look_for("two")
    site.tell({"id": 1}, {"id": 2}, pairs=pairs_of((1, one, 3), (2, two, 1)))
    site.tell(pairs=pairs_of((1, one, 4), (2, two, 1)))
    assert site.team.take_matched(9) == {
        "count": 2, "ids": [f"{1:016x}", f"{2:016x}"], "pattern_ids": [one, two],
    }  # fmt: skip
    assert site.team.take_matched(9) is None
    site.tell(pairs=pairs_of((2, two, 0)))
    assert site.team.take_matched(9) == {
        "count": 1, "ids": [f"{2:016x}"], "pattern_ids": [two],
    }  # fmt: skip


def test_how_a_pattern_fares_is_summed_over_shards() -> None:
    site = TeamSite()
    number = site.look_for("one")
    listed = site.team.patterns

    def status() -> dict[str, Any]:
        found: dict[str, Any] = listed.describe([number])[0]["status"]
        return found

    assert (status()["state"], status()["progress"]) == ("pending", 0)
    listed.report(0, [PatternReport(id=number, matches=2, scanned_bytes=100)])
    assert (status()["state"], status()["progress"]) == ("active", 1)
    slow = PatternReport(
        id=number,
        matches=3,
        timeouts=1,
        todo_bytes=300,
        unseen_bytes=7,
        state="scanning",
        trouble="too slow",
    )
    listed.report(1, [slow, PatternReport(id=99)])
    assert status() == {
        "matches": 5, "over_limit": 0, "timeouts": 1, "skipped": 0, "scanned_bytes": 100,
        "todo_bytes": 300, "unseen_bytes": 7, "progress": 0.25, "state": "scanning",
        "trouble": "too slow",
    }  # fmt: skip
    listed.forget_shard(1)
    assert status()["matches"] == 2
    listed.change(number, PatternChange(enabled=False))
    assert (status()["state"], status()["matches"]) == ("disabled", 0)


def test_a_thousand_patterns_load_fast_and_are_bounded() -> None:
    values = tuple(f"flag_{i}[a-z]{{4}}\\d+" for i in range(1000))
    began = time.perf_counter()
    site = TeamSite(regex=values)
    assert time.perf_counter() - began < 5  # 0.2 s on an idle core
    assert len(site.team.patterns.all) == 1000
    for i in range(PATTERNS_MAX - 1000):
        site.look_for(f"text {i}")
    with pytest.raises(RefusedError, match=str(PATTERNS_MAX)):
        site.look_for("one more")


@pytest.mark.parametrize(
    ("given_settings", "said"),
    [
        ({"regex": ("a(",)}, "--regex 'a(': missing ), at position 2"),
        ({"binary_pattern": ("xyz",)}, "--binary-pattern 'xyz': is not hexadecimal, at position 0"),
        ({"pattern": ("",)}, "--pattern '': "),
        ({"pattern": ("x" * 5000,)}, "give 1 to 4096 characters"),
    ],
)
def test_what_the_command_line_gives_wrong_is_the_users(
    given_settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as error:
        TeamSite(**given_settings)
    assert said in str(error.value)


def test_the_list_is_kept_and_the_command_line_adds_what_is_missing(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"pattern": ("one",), "binary_pattern": ("DE AD",)}
    first = TeamSite(state_file=state_in(tmp_path), **settings)
    added = first.look_for("three", "regex", name="third")
    first.team.patterns.remove(added)
    first.team.patterns.change(1, PatternChange(enabled=False))
    fourth = first.look_for("four")
    first.team.close()

    second = TeamSite(state_file=state_in(tmp_path), **settings, regex=("five",))
    listed = [(p.id, p.value, p.enabled) for p in second.team.patterns.all.values()]
    assert listed == [
        (1, "one", False), (2, "dead", True), (fourth, "four", True), (fourth + 1, "five", True),
    ]  # fmt: skip
    assert second.team.patterns.version > first.team.patterns.version
    second.team.patterns.remove(fourth + 1)
    second.team.close()
    third = TeamSite(state_file=state_in(tmp_path))
    assert third.look_for("six") == fourth + 2
    third.team.close()


def test_an_empty_value_is_none() -> None:
    with pytest.raises(ValueError, match="at least 1 character"):
        NewPattern(kind="substring", value="")
