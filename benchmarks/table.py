"""Prints figures as one Markdown table, which the README takes over as it is."""

from statistics import median

from benchmarks.figures import Figure, Samples

_HEADINGS = ("figure", "unit", "baseline", "", "ours", "ratio", "target", "")


def print_table(figures: list[Figure], title: str) -> None:
    """The table, columns padded."""
    rows = [_HEADINGS, *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    print(f"\n{title}; median (min-max)\n")
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def _row(figure: Figure) -> tuple[str, ...]:
    met = {None: "", True: "met", False: "MISSED"}[figure.met]
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    return (
        figure.name,
        figure.unit,
        figure.baseline_name if figure.baseline else "",
        _spread(figure.baseline),
        _spread(figure.ours),
        ratio,
        _target(figure),
        met,
    )


def _spread(samples: Samples) -> str:
    if not samples:
        return ""
    if len(samples) == 1:
        return _number(samples[0])
    return f"{_number(median(samples))} ({_number(min(samples))}-{_number(max(samples))})"


def _number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    shown = f"{figure.target:g}"
    return {"ratio": f"≤ {shown} ×", "ours": f"≤ {shown}", "difference": f"≤ raw + {shown}"}[figure.against]
