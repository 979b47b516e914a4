"""The survey of a slow store: several threads look at once, and it shows that it is alive."""

import threading

import anyio
import pytest

from contracts import ErrorCode, ExportStart
from service.errors import Interrupted, Verdict
from service.model import Found
from service.plan import plan_export
from service.references import Source
from service.segments import Version
from service.storage.memory import Memory, MemoryStorage
from service.survey import survey
from tests.engine.workbench import images_project, start

FILES = 800
NAMES = [f"{number}.png" for number in range(FILES)]
SIDE_BY_SIDE = 4


class SlowStorage(MemoryStorage):
    """A look ends once as many others look."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self._together = threading.Barrier(SIDE_BY_SIDE, timeout=20)

    def look(self, source: Source) -> Version:
        if source.key in {"0.png", "100.png", "200.png", "300.png"}:
            self._together.wait()
        return super().look(source)


@pytest.fixture
def storage() -> SlowStorage:
    return SlowStorage(Memory({"media": dict.fromkeys(NAMES, b"png")}, 1 << 20))


def asked(*names: str) -> ExportStart:
    return start(images_project(*names))


def facts_of(command: ExportStart, storage: MemoryStorage, signs: list[int]) -> dict[str, object]:
    assert command.project is not None
    draft = plan_export(command, command.project, "folder")

    async def looked_at() -> dict[str, object]:
        return dict(await survey(draft, storage, anyio.CapacityLimiter(SIDE_BY_SIDE), lambda: signs.append(1)))

    return anyio.run(looked_at)


def test_several_threads_look_at_a_slow_store(storage: SlowStorage) -> None:
    facts = facts_of(asked(*NAMES), storage, [])
    assert list(facts) == NAMES
    assert all(isinstance(fact, Found) for fact in facts.values())


def test_each_batch_is_a_sign_of_life(storage: SlowStorage) -> None:
    signs: list[int] = []
    facts_of(asked(*NAMES), storage, signs)
    assert len(signs) == FILES / 100


def test_of_several_refusals_the_first_in_the_story_is_told(storage: SlowStorage) -> None:
    names = [*NAMES]
    names[150], names[350] = "/outside.png", "/beyond.png"
    with pytest.raises(Verdict, match="sentence 151") as refusal:
        facts_of(asked(*names), storage, [])
    assert refusal.value.code is ErrorCode.REFERENCE_REFUSED


def test_a_survey_that_is_told_to_stop_ends_before_all_is_looked_at(storage: SlowStorage) -> None:
    command = asked(*NAMES)
    assert command.project is not None
    draft = plan_export(command, command.project, "folder")

    def stop() -> None:
        raise Interrupted

    async def stopped() -> None:
        await survey(draft, storage, anyio.CapacityLimiter(SIDE_BY_SIDE), stop)

    with pytest.raises(BaseExceptionGroup) as ended:
        anyio.run(stopped)
    assert ended.group_contains(Interrupted)
