"""A flame graph of sampled stacks: one SVG that runs no script, so that it can lie in the repository.

The process is at the top, whoever is called stands below its caller, and the width is the share of samples.
Frames of one package have one colour; a pointer on a frame shows its name and its share.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from zlib import crc32

_WIDTH, _ROW, _TOP = 1200.0, 17, 30
_NARROWEST = 0.002
"""Of all samples; what is narrower can't be read, and is left out."""
_LETTER = 6.6
_STYLE = """
text { font: 11px ui-monospace, monospace; fill: #1f2328 } .paper { fill: #ffffff }
rect { stroke: #ffffff; stroke-width: 0.5 }
"""


@dataclass
class _Frame:
    name: str
    samples: int = 0
    below: dict[str, "_Frame"] = field(default_factory=dict)

    def add(self, frames: Iterable[str], samples: int) -> None:
        frame = self
        frame.samples += samples
        for name in frames:
            frame = frame.below.setdefault(name, _Frame(name))
            frame.samples += samples


def flame_graph(stacks: Iterable[tuple[list[str], int]], title: str) -> str:
    """The picture of stacks, outermost frame first, with the number of samples of each."""
    top = _Frame("all")
    for frames, samples in stacks:
        top.add(frames, samples)
    while len(top.below) == 1:  # what everything is called by says nothing
        (top,) = top.below.values()
    rows = list(_rows(top, 0.0, 0, top.samples))
    height = _TOP + _ROW * (1 + max(row for row, _ in rows)) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height}" role="img">',
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{_WIDTH:g}" height="{height}"/>',
            f'<text x="8" y="18">{escape(title)}</text>',
            *(drawn for _, drawn in rows),
            "</svg>\n",
        ]
    )


def _rows(frame: _Frame, x: float, row: int, everything: int) -> Iterator[tuple[int, str]]:
    """Each frame that is wide enough, with its row."""
    width = _WIDTH * frame.samples / everything
    share = f"{frame.samples / everything:.1%}"
    name = frame.name.partition(" (")[0]
    letters = int((width - 6) / _LETTER)
    label = name if len(name) <= letters else name[: letters - 1] + "…"
    y = _TOP + _ROW * row
    text = f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(label)}</text>' if letters > 2 else ""
    yield (
        row,
        f'<g><title>{escape(frame.name)}: {share}</title><rect x="{x:.1f}" y="{y}" '
        f'width="{width:.1f}" height="{_ROW - 1}" fill="{_colour(frame.name)}"/>{text}</g>',
    )
    for below in sorted(frame.below.values(), key=lambda one: one.name):
        if below.samples >= _NARROWEST * everything:
            yield from _rows(below, x, row + 1, everything)
        x += _WIDTH * below.samples / everything


def _colour(name: str) -> str:
    """Warm for ours, by room; cool for all others, by package."""
    path = name.rpartition("(")[2].removesuffix(")").split("/")
    ours = path[0] == "grok_mcp"
    key = "/".join(path[:2]) if ours else path[0]
    return f"hsl({(10 if ours else 170) + crc32(key.encode()) % 70} 75% 72%)"
