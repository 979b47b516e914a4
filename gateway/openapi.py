"""Prints the OpenAPI document of the HTTP API, of which contracts/openapi.json is made."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import httpx

from gateway.app import assemble
from gateway.settings import GatewaySettings
from service.ledger import Ledger
from service.storage.local import LocalStorage


async def document() -> str:
    """As a gateway answers it. Needs neither a broker nor a storage."""
    with TemporaryDirectory() as place:
        settings = GatewaySettings(media_root=Path(place), exports_root=Path(place), gateway_auth="none")
        gateway = assemble(settings, Ledger(LocalStorage({}, Path(place))))
        transport = httpx.ASGITransport(gateway.answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get("/openapi.json")
    return json.dumps(answer.json(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(anyio.run(document))
