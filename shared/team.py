"""What a team decides: patterns, hide rules, profiles, and what it notes on a stream.

The API takes these shapes as bodies, the coordinator keeps them, files hold them: each name and
each bound is declared here once. A change is the same shape with everything optional: only fields
that are given count.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.columns import CONTENT_KINDS, PROTOCOLS, SERVICES

PATTERNS_MAX = 4096
PATTERN_VALUE_MAX = 4096  # characters
RULES_MAX = 256
PROFILES_MAX = 256
COMMENT_MAX, TAGS_MAX, TAG_MAX = 4096, 32, 64
COLOR = "^(#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6})?$"  # it goes into a browser's style
RULE_KINDS = (
    "stream", "service", "protocol", "port", "addr", "content_kind", "status", "pattern", "tag",
)  # fmt: skip
RuleKind = Literal[
    "stream", "service", "protocol", "port", "addr", "content_kind", "status", "pattern", "tag"
]


class Decided(BaseModel):
    """One shape; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def given(self) -> dict[str, Any]:
        """The fields that were given, and no others."""
        return self.model_dump(exclude_unset=True)


def one_of(names: Sequence[str]) -> tuple[Any, Any]:
    """Marks text of a closed set."""

    def check(value: str) -> str:
        if value not in names:
            raise PydanticCustomError("one_of", "one of {names}", {"names": ", ".join(names)})
        return value

    return AfterValidator(check), WithJsonSchema({"type": "string", "enum": list(names)})


def tag_of(text: str) -> str:
    """A tag as it is kept: lower case, single spaces, none around it."""
    return " ".join(text.split()).lower()


def _tag(text: str) -> str:
    tag = tag_of(text)
    if not 0 < len(tag) <= TAG_MAX or not tag.isprintable():
        raise PydanticCustomError(
            "tag", "a tag has 1 to {most} printable characters", {"most": TAG_MAX}
        )
    return tag


def _name(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("name", "a name has printable characters only")
    return text.strip()


ServiceName = Annotated[str, *one_of(SERVICES[1:])]
ProtocolName = Annotated[str, *one_of(tuple(PROTOCOLS.values()))]
ContentKind = Annotated[str, *one_of(CONTENT_KINDS)]
Name = Annotated[str, Field(max_length=128), AfterValidator(_name)]
Tag = Annotated[str, Field(max_length=4 * TAG_MAX), AfterValidator(_tag)]
Port = Annotated[int, Field(ge=0, le=65535)]
PatternId = Annotated[int, Field(ge=1, le=(1 << 31) - 1)]
Setting = str | int | float | bool


class StreamNotes(Decided):
    """What is noted on a stream."""

    favorite: bool = Field(False, description="kept longest, and by itself with `only_favorites`")
    hidden: bool = Field(False, description="false shows it even where a rule would hide it")
    comment: str = Field("", max_length=COMMENT_MAX)
    tags: list[Tag] = Field([], max_length=TAGS_MAX, description="kept in lower case, trimmed")


class PatternChange(Decided):
    """What is looked for in content."""

    name: Name = Field("", description="the value when empty")
    kind: Literal["substring", "regex", "binary"] = Field(
        "substring",
        description="substring: the text's UTF-8 bytes. regex: over bytes, case flags inside."
        " binary: hexadecimal; spaces, `:`, `_`, `-`, `0x` may stand between",
    )
    value: str = Field("", min_length=1, max_length=PATTERN_VALUE_MAX)
    color: str = Field("", pattern=COLOR, description="`#rrggbb`; one is chosen when empty")
    direction: Literal["any", "client", "server"] = Field("any", description="whose bytes")
    services: list[ServiceName] = Field([], max_length=len(SERVICES), description="empty = all")
    enabled: bool = True


class NewPattern(PatternChange):
    """A pattern to look for."""

    kind: Literal["substring", "regex", "binary"] = Field(
        description=str(PatternChange.model_fields["kind"].description)
    )
    value: str = Field(min_length=1, max_length=PATTERN_VALUE_MAX)


class RuleChange(Decided):
    """What can be changed of a hide rule."""

    enabled: bool = True


class Hiding(Decided):
    """Which streams to hide."""

    kind: RuleKind
    value: Annotated[int, Field(ge=0, le=(1 << 63) - 1)] | Annotated[str, Field(max_length=256)] = (
        Field(
            description="as in the filter of that name; of a stream its id, of a pattern its id;"
            " an addr may be a block"
        )
    )


class NewRule(Hiding):
    """A hide rule."""

    enabled: bool = True


class ProfileChange(Decided):
    """How streams of a kind are told and best looked at. Of the first group, all that is given must
    hold; of a list, one of its members."""

    protocol: ProtocolName | None = None
    services: list[ServiceName] = Field([], max_length=len(SERVICES))
    ports: list[Port] = Field([], max_length=256, description="of either endpoint")
    content_kind: ContentKind | None = None
    pattern_ids: list[PatternId] = Field([], max_length=256)
    only_matched: bool = Field(False, description="streams with a match of any pattern")

    name: Name = Field("", description="the id when empty")
    description: str = Field("", max_length=1024)
    priority: int = Field(0, ge=-1000, le=1000, description="where several fit, the highest")
    enabled: bool = True
    default_direction: Literal["any", "client", "server"] = "any"
    default_mode: Literal["text", "hex", "raw"] = "text"
    default_transforms: list[
        Annotated[str, Field(pattern="^[a-z0-9_]{1,32}(:[A-Za-z0-9_.-]{1,32})?$")]
    ] = Field([], max_length=16)
    hide_rules: list[Hiding] = Field(
        [], max_length=32, description="left out of the list while the profile is selected"
    )
    analyzer: dict[Annotated[str, Field(max_length=64)], Setting] = Field(
        {}, max_length=64, description="settings of analyzers"
    )


PROFILE_ID = re.compile("^[a-z0-9][a-z0-9_.-]{0,63}$")


class Profile(ProfileChange):
    """A profile."""

    id: str = Field(pattern=PROFILE_ID.pattern)
