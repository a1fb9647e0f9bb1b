"""Favourites, hidden flags, comments and tags: what holds, what is forgotten, what is refused."""

from pathlib import Path

import pytest

from services.coordinator import annotations
from services.coordinator.kernels.inventory import FAVORITE, HIDDEN
from services.coordinator.shards import RefusedError
from tests.team_site import TeamSite, state_in


def test_notes_hold_field_by_field() -> None:
    site = TeamSite()
    site.tell({"id": 1}, {"id": 2})
    site.note(1, favorite=True, comment="see port 80")
    site.note(1, tags=["Flag", " first  blood ", "flag"])
    notes = site.team.annotations.of(1)
    assert (notes.favorite, notes.comment, notes.tags) == (
        True, "see port 80", ("flag", "first blood"),
    )  # fmt: skip
    assert site.extras(1) == {"comment": "see port 80", "tags": ["flag", "first blood"]}
    assert site.shown(only_favorites=True) == [1]
    assert site.shown(tag="FIRST  blood") == [1]
    site.note(1, favorite=False, comment="", tags=[])
    assert (len(site.team.annotations), site.extras(1)) == (0, {})
    assert site.shown(tag="flag") == site.shown(only_favorites=True) == []


def test_hidden_by_hand_says_so_and_can_be_taken_back() -> None:
    site = TeamSite()
    site.tell({"id": 1}, {"id": 2})
    site.note(1, hidden=True)
    assert (site.shown(), site.shown(include_hidden=True)) == ([2], [1, 2])
    assert site.extras(1) == {"hidden_reason": "hidden by hand"}
    site.note(1, hidden=False)
    assert site.shown() == [1, 2]
    assert len(site.team.annotations) == 0


def test_shown_by_hand_wins_over_a_rule_and_only_where_one_hides() -> None:
    site = TeamSite()
    site.tell({"id": 1, "service": "dns"}, {"id": 2, "service": "dns"})
    number = site.hide("service", "dns")
    assert site.shown() == []
    site.note(1, hidden=False)
    assert site.shown() == [1]
    site.tell({"id": 1, "service": "dns"})
    assert site.shown() == [1]
    site.note(1, hidden=True)
    assert site.extras(1) == {"hidden_reason": "hidden by hand"}
    site.team.rules.remove(number)
    assert site.shown() == [2]


def test_notes_hold_again_when_the_stream_shows_up_again(tmp_path: Path) -> None:
    first = TeamSite(capacity=2, state_file=state_in(tmp_path))
    first.tell({"id": 1})
    first.note(1, hidden=True, comment="odd", tags=["x"])
    first.tell({"id": 2}, {"id": 3})
    assert first.inventory.find(1) == -1
    first.tell({"id": 1})
    assert first.extras(1) == {"hidden_reason": "hidden by hand", "comment": "odd", "tags": ["x"]}
    first.note(1, favorite=True, hidden=False)
    first.team.close()

    second = TeamSite(state_file=state_in(tmp_path))
    second.tell({"id": 5}, {"id": 1})
    assert second.marked(1) & (FAVORITE | HIDDEN) == FAVORITE
    assert second.marked(5) & (FAVORITE | HIDDEN) == 0
    assert second.shown(tag="x") == [1]
    second.team.close()


def test_a_slot_taken_by_another_stream_has_none_of_the_notes() -> None:
    site = TeamSite(capacity=1)
    site.tell({"id": 1})
    site.note(1, hidden=True, favorite=True, tags=["x"])
    site.tell({"id": 2})
    assert (site.shown(), site.extras(2), site.shown(tag="x")) == ([2], {}, [])


def test_favourites_are_at_most_half_of_the_inventory() -> None:
    site = TeamSite(capacity=4)
    site.tell(*({"id": i} for i in range(1, 5)))
    site.note(1, favorite=True)
    site.note(2, favorite=True)
    with pytest.raises(RefusedError, match="2 favourites"):
        site.note(3, favorite=True)
    site.note(1, favorite=False)
    site.note(3, favorite=True)
    site.tell(*({"id": i} for i in range(10, 20)))
    assert site.shown(only_favorites=True) == [2, 3]
    assert len(site.shown()) == 4


def test_more_favourites_than_may_be_are_not_marked_when_they_come_in(tmp_path: Path) -> None:
    first = TeamSite(capacity=8, state_file=state_in(tmp_path))
    first.tell(*({"id": i} for i in range(1, 5)))
    for i in range(1, 5):
        first.note(i, favorite=True)
    first.team.close()
    second = TeamSite(capacity=4, state_file=state_in(tmp_path))
    second.tell(*({"id": i} for i in range(1, 5)))
    assert second.shown(only_favorites=True) == [1, 2]
    second.team.close()


def test_notes_on_streams_that_are_gone_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations, "NOTED_MAX", 2)
    site = TeamSite(capacity=2)
    site.tell({"id": 1})
    site.note(1, comment="gone soon")
    site.tell({"id": 2}, {"id": 3})
    site.note(2, comment="two")
    site.note(3, comment="three")
    assert [site.team.annotations.of(i).comment for i in (1, 2, 3)] == ["", "two", "three"]


def test_notes_are_bounded_in_number_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations, "NOTED_MAX", 2)
    monkeypatch.setattr(annotations, "TEXT_MAX", 10)
    site = TeamSite()
    site.tell({"id": 1}, {"id": 2}, {"id": 3})
    site.note(1, comment="12345678")
    with pytest.raises(RefusedError, match="notes on 1 streams"):
        site.note(2, comment="too much")
    site.note(2, comment="x")
    site.note(2, comment="xy")
    with pytest.raises(RefusedError, match="as much as may be"):
        site.note(3, favorite=True)
    assert site.team.annotations.of(3) == annotations.NONE


def test_shards_are_told_of_each_change_of_the_favorites() -> None:
    """By a version; also when the stream of a favourite comes from another process of its shard,
    where it is in another row."""
    site = TeamSite()
    site.tell({"id": 1}, {"id": 2})
    versions = [site.team.annotations.favorites_version]
    for notes in ({"favorite": True}, {"favorite": False}, {"favorite": True}):
        site.note(1, **notes)
        versions.append(site.team.annotations.favorites_version)
    site.note(2, comment="none of them")
    assert site.team.annotations.favorites_version == versions[-1]
    site.inventory.forget_rows(0)
    site.tell({"id": 1})
    versions.append(site.team.annotations.favorites_version)
    assert versions == sorted(set(versions))
