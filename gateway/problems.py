"""What went wrong, as every error is answered: `application/problem+json` (RFC 9457). Tells no secret and no path."""

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from contracts import ErrorCode
from contracts.faults import sentence_of
from service.errors import Trouble, Verdict

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
"""How soon a caller may try again what could not be done just now."""
_ERRORS_AT_MOST = 20


class Problem(Exception):
    """Raised wherever a request cannot be answered as it was meant."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Iterable[Mapping[str, str]] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)
        self.code = code
        """Of the contract's error codes, where one says it."""

    @property
    def title(self) -> str:
        """The same for every problem of this type."""
        return self.slug.replace("-", " ").capitalize()

    def body(self, instance: str) -> bytes:
        return to_json(
            {
                "type": f"/problems/{self.slug}",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "instance": instance,
                **({"code": self.code} if self.code else {}),
                **({"errors": self.errors} if self.errors else {}),
            }
        )


def response(problem: Problem, path: str) -> Response:
    """The problem, ready to be sent."""
    headers = {"cache-control": "no-store", **problem.headers}
    return Response(problem.body(path), problem.status, headers, media_type=MEDIA_TYPE)


# ---- those that many may raise


def not_found(what: str, name: str) -> Problem:
    """Also of what is there but not the caller's: who may not see it must not learn that it exists."""
    return Problem(404, f"{what}-not-found", f'There is no {what} "{_shortened(name)}", or it is not yours.')


def unavailable(slug: str, detail: str, seconds: float = RETRY_AFTER_SECONDS) -> Problem:
    """Nothing is wrong with the request; later it may succeed."""
    return Problem(503, slug, detail, headers={"retry-after": str(max(1, round(seconds)))})


def of_trouble(trouble: Trouble) -> Problem:
    """Of the storage; what it says in detail names directories, and belongs into the log."""
    return unavailable(trouble.code.replace("_", "-"), _TROUBLES.get(trouble.code, _TROUBLES[ErrorCode.IO_ERROR]))


_TROUBLES = {
    ErrorCode.STORAGE_UNAVAILABLE: "The storage is not there, or none of the project's files is in it.",
    ErrorCode.NO_SPACE: "There is too little room for new files.",
    ErrorCode.UNSUPPORTED_VERSION: "The export was stored by a newer version of the service than this one.",
    ErrorCode.IO_ERROR: "The storage could not be read or written.",
}


def of_verdict(verdict: Verdict) -> Problem:
    """Why the export could never succeed, before it is begun."""
    return Problem(422, verdict.code.replace("_", "-"), f"{verdict.detail}.", code=verdict.code)


def of_faults(fault: ValidationError, prefix: tuple[str, ...] = ("body",)) -> Problem:
    """A body that is not what was asked for: by the field, in a person's terms. A body that is no JSON is 400."""
    found = fault.errors(include_url=False)
    if found[0]["type"] == "json_invalid":
        return Problem(400, "not-json", f"The body is not JSON: {_after_colon(found[0]['msg'])}.")
    return invalid([_said(error, prefix) for error in found[:_ERRORS_AT_MOST]], len(found))


def invalid(errors: list[dict[str, str]], total: int | None = None) -> Problem:
    """`errors` have a `pointer` to the field and a `detail`."""
    more = (total or len(errors)) - 1
    first = errors[0]
    others = f" (and {more:,} more)" if more > 0 else ""
    return Problem(422, "invalid-request", f"{first['pointer']}: {first['detail']}{others}", errors=errors)


def _said(error: ErrorDetails, prefix: tuple[str, ...]) -> dict[str, str]:
    path, sentence = sentence_of(error)
    return {"pointer": _shortened("/".join(("#", *prefix, *path))), "detail": sentence}


def _after_colon(message: str) -> str:
    return message.partition(": ")[2] or message


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


# ---- whatever is raised, as a response


def install(app: FastAPI) -> None:
    """Every error of `app` becomes a problem."""
    app.add_exception_handler(Exception, _on_the_unforeseen)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(Trouble, _on_trouble)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)


async def _on_problem(request: Request, problem: Any) -> Response:
    return response(problem, request.url.path)


async def _on_trouble(request: Request, trouble: Any) -> Response:
    log.warning("%s %s: %s", request.method, request.url.path, trouble.detail)
    return response(of_trouble(trouble), request.url.path)


async def _on_the_unforeseen(request: Request, _: Exception) -> Response:
    """It is raised again after this, and logged by the guard."""
    problem = Problem(500, "internal-error", "The service made a mistake; its log says which.")
    return response(problem, request.url.path)


async def _on_http(request: Request, error: Any) -> Response:
    """The router's own: no such path, no such method."""
    slug = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-").replace("'", "")
    detail = _ROUTER.get(error.status_code, f"{error.detail}.")
    headers = {"allow": _methods(request)} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else error.headers
    return response(Problem(error.status_code, slug, detail, headers=headers), request.url.path)


def _methods(request: Request) -> str:
    """Of all routes with this path; Starlette names those of the first."""
    fitting = (route for route in request.app.router.routes if route.matches(request.scope)[0] is not Match.NONE)
    return ", ".join(sorted({method for route in fitting for method in getattr(route, "methods", None) or ()}))


_ROUTER = {404: "There is nothing at this address.", 405: "This address does not take this method."}


async def _on_invalid(request: Request, fault: Any) -> Response:
    """Of the query and the path; bodies are read by gateway/bodies.py."""
    found = fault.errors()
    errors = [{"pointer": "/".join(map(str, error["loc"])), "detail": error["msg"]} for error in found]
    return response(invalid(errors[:_ERRORS_AT_MOST], len(errors)), request.url.path)
