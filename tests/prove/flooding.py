"""Messages as nobody should send them, as many as there is time for."""

import asyncio
from collections import Counter
from itertools import chain
from itertools import count as range_from
from time import monotonic

from tests.prove.malformed import malformed
from tests.prove.running import Found, Wrong
from tests.prove.siege import Ground

FIRST_COUNT = 1_500
"""Shows how many a second this machine does."""
MOST_COUNT = 100_000
"""At a time; each time has a seed of its own."""


class Flooding:
    """A real worker gets them, and is asked for an export now and then."""

    says = "malformed messages"
    share = 2

    def obstacle(self) -> str | None:
        return None

    async def go_on(self, ground: Ground, name: str, seed: int, seconds: float) -> Found:
        began = monotonic()
        cases, ends, wrong, count = 0, Counter[str](), list[Wrong](), FIRST_COUNT
        own_seeds = chain([seed], range_from(1000 * seed))
        while count >= FIRST_COUNT:
            own_seed = next(own_seeds)
            home = ground.home / f"{name}-{own_seed}"
            await asyncio.to_thread(home.mkdir)
            came = await malformed(ground.node, home, count, own_seed)
            cases, ends = cases + came.cases, ends + came.ends
            command = f"python -m tests.prove.malformed --count {count} --seed {own_seed}"
            wrong += [Wrong(command, what) for what in came.wrong]
            left = seconds - (monotonic() - began)
            count = min(MOST_COUNT, int(left * came.cases / came.seconds))
        beside = ", ".join(f"{number:,} {end}" for end, number in sorted(ends.items()))
        return Found(cases, None, monotonic() - began, wrong, beside)
