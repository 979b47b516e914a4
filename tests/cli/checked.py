"""What `check` found, for the tests of it."""

from typing import Any

from tests.cli.command import Said, call
from tests.cli.conftest import Desk
from tests.cli.rabbit import Rabbit


def findings(said: Said, state: str) -> dict[str, dict[str, Any]]:
    return {finding["subject"]: finding for finding in said.json["findings"] if finding["state"] == state}


def problems(said: Said) -> list[str]:
    """What is wrong; each with what mends it."""
    found = findings(said, "problem")
    assert all(finding["detail"] and finding["mend"] for finding in found.values())
    assert (said.code, said.json["sound"]) == ((1, False) if found else (0, True))
    return list(found)


def looked_at(desk: Desk, *more: str) -> Said:
    """The roots only."""
    return call("check", "--no-broker", "--media", desk.media, "--to", desk.exports, "--json", *more)


async def checked(rabbit: Rabbit, desk: Desk, *more: str) -> Said:
    return await rabbit.told("check", "--media", desk.media, "--to", desk.exports, "--json", *more)
