"""The HTTP API: which address is which call, and how the calls are documented."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Header, Path, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic_core import to_json
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gateway import page
from gateway.api import Accepted, ExportPlan, ExportRequest, ExportSnapshot, History, ProblemDetails, TicketAnswer
from gateway.asking import Asking
from gateway.downloads import Downloads
from gateway.exporting import KEY_CHARACTERS, Exporting
from gateway.guard import Guard
from gateway.limits import Limits
from gateway.metrics import CONTENT_TYPE
from gateway.parts import Parts
from gateway.problems import MEDIA_TYPE, install
from gateway.published import Which
from gateway.reading import EXPORTS_AT_MOST, Reading
from gateway.streams import events
from gateway.thumbnails import Thumbnails
from service.errors import Trouble

_REF = "#/components/schemas/{model}"
_EXPOSED = ("Location", "ETag", "Retry-After", "Content-Disposition", "Link", "RateLimit", "RateLimit-Policy")
_DESCRIPTION = "Exports a project as numbered media, a script and a ZIP that open in any video editor."

ProjectIdInPath = Annotated[str, Path(description="The project's id in its own service.")]
ExportIdInPath = Annotated[str, Path(description="As the export's `202` said.")]


def application(parts: Parts) -> ASGIApp:
    """All of the HTTP side, guarded."""
    settings = parts.settings
    limits = Limits(settings.requests_per_minute, settings.exports_per_minute, settings.sockets_per_subject)
    asking = Asking(parts, limits)
    app = FastAPI(
        title="export-service", version="1", description=_DESCRIPTION, docs_url=None, redoc_url=None, openapi_url=None
    )
    install(app)
    _add_doing(app, Exporting(asking))
    _add_reading(app, Reading(asking, Downloads(parts), Thumbnails(parts)))
    _add_streams(app, asking)
    _add_operating(app, parts)
    app.router.routes.extend(page.routes())
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Prefer", "Range"],
            expose_headers=list(_EXPOSED),
        )
    return Guard(app, parts)


def _problems(**statuses: str) -> dict[int | str, dict[str, Any]]:
    """Which problems a call may have, by `s404="why"`. Every call may need a token, and be one too many."""
    usual = {"s401": "No token, or none that is good.", "s429": "Too many.", "s503": "Not now; try again."}
    return {
        int(status[1:]): {
            "description": why,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status, why in {**usual, **statuses}.items()
    }


_NO_EXPORT = "No such export, or it is not yours."
_NO_PROJECT = "No such project, or it is not yours."


# ---- calls that do something


def _add_doing(app: FastAPI, calls: Exporting) -> None:
    body = {
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ExportRequest"}}}}
    }
    faults = {
        "s400": "No JSON, or no good Idempotency-Key.",
        "s404": _NO_PROJECT,
        "s413": "The body is too large.",
        "s415": "The body is not JSON.",
        "s422": "Something in the request, or in the project, is wrong; `errors` say where.",
    }

    @app.post(
        "/api/v1/projects/{project_id}/export",
        tags=["exports"],
        summary="Export a project",
        status_code=202,
        response_model=Accepted,
        responses=_problems(**faults, s409="The id belongs to another message."),
        openapi_extra=body,
    )
    async def export(
        request: Request,
        project_id: ProjectIdInPath,
        idempotency_key: Annotated[
            str | None,
            Header(
                description="The same key with the same body is the same export.",
                min_length=1,
                max_length=KEY_CHARACTERS,
            ),
        ] = None,
    ) -> Response:
        """Answered when the broker has the command for good. Without a body, the project comes from its source."""
        return await calls.start(request, project_id, idempotency_key)

    @app.post(
        "/api/v1/projects/{project_id}/export/plan",
        tags=["exports"],
        summary="What an export would hold",
        response_model=ExportPlan,
        responses=_problems(**faults),
        openapi_extra=body,
    )
    async def plan(request: Request, project_id: ProjectIdInPath) -> Response:
        """Counts, bytes, names, omissions and warnings, before anything is begun."""
        return await calls.plan(request, project_id)

    @app.post(
        "/api/v1/exports/{export_id}/cancel",
        tags=["exports"],
        summary="Stop an export",
        status_code=202,
        response_model=ExportSnapshot,
        responses=_problems(s404=_NO_EXPORT, s409="It is over, or about to be."),
    )
    async def cancel(request: Request, export_id: ExportIdInPath) -> Response:
        """Obeyed until the result is decided. A repeat changes nothing."""
        return await calls.cancel(request, export_id)

    @app.delete(
        "/api/v1/exports/{export_id}",
        tags=["exports"],
        summary="Remove an export",
        status_code=204,
        responses={**_problems(s404=_NO_EXPORT), 202: {"description": "It was unfinished, and is stopped."}},
    )
    async def delete(request: Request, export_id: ExportIdInPath) -> Response:
        """Removes its files; what is unfinished is stopped."""
        return await calls.delete(request, export_id)


# ---- calls that look


def _add_reading(app: FastAPI, calls: Reading) -> None:
    _add_states(app, calls)
    _add_files(app, calls)


def _add_states(app: FastAPI, calls: Reading) -> None:
    @app.get(
        "/api/v1/exports/{export_id}",
        tags=["state"],
        summary="Where an export is",
        response_model=ExportSnapshot,
        responses={**_problems(s404=_NO_EXPORT), 304: {"description": "Nothing changed."}},
    )
    async def snapshot(
        request: Request,
        export_id: ExportIdInPath,
        if_none_match: Annotated[str | None, Header(description="The ETag that is known.")] = None,
        prefer: Annotated[str | None, Header(description="`wait=25`: answer when something changed.")] = None,
    ) -> Response:
        """The newest state, from whichever replica. When it is over, with the terminal event."""
        return await calls.snapshot(request, export_id)

    @app.get(
        "/api/v1/projects/{project_id}/exports",
        tags=["state"],
        summary="A project's exports",
        response_model=History,
        responses=_problems(s404=_NO_PROJECT, s400="No good cursor.", s422="No good limit."),
    )
    async def history(
        request: Request,
        project_id: ProjectIdInPath,
        limit: Annotated[int, Query(ge=1, le=EXPORTS_AT_MOST)] = 20,
        cursor: Annotated[str | None, Query(max_length=500, description="`next` of the page before.")] = None,
    ) -> Response:
        """The newest first."""
        return await calls.history(request, project_id, limit, cursor)

    @app.get(
        "/api/v1/exports/{export_id}/plan",
        tags=["state"],
        summary="What an export holds",
        response_model=ExportPlan,
        responses=_problems(s404=_NO_EXPORT, s410="Its files are gone.", s422="It could not be exported now."),
    )
    async def plan(request: Request, export_id: ExportIdInPath) -> Response:
        """Of a finished one what is in it, of any other what would be."""
        return await calls.plan(request, export_id)

    @app.post(
        "/api/v1/tickets",
        tags=["state"],
        summary="A ticket for a socket",
        status_code=201,
        response_model=TicketAnswer,
        responses=_problems(),
    )
    async def ticket(request: Request) -> Response:
        """For the first frame at /api/v1/ws; soon, and from the same origin."""
        return await calls.ticket(request)


def _add_files(app: FastAPI, calls: Reading) -> None:
    gone = {"s404": _NO_EXPORT, "s409": "It is not finished, or was changed.", "s410": "Its files are gone."}
    unchanged: dict[int | str, dict[str, Any]] = {304: {"description": "Nothing changed."}}

    @app.get(
        "/api/v1/exports/{export_id}/manifest",
        tags=["files"],
        summary="Every file, and every omission with its reason",
        responses={**_problems(**gone), **unchanged},
    )
    async def manifest(request: Request, export_id: ExportIdInPath) -> Response:
        """`manifest.json` as it is in the export."""
        return await calls.manifest(request, export_id)

    async def download(
        request: Request,
        export_id: ExportIdInPath,
        which: Annotated[
            Which, Query(description="The archive that was asked for, or the folder as a ZIP.")
        ] = Which.ASKED_FOR,
    ) -> Response:
        """The archive, written or not: any range of it, from any replica, under one strong ETag.

        With a token, or with the query of the link that the export's snapshot has.
        """
        return await calls.archive(request, export_id, which)

    parts: dict[int | str, dict[str, Any]] = {
        200: {"description": "All of it.", "content": {"application/zip": {}}},
        206: {"description": "A range of it.", "content": {"application/zip": {}}},
        412: {"description": "It is not the one of If-Match."},
        416: {"description": "It has no such range."},
    }
    for method in ("GET", "HEAD"):
        app.add_api_route(
            "/api/v1/exports/{export_id}/download",
            download,
            methods=[method],
            tags=["files"],
            summary="The export as a ZIP",
            response_class=Response,
            responses={**_problems(**gone, s422="`which` is neither of the two."), **unchanged, **parts},
            operation_id=f"download_{method.lower()}",
        )

    @app.get(
        "/api/v1/exports/{export_id}/thumbnails/{seq}",
        tags=["files"],
        summary="A small picture of a sentence",
        response_class=Response,
        responses={
            **_problems(s404="No such export, or no picture.", s422="No number."),
            **unchanged,
            200: {"description": "At most 320 pixels wide and high.", "content": {"image/webp": {}}},
        },
    )
    async def thumbnail(
        request: Request, export_id: ExportIdInPath, seq: Annotated[int, Path(ge=1, le=10_000_000)]
    ) -> Response:
        """Also before the export is finished."""
        return await calls.thumbnail(request, export_id, seq)


def _add_streams(app: FastAPI, asking: Asking) -> None:
    @app.get(
        "/api/v1/exports/{export_id}/events",
        tags=["state"],
        summary="The state at each change",
        response_class=Response,
        responses={
            **_problems(s404=_NO_EXPORT),
            200: {"description": "Snapshots as server-sent events.", "content": {"text/event-stream": {}}},
            204: {"description": "The end was seen before."},
        },
    )
    async def stream(
        request: Request,
        export_id: ExportIdInPath,
        last_event_id: Annotated[str | None, Header(description="The position that is known.")] = None,
    ) -> Response:
        """Until the end."""
        return await events(asking, request, export_id)


# ---- for operators


def _add_operating(app: FastAPI, parts: Parts) -> None:
    @app.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        return _json(200, {"status": "alive"})

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        """A broker that is away makes no replica unready: all would be, and reading goes on."""
        if parts.is_draining:
            return _json(503, {"status": "not ready", "because": ["the gateway is stopping"]})
        try:
            await to_thread.run_sync(parts.ledger.open)
        except Trouble:
            return _json(503, {"status": "not ready", "because": ["the storage is not there"]})
        degraded = [] if parts.relay.stale_since is None else ["no connection to the broker"]
        return _json(200, {"status": "ready", "degraded": degraded})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(parts.metrics.exposition(), media_type=CONTENT_TYPE)

    document = to_json(openapi(app))

    @app.get("/openapi.json", include_in_schema=False)
    async def described() -> Response:
        return Response(document, media_type="application/json")


def _json(status: int, answer: dict[str, object]) -> Response:
    return Response(to_json(answer) + b"\n", status, media_type="application/json")


def openapi(app: FastAPI) -> dict[str, Any]:
    """The document, with what FastAPI does not see: bodies that are read by hand, and tokens."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document["components"]["schemas"]
    for model in (ExportRequest, ProblemDetails):
        schema = model.model_json_schema(ref_template=_REF)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    document["security"] = [{"bearer": []}]
    return document
