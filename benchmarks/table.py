"""Makes one Markdown table of figures, as it is printed and as docs/performance.md has it."""

from collections.abc import Iterable

from benchmarks.figures import Figure, Spread

_HEADINGS = ("figure", "unit", "baseline", "its value", "ours", "ratio", "target", "reached")


def table_of(figures: Iterable[Figure], *, padded: bool) -> str:
    """The table; with columns of equal width for a terminal."""
    rows = [_HEADINGS, *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) if padded else 0 for column in range(len(_HEADINGS))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * max(width + 2, 3) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def _row(figure: Figure) -> tuple[str, ...]:
    met = {None: "", True: "met", False: "MISSED"}[figure.met]
    return (
        figure.name,
        figure.unit,
        figure.baseline_name,
        figure.missing or _spread(figure.baseline),
        _spread(figure.ours),
        "" if figure.ratio is None else number(figure.ratio),
        target_of(figure),
        "not compared" if figure.missing and figure.target is not None else met,
    )


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    if spread.count == 1:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.least)} to {number(spread.most)})"


def number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def target_of(figure: Figure) -> str:
    """What was aimed at, in the figure's own unit or as a ratio."""
    if figure.target is None:
        return ""
    sign = "≥" if figure.at_least else "≤"
    shown = f"{figure.target:g}"
    return {
        "ratio": f"{sign} {shown} ×",
        "ours": f"{sign} {shown}",
        "difference": f"{sign} {figure.baseline_name} + {shown}",
    }[figure.against]
