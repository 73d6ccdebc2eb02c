"""Writes the table of docs/performance.md and its plot, docs/performance.svg, from the history.

`python -m benchmarks --save` calls it; by itself, `python -m benchmarks.page`, it measures nothing.
"""

import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.history import Release, releases
from benchmarks.table import number, table_of, target_of

_ROOT = Path(__file__).parent.parent
PAGE = _ROOT / "docs" / "performance.md"
PLOT = _ROOT / "docs" / "performance.svg"
_FRAME = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)

_ROW, _LEFT, _RIGHT, _TOP = 22, 520, 110, 56
_WIDTH = 1100
_DECADES = (-2, 2)  # from a hundredth of what is allowed to a hundred times of it
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .quiet { fill: #59636e }
.paper { fill: #ffffff } .grid { stroke: #d1d9e0 } .limit { stroke: #59636e; stroke-dasharray: 4 3 }
.met { fill: #1a7f37 } .missed { fill: #cf222e }
@media (prefers-color-scheme: dark) {
 text { fill: #f0f6fc } .quiet { fill: #9198a1 } .paper { fill: #0d1117 } .grid { stroke: #3d444d }
 .limit { stroke: #9198a1 } .met { fill: #3fb950 } .missed { fill: #f85149 }
}
"""


def write() -> None:
    """Both files, from what there is."""
    known = releases()
    if not known:
        raise SystemExit("benchmarks/history is empty: python -m benchmarks --save")
    PAGE.write_text(page_of(PAGE.read_text(encoding="utf-8"), known[-1]), encoding="utf-8")
    PLOT.write_text(plot_of(known), encoding="utf-8")


def page_of(text: str, newest: Release) -> str:
    """The page with the figures of this release in their place."""
    table = table_of(newest.figures, padded=False)
    figures = f"\n{newest.version}, {newest.machine}. Cells are median (least to most).\n\n{table}\n"
    page, count = _FRAME.subn(lambda frame: frame[1] + figures + frame[2], text)
    if count != 1:
        raise ValueError("the page has no place for the figures")
    return page


def plot_of(known: Sequence[Release]) -> str:
    """How much of its target each figure of the newest release takes; older releases are paler dots."""
    rows = [
        figure for figure in known[-1].figures if figure.target is not None and figure.compared is not None
    ]
    height = _TOP + _ROW * len(rows) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="Each figure as a share of its target">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
        '<text class="quiet" x="12" y="20">share of the target, logarithmic: left of the dashed line is '
        f"within it; paler dots are older releases, the newest is {escape(known[-1].version)}</text>",
    ]
    for decade in range(_DECADES[0], _DECADES[1] + 1):
        x = _x(10.0**decade)
        kind = "limit" if decade == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - 12}"/>')
        parts.append(
            f'<text class="quiet" x="{x:.1f}" y="{_TOP - 14}" text-anchor="middle">{10.0**decade:g}</text>'
        )
    for place, figure in enumerate(rows):
        parts += _row(figure, _TOP + _ROW * place + 10, known)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(figure: Figure, y: int, known: Sequence[Release]) -> list[str]:
    parts = [
        f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(_title(figure))}</text>',
        f'<text class="quiet" x="{_WIDTH - _RIGHT + 12}" y="{y + 4}">{escape(_value(figure))}</text>',
    ]
    for age, release in enumerate(reversed(known)):
        for one in release.figures:
            share = _share(one)
            if share is None or (one.name, one.baseline_name) != (figure.name, figure.baseline_name):
                continue
            kind = "met" if one.met else "missed"
            place = f'cx="{_x(share):.1f}" cy="{y}" r="5" opacity="{max(0.15, 0.6**age):.2f}"'
            title = escape(f"{release.version}: {_value(one)}")
            parts.append(f'<circle class="{kind}" {place}><title>{title}</title></circle>')
    return parts


def _title(figure: Figure) -> str:
    beside = f" {figure.baseline_name}" if figure.against == "ratio" else ""
    return f"{figure.name} ({target_of(figure)}{beside})"


def _value(figure: Figure) -> str:
    value = figure.compared
    assert value is not None
    return f"{number(value)} {'×' if figure.against == 'ratio' else figure.unit}"


def _share(figure: Figure) -> float | None:
    """One is exactly the target, less is better."""
    value = figure.compared
    if value is None or not figure.target:
        return None
    return figure.target / value if figure.at_least else value / figure.target


def _x(share: float) -> float:
    low, high = _DECADES
    place = (min(max(math.log10(max(share, 1e-9)), low), high) - low) / (high - low)
    return _LEFT + place * (_WIDTH - _LEFT - _RIGHT)


if __name__ == "__main__":
    write()
