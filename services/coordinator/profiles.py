"""Profiles: how streams of a kind are told, and how they are best looked at.

Three layers, each over the one before it: built in, from the file, from the API. Only what came by
the API is kept in the state file. A profile that is built in or from the file can be overridden or
disabled by the API, not deleted; to delete what the API said of it brings it back as it was.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.coordinator.shards import RefusedError
from services.coordinator.state import StateFile
from shared.errors import UserError
from shared.team import PROFILES_MAX, Profile, ProfileChange

KIND = "profile"
FILE_BYTES_MAX = 4 << 20
YAML_SUFFIXES = (".yaml", ".yml")
BUILT_IN = (
    Profile(
        id="websocket", name="WebSocket", description="WebSocket frames and messages",
        priority=40, services=["websocket"], default_transforms=["websocket"],
    ),
    Profile(
        id="https", name="HTTPS", description="HTTP over TLS",
        priority=30, services=["https"], default_mode="hex",
    ),
    Profile(
        id="http", name="HTTP", description="requests and responses, bodies decoded",
        priority=20, services=["http", "http2"], default_transforms=["http_body"],
    ),
    Profile(
        id="tls", name="TLS", description="anything over TLS",
        priority=20, services=["tls", "https"], default_mode="hex",
    ),
    Profile(
        id="dns", name="DNS", description="queries and answers, mDNS too",
        priority=20, services=["dns", "mdns"], default_mode="hex",
    ),
    Profile(
        id="matched", name="Matched", description="streams with a match of a pattern",
        priority=10, only_matched=True,
    ),
    Profile(
        id="binary", name="Binary", description="content that is no text",
        content_kind="binary", default_mode="hex",
    ),
)  # fmt: skip

log = logging.getLogger("coordinator")


class Profiles:
    """All profiles by id."""

    def __init__(self, path: str, state: StateFile) -> None:
        self.state = state
        self.path = path
        self._built_in = {profile.id: profile for profile in BUILT_IN}
        self._file = read_file(path) if path else {}
        self._changed: dict[str, Profile] = {}
        for key, body in state.load(KIND).items():
            try:
                self._changed[key] = Profile.model_validate(body)
            except ValidationError as error:
                log.error("the state file's profile %s means nothing: %s", key, sentence(error))

    @property
    def all(self) -> dict[str, Profile]:
        """As they hold, the most important first."""
        merged = self._built_in | self._file | self._changed
        return dict(sorted(merged.items(), key=lambda item: (-item[1].priority, item[0])))

    def of(self, key: str) -> Profile:
        for layer in (self._changed, self._file, self._built_in):
            if key in layer:
                return layer[key]
        raise RefusedError("not_found", f"no profile {key!r}", f"one of {', '.join(self.all)}")

    def source(self, key: str) -> str:
        """Where it comes from: `built_in`, `file` or `api`; an override counts as what it is."""
        if key in self._changed:
            return "api"
        return "file" if key in self._file else "built_in"

    # ------------------------------------------------------------------------- changes
    def put(self, profile: Profile) -> Profile:
        """Add one, or override one of its id. RefusedError at the bound."""
        if profile.id not in self.all and len(self.all) >= PROFILES_MAX:
            raise RefusedError(
                "too_many", f"there are {PROFILES_MAX} profiles, as many as may be", "delete some"
            )
        profile = Profile(**profile.model_dump() | {"name": profile.name or profile.id})
        self._changed[profile.id] = profile
        self.state.put(KIND, profile.id, profile.model_dump())
        return profile

    def change(self, key: str, wanted: ProfileChange) -> Profile:
        """Fields that are not given stay. RefusedError when there is none of this id."""
        before = self.of(key)
        after = before.model_dump() | wanted.given()
        return before if after == before.model_dump() else self.put(Profile(**after))

    def remove(self, key: str) -> None:
        """Take off what the API said of it. RefusedError when that is nothing."""
        profile = self.of(key)
        if key not in self._changed:
            raise RefusedError(
                "built_in",
                f"profile {profile.id} is {'of the file' if key in self._file else 'built in'}"
                " and cannot be deleted",
                'disable it: PATCH {"enabled": false}',
            )
        del self._changed[key]
        self.state.put(KIND, key, None)

    def describe(self) -> list[dict[str, Any]]:
        """The list as the API shows it."""
        return [self.described(key) for key in self.all]

    def described(self, key: str) -> dict[str, Any]:
        return self.of(key).model_dump() | {"source": self.source(key)}


# --------------------------------------------------------------------------------- the file
def read_file(path: str) -> dict[str, Profile]:
    """The profiles of a JSON or YAML file: a list, or a map with a list `profiles`. UserError
    names file, entry and field."""
    name = f"--service-profile-file {path}"
    try:
        with Path(path).open("rb") as file:
            octets = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{name}: {reason}; give a file that can be read") from None
    if len(octets) > FILE_BYTES_MAX:
        raise UserError(f"{name}: more than {FILE_BYTES_MAX} bytes; give a smaller file")
    entries = parse(octets, path, name)
    if isinstance(entries, dict) and entries.keys() == {"profiles"}:
        entries = entries["profiles"]
    if not isinstance(entries, list):
        raise UserError(f"{name}: give a list of profiles, or a map with a list `profiles`")
    if len(entries) > PROFILES_MAX - len(BUILT_IN):
        raise UserError(f"{name}: more than {PROFILES_MAX - len(BUILT_IN)} profiles")
    return dict(profiles_of(entries, name))


def parse(octets: bytes, path: str, name: str) -> Any:
    """JSON, or YAML where the file says so or it is no JSON."""
    try:
        if not path.endswith(YAML_SUFFIXES):
            return json.loads(octets)
    except (ValueError, RecursionError) as error:
        if path.endswith(".json"):
            raise UserError(f"{name}: is no JSON: {error}") from None
    import yaml  # 2 MB that a run without such a file does not need

    try:
        return yaml.safe_load(octets)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{name}: is no YAML: {' '.join(str(error).split())}") from None


def profiles_of(entries: list[Any], name: str) -> Iterator[tuple[str, Profile]]:
    """Checked, by id."""
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        key = entry.get("id") if isinstance(entry, dict) else None
        where = f"{name}: entry {number}" + (f" ({key})" if isinstance(key, str) else "")
        if not isinstance(entry, dict):
            raise UserError(f"{where}: a profile is a map of fields")
        try:
            profile = Profile.model_validate(entry)
        except ValidationError as error:
            raise UserError(f"{where}: {sentence(error)}") from None
        if profile.id in seen:
            raise UserError(f"{where}: there is another profile of this id")
        seen.add(profile.id)
        yield profile.id, Profile(**profile.model_dump() | {"name": profile.name or profile.id})


def sentence(error: ValidationError) -> str:
    """What is wrong with the first bad field."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"field {where}: {str(first['msg']).lower()}" if where else str(first["msg"]).lower()
