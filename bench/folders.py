"""Groups: an export as a folder, of many small files, of one huge file, and of the film."""

from bench.cases import folder_cases, with_stages
from bench.measuring import by_name
from bench.plant import Plant
from bench.report import Goal, Group, Ratio, Table
from bench.rivals import CP, CP_DURABLE, CP_NEVER, RSYNC
from bench.samples import KB, MB, Lot

_HUGE_MEGABYTES = 4_000
_RATIOS = (Ratio(CP), Ratio(CP_DURABLE))


def small_files(plant: Plant) -> Group:
    """Where the work is in names and not in bytes."""
    sample = plant.sample("small", Lot("image", plant.part(10_000), 20 * KB))
    ours, *others = plant.track.race_without_removing(folder_cases(sample, RSYNC), plant.rounds)
    rows = [*with_stages(ours, "copying"), *others]
    title = f"Folder of small files: {sample.files:,} files of 20 KB"
    return Group([Table(title, rows, _RATIOS, sample.size_bytes, is_drawn=True)])


def huge_file(plant: Plant) -> Group:
    """Where the work is in bytes and not in names. With its copy it takes half of the room that is there, at most."""
    room_megabytes = plant.free_bytes() // MB // 4
    sample = plant.sample("huge", Lot("video", 1, min(plant.part(_HUGE_MEGABYTES), room_megabytes) * MB))
    ours, *others = plant.track.race(folder_cases(sample), plant.rounds)
    title = f"Folder of one file: {sample.megabytes:,} MB"
    rows = [*with_stages(ours, "copying"), *others]
    sample.remove()
    return Group([Table(title, rows, _RATIOS, sample.size_bytes, is_drawn=True)])


def film(plant: Plant) -> Group:
    """With the CRC-32 of every file, and on the disk when it is announced."""
    sample = plant.film
    ours, *others = plant.track.race(folder_cases(sample, CP_NEVER, RSYNC), plant.rounds)
    ours, copying = with_stages(ours, "copying")
    plain, durable = by_name(others)[CP], by_name(others)[CP_DURABLE]
    once, whole, beside = copying.times(plain), ours.times(plain), ours.times(durable)
    goals = [
        Goal(f"the copying stage, with every CRC-32, at most 1.15 times `{CP}`",
             f"{once:.2f} times (the whole run {whole:.2f})", once <= 1.15),
        Goal(f"the whole run at most 1.3 times `{CP}` and `sync -f`", f"{beside:.2f} times", beside <= 1.3),
    ]  # fmt: skip
    title = f"Folder: {sample.described}"
    return Group([Table(title, [ours, copying, *others], _RATIOS, sample.size_bytes, is_drawn=True)], goals=goals)
