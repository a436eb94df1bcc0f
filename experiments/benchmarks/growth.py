"""The picture of how a measured quantity grows with the number of units."""

from collections.abc import Iterable
from pathlib import Path

__all__ = ["draw_growth"]


def draw_growth(rows: Iterable[tuple[str, int, float]], ylabel: str, path: Path) -> None:
    """Draws one line for each kind of work, both axes logarithmic; peers' are dashed.

    Args:
        rows: What was done, the number of units, and the quantity; peers' names hold SciPy or JAGS.
        ylabel: The quantity.
        path: File to write.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    rows = list(rows)
    figure, axes = pyplot.subplots(figsize=(7, 4.4), layout="constrained")
    for name in dict.fromkeys(name for name, *_ in rows):
        points = sorted((units, value) for work, units, value in rows if work == name)
        if len(points) > 1:
            style = "--" if "SciPy" in name or "JAGS" in name else "-"
            axes.loglog(*zip(*points, strict=True), style, marker="o", label=name)
    axes.set(xlabel="units", ylabel=ylabel)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
