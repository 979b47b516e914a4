"""Reads the body of a request, no more of it than there may be."""

from starlette.requests import ClientDisconnect, Request

from gateway.problems import Problem

_JSON = ("application/json", "")


async def body_of(request: Request, at_most_bytes: int) -> bytes:
    """Raises Problem(413, 415, 400). Counted as it comes, whatever its Content-Length says."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _JSON:
        raise Problem(415, "unsupported-media-type", "The body must be application/json.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > at_most_bytes:
        raise _too_large(at_most_bytes)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > at_most_bytes:
                raise _too_large(at_most_bytes)
    except ClientDisconnect:
        raise Problem(400, "incomplete-request", "The body did not come whole.") from None
    return bytes(body)


def _too_large(at_most_bytes: int) -> Problem:
    return Problem(413, "body-too-large", f"The body has more than {at_most_bytes:,} bytes (EXPORT_BODY_BYTES).")
