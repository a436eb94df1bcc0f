"""Picture: one figure of a run, with what is said about it."""

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.axes import Axes

from hierjax.experiment.record import RunRecord
from hierjax.table import Table

__all__ = ["Picture", "estimates"]


class Picture(NamedTuple):
    """One figure of a run.

    Attributes:
        name: Its file's name, without ending.
        section: Where the report shows it: `model`, `units`, `questions`, `hyperparameters` or
            `checks`.
        title: Its heading.
        caption: What to see in it.
        alt: What it shows, for those who cannot see it.
        draw: Draws it and returns one of its axes.
    """

    name: str
    section: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Axes]


def estimates(run: RunRecord) -> dict[str, Table]:
    """The units' estimates by the method's name."""
    names = run.units["method"]
    return {
        name: Table({column: values[names == name] for column, values in run.units.items()})
        for name in run.fits
    }
