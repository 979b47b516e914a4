"""What a person sees in the terminal: the bar while an export runs, and the tree, omissions and figures after it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from contracts import ExportCompleted, ExportProgress, Layout, OmittedAsset, Outcome, Reason, Stage
from service.naming import one_line
from service.progress import Report

_FILES_SHOWN = 12
_OMISSIONS_SHOWN = 20
_OUTCOME_STYLES = {Outcome.COMPLETE: "green", Outcome.PARTIAL: "yellow", Outcome.EMPTY: "yellow"}

NamedSize = tuple[str, int]
"""A file's name in the folder, and its size in bytes."""


class _Output(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end the process, with its own exit code


def console() -> Console:
    """Standard output, as it is now."""
    return _Output(highlight=False)


def counted(count: int, noun: str) -> str:
    """So many of them.

    >>> counted(1, "file"), counted(1_200, "file")
    ('1 file', '1,200 files')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def called(layout: Layout) -> str:
    """What a person calls such an archive."""
    return "bundle" if layout is Layout.OTIOZ else "ZIP"


class _Pace(ProgressColumn):
    """Speed and time left, as the worker itself reckons them."""

    def render(self, task: Task) -> Text:
        rate, eta = task.fields["rate"], task.fields["eta"]
        if not rate:
            return Text("")
        left = "" if eta is None else f", {_duration(eta)} left"
        return Text(f"{decimal(rate)}/s{left}", style="cyan")


@contextmanager
def progress_bar(console: Console, at_first: str = "planning") -> Iterator[Report]:
    """A live bar where there is a terminal; what it yields is told of every snapshot."""
    bar = Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.fields[percent]:>3d} %"),
        DownloadColumn(),
        _Pace(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # it would leave an empty line in a log
    )
    with bar:
        task = bar.add_task(at_first, total=None, percent=0, rate=0, eta=None)

        def report(seen: ExportProgress) -> None:
            bar.update(
                task,
                description=seen.state.value,
                completed=seen.bytes.done,
                total=seen.bytes.total or None,
                percent=seen.percent,
                rate=seen.rate_bytes_per_second,
                eta=seen.eta_seconds,
            )

        yield report


DownloadReport = Callable[[str, int, int | None], None]
"""Told what is being done, how many bytes of it are, and of how many if that is known."""


@contextmanager
def download_bar(console: Console) -> Iterator[DownloadReport]:
    """A live bar where there is a terminal."""
    columns = (
        TextColumn("{task.description:<11}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("asking", total=None)

        def report(what: str, done: int, total: int | None) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield report


def show_completed(console: Console, event: ExportCompleted, files: Sequence[NamedSize] | None, where: str) -> None:
    """The result of an export; without a tree where its files cannot be seen from here."""
    if files is None:
        size = f"{counted(event.folder.files, 'file')}, {decimal(event.folder.size_bytes)}"
        console.print(f"[bold]{escape(event.folder.name)}[/]/  [dim]{size}[/]", soft_wrap=True)
    else:
        console.print(folder_tree(event.folder.name, files))
    if event.archive is not None:
        console.print(f"{escape(event.archive.name)}  [dim]{decimal(event.archive.size_bytes)}[/]")
    console.print()
    show_omissions(console, event.omissions, event.omissions_total)
    show_warnings(console, event.warnings)
    style = _OUTCOME_STYLES[event.outcome]
    console.print(f"[bold {style}]{event.outcome.value}[/]  {_counts(event)}  {_speed(event)}", soft_wrap=True)
    console.print(f"[dim]in[/] {escape(where)}", soft_wrap=True)
    console.print(f"[dim]export id {event.export_id}[/]", soft_wrap=True)


def folder_tree(name: str, files: Sequence[NamedSize]) -> Tree:
    """The folder as a file manager would show it; of a long list the beginning and the end."""
    tree = Tree(f"[bold]{escape(name)}[/]/  [dim]{_sum(files)}[/]", guide_style="dim")
    folders: dict[str, list[NamedSize]] = {"audio": [], "images": [], "videos": [], "": []}
    for path, size in files:
        folder, _, file = path.rpartition("/")
        folders[folder].append((file, size))
    for folder, inside in folders.items():
        label = f"[bold]{folder}[/]/  [dim]{_sum(inside)}[/]" if inside else f"[dim]{folder}/  empty[/]"
        branch = tree.add(label) if folder else tree
        for line in _shortened([f"{escape(file)}  [dim]{decimal(size)}[/]" for file, size in inside]):
            branch.add(line)
    return tree


def _sum(files: Sequence[NamedSize]) -> str:
    return f"{counted(len(files), 'file')}, {decimal(sum(size for _, size in files))}"


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= _FILES_SHOWN:
        return lines
    hidden = len(lines) - _FILES_SHOWN + 1
    return [*lines[: _FILES_SHOWN - 3], f"[dim]… {hidden} more[/]", *lines[-2:]]


def show_omissions(console: Console, omissions: Sequence[OmittedAsset], total: int) -> None:
    """Every asset that has no file, with its reason; of a long list the beginning and the sums.

    What was left out by choice is counted only: whoever reads this chose it. `omissions` may be the first ones only of
    `total`. Then nobody knows how many of the rest were chosen, or can be heard all the same.
    """
    chosen = Counter(omitted.kind.value for omitted in omissions if omitted.reason is Reason.EXCLUDED)
    others = [omitted for omitted in omissions if omitted.reason is not Reason.EXCLUDED]
    if total > len(omissions):
        _show_omitted(console, "Not in the export as files of their own", others, total - chosen.total())
    else:
        inside = [omitted for omitted in others if omitted.reason is Reason.IN_SECTION_AUDIO]
        absent = [omitted for omitted in others if omitted.reason is not Reason.IN_SECTION_AUDIO]
        _show_omitted(console, "Not in the export", absent, len(absent))
        _show_omitted(console, "Inside the section's narration", inside, len(inside))
    if chosen:
        at_least = "at least " if total > len(omissions) else ""
        console.print(f"Left out as you chose: {at_least}{_sums(chosen.items())}\n")


def _show_omitted(console: Console, heading: str, omissions: Sequence[OmittedAsset], total: int) -> None:
    if not total:
        return
    table = Table(title=f"{heading}: {total:,}", title_justify="left", title_style="bold yellow", box=None)
    for column in ("sentence", "kind", "reason", ""):
        table.add_column(column, style="dim" if not column else None, header_style="dim")
    for omitted in omissions[:_OMISSIONS_SHOWN]:
        table.add_row(str(omitted.seq), omitted.kind, omitted.reason, escape(one_line(omitted.detail or "")))
    console.print(table)
    more = total - min(len(omissions), _OMISSIONS_SHOWN)
    if more:
        sums = Counter(omitted.reason for omitted in omissions)
        by_reason = f" ({_sums(sums.items())})" if total == len(omissions) else ""
        console.print(f"[dim]  … and {more:,} more{by_reason}. All are in manifest.json.[/]")
    console.print()


def _sums(sums: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sums)


def show_warnings(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(f"[yellow]Warning:[/] {escape(one_line(warning))}", soft_wrap=True)
    if warnings:
        console.print()


def _counts(event: ExportCompleted) -> str:
    return ", ".join(f"{counts.exported} {kind.value}" for kind, counts in event.counts.items())


def _speed(event: ExportCompleted) -> str:
    seconds = sum(event.timings_seconds.values())
    moved = event.folder.size_bytes + (event.archive.size_bytes if event.archive else 0)
    parts = [f"{decimal(moved)} in {seconds:.1f} s"]
    if event.archive:
        parts.append(f"folder and {called(event.archive.layout)}")
    copying = event.timings_seconds.get(Stage.COPYING, 0)
    # Later attempts adopt what earlier ones copied; how much of it, the event does not say.
    if event.attempt > 1:
        parts[0] += f" of attempt {event.attempt}"
    elif copying:
        parts.append(f"media copied at {decimal(int(event.folder.size_bytes / copying))}/s")
    return f"[dim]{'; '.join(parts)}[/]"


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
