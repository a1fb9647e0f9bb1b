"""`/api/hide-rules`: streams that nobody needs to see. They are analysed and kept all the same."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from services.api.backend import deadline
from services.api.deps import TheBackend, json_response
from services.api.models import Body
from services.api.problems import CONFLICT, RESPONSES, UNKNOWN_ID
from shared.team import NewRule, RuleChange, RuleKind

router = APIRouter()

RuleNumber = Annotated[int, Path(alias="id", ge=1, le=(1 << 31) - 1)]


class HideRule(Body):
    """A rule. A row that it hides says so in `hidden_reason`: `rule 3: service dns`."""

    id: int
    kind: RuleKind
    value: int | str = Field(description="as it was given")
    enabled: bool


class HideRuleList(Body):
    hide_rules: list[HideRule]


@router.get("/api/hide-rules", response_model=HideRuleList, responses=RESPONSES)
async def list_hide_rules(backend: TheBackend) -> Response:
    """All rules, the oldest first."""
    answer = await backend.coordinator.ask("rule_list", {}, deadline())
    return json_response(answer.result)


@router.post(
    "/api/hide-rules", status_code=201, response_model=HideRule, responses=RESPONSES | CONFLICT
)
async def add_hide_rule(backend: TheBackend, rule: NewRule) -> Response:
    """Hide streams, those there are and those to come. Where a rule of this kind and value is
    there already, it is the answer."""
    answer = await backend.coordinator.ask("rule_add", rule.given(), deadline())
    return json_response(answer.result, 201)


@router.patch("/api/hide-rules/{id}", response_model=HideRule, responses=RESPONSES | UNKNOWN_ID)
async def change_hide_rule(backend: TheBackend, number: RuleNumber, change: RuleChange) -> Response:
    """Switch a rule off, and on again."""
    args = {"id": number, "change": change.given()}
    answer = await backend.coordinator.ask("rule_change", args, deadline())
    return json_response(answer.result)


@router.delete("/api/hide-rules/{id}", status_code=204, responses=RESPONSES | UNKNOWN_ID)
async def remove_hide_rule(backend: TheBackend, number: RuleNumber) -> Response:
    """Its streams are shown again, unless another rule or a hand hides them."""
    await backend.coordinator.ask("rule_remove", {"id": number}, deadline())
    return Response(status_code=204)
