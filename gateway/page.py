"""Serves the creator's page. (Being built.)"""

from starlette.routing import BaseRoute


def routes() -> list[BaseRoute]:
    return []
