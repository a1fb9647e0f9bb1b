"""What can go wrong with a request, in the one shape that every error of the API has.

    {"error": {"code": "not_found", "message": "…", "hint": "…"}}

`code` is a stable word for programs, `message` says what is wrong, `hint` what to do about it.
"""

import http
from collections.abc import Iterator, Mapping

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException


class ErrorDetail(BaseModel):
    """Why a request was not answered."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(description="a stable word, such as `bad_value` or `not_found`")
    message: str = Field(description="what is wrong")
    hint: str = Field(description="what to do about it; may be empty")


class ErrorBody(BaseModel):
    """The body of every response that is not a success."""

    model_config = ConfigDict(extra="forbid")

    error: ErrorDetail


class Problem(Exception):  # noqa: N818  the word of RFC 9457 for what an HTTP API reports
    """Ends a request with `status` and the one error shape."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint
        self.headers = dict(headers or {})


def bad_value(field: str, message: str, hint: str = "") -> Problem:
    """400: a parameter has a value that it cannot have."""
    return Problem(400, "bad_value", f"{field}: {message}", hint)


def problem_response(problem: Problem) -> Response:
    error = {"code": problem.code, "message": problem.message, "hint": problem.hint}
    return Response(
        orjson.dumps({"error": error}),
        problem.status,
        {"Cache-Control": "no-store", **problem.headers},
        "application/json",
    )


# Documented with every route. `default` covers the rest, so that no other shape is promised.
RESPONSES: dict[int | str, dict[str, object]] = {
    400: {"model": ErrorBody, "description": "a parameter's value is bad: `bad_value`"},
    503: {
        "model": ErrorBody,
        "description": "a service did not answer within the deadline:"
        " `coordinator_unavailable`, `shard_unavailable`",
    },
    "default": {"model": ErrorBody, "description": "any other error"},
}
UNKNOWN_STREAM: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "no such stream: `not_found`"}
}
UNKNOWN_SEARCH: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "no such search: `not_found`"}
}
UNKNOWN_ID: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "there is none of this id: `not_found`"}
}
CONFLICT: dict[int | str, dict[str, object]] = {
    409: {
        "model": ErrorBody,
        "description": "there are as many as may be: `too_many`; or it cannot be deleted:"
        " `built_in`",
    }
}
EVICTED: dict[int | str, dict[str, object]] = {
    410: {
        "model": ErrorBody,
        "description": "it made room for newer ones: `evicted`; or the run retains no payload:"
        " `content_disabled`",
    }
}


def install(app: FastAPI) -> None:
    """Render every exception that reaches the app as a problem."""
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_fault)


def internal_fault() -> Problem:
    return Problem(
        500,
        "internal",
        "the API met a fault of its own; its log has the details",
        "try again; if it stays, report it with the log",
    )


async def _of_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    field = ".".join(where[1:]) or where[0]
    return problem_response(bad_value(field, str(first["msg"]), "see /api/openapi.json"))


async def _of_http(request: Request, error: Exception) -> Response:
    """What the router itself refuses: an unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    if error.status_code == 404:
        problem = Problem(404, "not_found", f"no such route: {path}", "see /api/openapi.json")
    elif error.status_code == 405:
        problem = Problem(405, "method_not_allowed", f"{path} has no {method}")
        allowed = ", ".join(with_head((error.headers or {}).get("Allow", "")))
        problem.headers, problem.hint = {"Allow": allowed}, f"it has {allowed}"
    else:
        status = http.HTTPStatus(error.status_code)
        problem = Problem(error.status_code, status.name.lower(), str(error.detail))
    return problem_response(problem)


def with_head(allowed: str) -> Iterator[str]:
    """The methods of an Allow header; where there is GET there is HEAD."""
    for method in filter(None, allowed.split(", ")):
        yield from ("GET", "HEAD") if method == "GET" else (method,)


async def _of_fault(request: Request, error: Exception) -> Response:
    return problem_response(internal_fault())
