"""Profiles: layers, the file and what is wrong with it, and the filter."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.coordinator.conditions import BadValueError
from services.coordinator.profiles import BUILT_IN
from services.coordinator.shards import RefusedError
from shared.errors import UserError
from shared.team import Profile, ProfileChange
from tests.team_site import TeamSite, pairs_of, state_in

NAMES = {"http", "https", "tls", "dns", "websocket", "binary", "matched"}


def test_what_is_built_in() -> None:
    site = TeamSite()
    assert {profile.id for profile in BUILT_IN} == NAMES == set(site.team.profiles.all)
    assert all(each["source"] == "built_in" for each in site.team.profiles.describe())


def test_layers_lie_over_each_other_and_come_off(tmp_path: Path) -> None:
    path = tmp_path / "profiles.json"
    path.write_text(json.dumps([{"id": "dns", "priority": 90, "ports": [53]}, {"id": "mine"}]))
    settings: dict[str, Any] = {"service_profile_file": str(path), "state_file": state_in(tmp_path)}
    site = TeamSite(**settings)
    profiles = site.team.profiles
    assert next(iter(profiles.all)) == "dns"
    assert (profiles.source("dns"), profiles.of("mine").name) == ("file", "mine")
    profiles.change("dns", ProfileChange(enabled=False))
    profiles.put(Profile(id="other", ports=[1337]))
    assert (profiles.source("dns"), profiles.of("dns").ports) == ("api", [53])
    site.team.close()

    again = TeamSite(**settings)
    profiles = again.team.profiles
    assert (profiles.of("dns").enabled, profiles.of("other").ports) == (False, [1337])
    profiles.remove("dns")
    assert profiles.of("dns").enabled
    profiles.remove("other")
    for key, said in (("http", "built in"), ("mine", "of the file"), ("other", "no profile")):
        with pytest.raises(RefusedError, match=said):
            profiles.remove(key)
    again.team.close()


def test_yaml_says_the_same(tmp_path: Path) -> None:
    text = "profiles:\n  - id: checker\n    ports: [1337]\n    hide_rules:\n"
    text += "      - {kind: status, value: attempt}\n    analyzer: {depth: 3}\n"
    for name in ("profiles.yaml", "profiles"):
        (tmp_path / name).write_text(text)
        profile = TeamSite(service_profile_file=str(tmp_path / name)).team.profiles.of("checker")
        assert (profile.ports, profile.analyzer) == ([1337], {"depth": 3})
        assert profile.hide_rules[0].value == "attempt"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "[{]", "is no JSON: "),
        ("a.yaml", "a: [", "is no YAML: "),
        ("a.yaml", "!!python/object/apply:os.system [ls]", "is no YAML: "),
        ("a.json", '{"profile": []}', "give a list of profiles"),
        ("a.json", '[{"id": "x"}, 7]', "entry 2: a profile is a map"),
        ("a.json", '[{"id": "x", "ports": [99999]}]', "entry 1 (x): field ports.0: "),
        ("a.json", '[{"id": "x"}, {"id": "x"}]', "entry 2 (x): there is another"),
        ("a.json", '[{"id": "x", "colour": 1}]', "entry 1 (x): field colour: "),
        ("a.json", '[{"name": "x"}]', "entry 1: field id: "),
        ("a.json", '[{"id": "x", "services": ["gopher"]}]', "field services.0: one of"),
        ("a.json", "[" * 100_000, "is no JSON"),
        ("a.json", "[" + "{}," * 300 + "{}]", "profiles"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_with_entry_and_field(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError) as error:
        TeamSite(service_profile_file=str(path))
    assert str(error.value).startswith(f"--service-profile-file {path}: ")
    assert said in str(error.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match="no such file"):
        TeamSite(service_profile_file="/no/such/file.json")


STREAMS: tuple[dict[str, Any], ...] = (
    {"id": 1, "service": "http", "port_b": 80},
    {"id": 2, "service": "http", "port_b": 8080, "content_kind": (3, 0, 0)},
    {"id": 3, "service": "dns", "protocol": "udp", "port_a": 53},
    {"id": 4, "port_b": 80},
)


@pytest.mark.parametrize(
    ("fields", "selected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"services": ["http"]}, [1, 2]),
        ({"services": ["http", "dns"]}, [1, 2, 3]),
        ({"ports": [80, 53]}, [1, 3, 4]),
        ({"services": ["http"], "ports": [80]}, [1]),
        ({"protocol": "udp"}, [3]),
        ({"content_kind": "binary"}, [2]),
        ({"pattern_ids": [1]}, [2]),
        ({"pattern_ids": [1, 2]}, [2, 3]),
        ({"pattern_ids": [77]}, []),
        ({"only_matched": True, "services": ["dns"]}, [3]),
        ({"hide_rules": [{"kind": "service", "value": "http"}]}, [3, 4]),
        ({"hide_rules": [{"kind": "pattern", "value": 1}, {"kind": "tag", "value": "X"}]}, [1, 3]),
    ],
)
def test_a_profile_selects_what_it_describes(fields: dict[str, Any], selected: list[int]) -> None:
    site = TeamSite()
    one, two = site.look_for("one"), site.look_for("two")
    site.tell(*STREAMS, pairs=pairs_of((2, one, 1), (3, two, 5)))
    site.note(4, tags=["x"])
    site.team.profiles.put(Profile.model_validate({"id": "mine"} | fields))
    assert site.shown(profile="mine") == selected
    assert site.shown(profile="mine", protocol="udp") == [i for i in selected if i == 3]


def test_built_in_profiles_select() -> None:
    site = TeamSite()
    site.tell(*STREAMS, pairs=pairs_of((4, site.look_for("one"), 1)))
    assert [site.shown(profile=name) for name in ("http", "dns", "binary", "matched", "tls")] == [
        [1, 2], [3], [2], [4], [],
    ]  # fmt: skip


def test_a_profile_that_is_unknown_or_disabled_is_no_filter() -> None:
    site = TeamSite()
    with pytest.raises(BadValueError, match="'gopher' is not known"):
        site.shown(profile="gopher")
    site.team.profiles.change("tls", ProfileChange(enabled=False))
    with pytest.raises(BadValueError, match="'tls' is disabled") as error:
        site.shown(profile="tls")
    assert "tls" not in error.value.hint
    assert "http" in error.value.hint


def test_a_pattern_that_is_unknown_is_no_filter() -> None:
    with pytest.raises(BadValueError, match="pattern_id 5 is no pattern"):
        TeamSite().shown(pattern_id=5)
