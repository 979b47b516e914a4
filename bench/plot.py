"""Draws the comparisons as bars: one SVG without script, address or date, so that equal figures give equal bytes.

Made of svg.py's elements: pygal would put a script, a date and its address into it, matplotlib bring numpy along.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import svg

from bench.measuring import Result
from bench.report import Sheet, Table, told_seconds

_OURS = ("export-service", "our ")
_WIDTH, _MARGIN = 760, 24
_BAR_FROM, _BAR_TO = 300, 610
_ROW, _BAR, _HEADING, _CAPTION = 22, 13, 44, 60

# The picture has a ground of its own: a page may be dark where the reader's system is not. Text has a rim of it.
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; stroke: #fff; stroke-width: 4px; paint-order: stroke }
.title { font-weight: 600 }
.label, .seconds { text-anchor: end }
.seconds { fill: #6e7781 }
.ground { fill: #fff; stroke: #d0d7de }
.ours { fill: #1a7f5a }
.other { fill: #8c959f }
.one { stroke: #1a7f5a; stroke-dasharray: 2 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; stroke: #161b22 }
  .seconds { fill: #8d96a0 }
  .ground { fill: #161b22; stroke: #30363d }
  .ours { fill: #3fb68b }
  .other { fill: #6e7681 }
  .one { stroke: #3fb68b }
}
"""
_TOLD = "How long a whole run takes, in times of ours, the first: shorter is faster. Medians."


@dataclass(frozen=True)
class _Panel:
    """One comparison, from `top` on."""

    title: str
    runs: Sequence[Result]
    top: int

    @property
    def bottom(self) -> int:
        return self.top + _HEADING + _ROW * len(self.runs)

    def elements(self) -> Iterator[svg.Element]:
        ours = self.runs[0]
        scale = (_BAR_TO - _BAR_FROM) / max(run.times(ours) for run in self.runs)
        yield _text(self.title, _MARGIN, self.top + _HEADING - 14, "title")
        one = round(_BAR_FROM + scale, 1)
        yield svg.Line(x1=one, x2=one, y1=self.top + _HEADING - 4, y2=self.bottom - 3, class_=["one"])
        for number, run in enumerate(self.runs):
            yield from _bar(run, run.times(ours), scale, self.top + _HEADING + _ROW * number)


def plot(tables: Iterable[Table | Sheet]) -> str:
    """Of the tables that are drawn; stages are no runs and left out."""
    panels = list(_panels(tables))
    height = panels[-1].bottom + _MARGIN
    drawing = svg.SVG(
        viewBox=svg.ViewBoxSpec(0, 0, _WIDTH, height),
        width=_WIDTH,
        height=height,
        elements=[
            svg.Title(text=_TOLD),
            svg.Style(text=_STYLE),
            svg.Rect(x=0.5, y=0.5, width=_WIDTH - 1, height=height - 1, rx=6, class_=["ground"]),
            _text(_TOLD, _MARGIN, 36),
            *(element for panel in panels for element in panel.elements()),
        ],
    )
    return f"{drawing}\n"


def _panels(tables: Iterable[Table | Sheet]) -> Iterator[_Panel]:
    top = _CAPTION - _MARGIN
    for table in tables:
        if isinstance(table, Table) and table.is_drawn:
            panel = _Panel(table.title, [result for result in table.results if result.costs], top)
            top = panel.bottom
            yield panel


def _bar(run: Result, times: float, scale: float, top: int) -> Iterator[svg.Element]:
    base = top + _BAR - 2
    kind = "ours" if run.name.startswith(_OURS) else "other"
    end = round(_BAR_FROM + times * scale, 1)
    yield _text(run.name, _BAR_FROM - 8, base, "label")
    yield svg.Rect(x=_BAR_FROM, y=top, width=round(end - _BAR_FROM, 1), height=_BAR, rx=2, class_=[kind])
    yield _text(f"{times:.1f}" if times >= 9.95 else f"{times:.2f}", end + 8, base)
    yield _text(f"{told_seconds(run.median)} s", _WIDTH - _MARGIN, base, "seconds")


def _text(text: str, x: float, y: float, kind: str = "plain") -> svg.Text:
    return svg.Text(x=x, y=y, class_=[kind], text=escape(text))
