"""Gets one document over HTTP: within a time, up to a size, from where it was asked for and nowhere else."""

from collections.abc import Mapping
from typing import NamedTuple

import anyio
import httpx


class NotFetched(Exception):
    """Nothing usable came in time. Says why in one sentence, for the log: it may name an internal host."""


class Answer(NamedTuple):
    """What came."""

    status: int
    body: bytes


async def fetch(url: str, seconds: float, at_most_bytes: int, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer to a GET, whatever its status. Raises NotFetched.

    No redirect is followed, since a token may go along; proxies of the environment are not asked for the same reason.
    """
    try:
        with anyio.fail_after(seconds):
            async with (
                httpx.AsyncClient(timeout=seconds, trust_env=False) as client,
                client.stream("GET", url, headers={"accept": "application/json", **(headers or {})}) as answer,
            ):
                return Answer(answer.status_code, await _body(answer, at_most_bytes))
    except TimeoutError:
        raise NotFetched(f"no answer within {seconds:g} seconds") from None
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        raise NotFetched(f"{type(fault).__name__} {fault}".strip()) from None


async def _body(answer: httpx.Response, at_most_bytes: int) -> bytes:
    """Counted as it is unpacked: a small answer may be compressed from a huge one."""
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > at_most_bytes:
            raise NotFetched(f"the answer has more than {at_most_bytes:,} bytes")
    return bytes(body)
