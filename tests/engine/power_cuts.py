"""After which operations the power goes: after each, after those with most at stake more often, and as it is drawn."""

import random
from collections.abc import Iterator, Sequence

from tests.engine.power_disk import Operation
from tests.engine.power_proof import Cut, Proof, Story
from tests.engine.power_states import MODELS

CLIP = "videos/004_fin_video.mp4"


def after_each_change(proof: Proof, story: Story) -> Iterator[Cut]:
    """Cuts after each operation that changes something; the last ones, with most at stake, first and more often."""
    operations = proof.recording(story).operations
    decided = next(at for at, operation in enumerate(operations) if decides(operation))
    for at in (len(operations), *changes(operations)):
        yield Cut(story, at, "in order", at)
        yield from (Cut(story, at, "reordered", seed) for seed in range(at, at + (8 if at > decided else 1)))


def after_a_death_at_each_entry(proof: Proof) -> Iterator[Cut]:
    """A process dies before it syncs an entry, the next one finishes the export, and only what was synced is left."""
    operations = proof.recording(Story()).operations
    for at in changes(operations):
        if operations[at - 1].kind in {"mkdir", "link", "rename"}:
            story = Story(deaths=(at,))
            yield Cut(story, len(proof.recording(story).operations), "nothing more", at)


def changes(operations: Sequence[Operation]) -> list[int]:
    """How many operations were done when one had changed something, the last one first."""
    return [at for at in range(len(operations), 0, -1) if operations[at - 1].kind not in {"open", "close"}]


def decides(operation: Operation) -> bool:
    return operation.kind == "link" and operation.about[1].endswith("/outcome.json")


def adopting(proof: Proof) -> Story:
    """The first process dies at the last file; the second adopts the others, which nobody has synced."""
    operations = [str(operation) for operation in proof.recording(Story()).operations]
    last = next(at for at, operation in enumerate(operations) if operation.startswith("rename") and CLIP in operation)
    return Story(deaths=(last,))


def drawn(proof: Proof, number: int, chance: random.Random) -> Iterator[Cut]:
    """So many cuts, six of each story; a fifth of them after the end."""
    story = Story()
    for count in range(number):
        story = _any_story(proof, chance) if count % 6 == 0 else story
        yield _any_cut(proof, story, chance)


def _any_story(proof: Proof, chance: random.Random, earlier_cuts: int = 2) -> Story:
    deaths = tuple(chance.randrange(300) for _ in range(chance.choice((0, 1, 1, 2))))
    shares = chance.random() < 0.5
    if earlier_cuts == 0 or chance.random() < 0.7:
        return Story(deaths, shares)
    return Story(deaths, shares, _any_cut(proof, _any_story(proof, chance, earlier_cuts - 1), chance))


def _any_cut(proof: Proof, story: Story, chance: random.Random) -> Cut:
    end = len(proof.recording(story).operations)
    at = end if chance.random() < 0.2 else chance.randrange(end)
    return Cut(story, at, chance.choice(sorted(MODELS)), chance.randrange(2**32))


def short_form(proof: Proof) -> Iterator[Cut]:
    yield from after_each_change(proof, Story())
    yield from after_each_change(proof, adopting(proof))
    yield from after_a_death_at_each_entry(proof)
    yield from drawn(proof, 60, random.Random(1))
