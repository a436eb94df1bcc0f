"""The figures of a study of coverage: over all settings, and setting by setting."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from hierjax.experiment.study.settings import Setting
from hierjax.plots.coverage import (
    by_setting,
    by_size,
    coverage_by_method,
    hyper_coverage,
    relative_rmse,
    top_recovery,
)
from hierjax.plots.picture import Picture
from hierjax.table import Table

__all__ = ["coverage_pictures"]

# Settings of which each has figures of its own.
_MOST = 6
_SHOWN = ("mean", "concentration", "alpha", "beta")


def coverage_pictures(
    tables: Mapping[str, Table], settings: Sequence[Setting], methods: Mapping[str, str]
) -> tuple[Picture, ...]:
    """The figures of a study of coverage, none of them drawn yet.

    Args:
        tables: The study's tables.
        settings: Its settings.
        methods: Names of methods by their display names.

    Returns:
        Figures in the order of the report.
    """
    if len(settings) == 1:
        found = [_coverage(tables["coverage"], methods), _rmse(tables["coverage"], methods)]
    else:
        found = list(_over_settings(tables["coverage"], settings, methods))
    for index, setting in enumerate(settings[:_MOST]):
        ending = "" if len(settings) == 1 else f"_{index + 1}"
        title = "" if len(settings) == 1 else f", {setting.name}"
        mine = {name: _of(table, setting.name) for name, table in tables.items()}
        found += _of_setting(mine, ending, title, methods)
    return tuple(found)


def _of(table: Table, setting: str) -> Table:
    used = table["setting"] == setting
    return Table({name: values[used] for name, values in table.items()})


def _coverage(table: Table, methods: Mapping[str, str]) -> Picture:
    return Picture(
        "coverage",
        "coverage",
        "Do intervals hold what they say?",
        "The share of units whose interval holds their true rate, with the simulation's own error "
        "(95%). Left of the line intervals are too short, right of it too long.",
        "Dot plot of coverage by method around the line of what was asked for.",
        lambda: coverage_by_method(table, methods=methods),
    )


def _rmse(table: Table, methods: Mapping[str, str]) -> Picture:
    return Picture(
        "errors",
        "errors",
        "Better than raw rates, better than one rate?",
        "Root mean squared error over units, relative to that of raw rates and to that of the "
        "pooled rate; left of 1 a method is better.",
        "Dot plot of relative errors by method.",
        lambda: relative_rmse(table, methods=methods),
    )


def _over_settings(
    table: Table, settings: Sequence[Setting], methods: Mapping[str, str]
) -> Iterator[Picture]:
    """Figures of all settings together: lines where only the number of units differs."""
    places, column = _places(settings)
    table = Table({**table, column: [places[name] for name in table["setting"].tolist()]})
    over = "numbers of units" if column == "units" else "settings"

    def drawn(value: str) -> Callable[[], Axes]:
        return lambda: by_setting(table, setting=column, value=value, methods=methods)

    yield Picture(
        "coverage",
        "coverage",
        "Do intervals hold what they say?",
        "The share of units whose interval holds their true rate, with the simulation's own error "
        "(95%), beside the line of what was asked for.",
        f"Coverage by method over {over}.",
        drawn("coverage"),
    )
    for name, of_what in (("raw", "raw rates"), ("pooled", "the pooled rate")):
        yield Picture(
            f"errors_{name}",
            "errors",
            f"Error relative to {of_what}",
            f"Root mean squared error over units, divided by that of {of_what}; below 1 a method "
            "is better.",
            f"Relative errors by method over {over}.",
            drawn(f"rmse_over_{name}"),
        )


def _places(settings: Sequence[Setting]) -> tuple[dict[str, str | int], str]:
    """Each setting's place, and what the column of places is called."""
    others = {(setting.population, setting.trials) for setting in settings}
    if len(others) == 1:
        return {setting.name: setting.units for setting in settings}, "units"
    return {setting.name: setting.name for setting in settings}, "setting"


def _of_setting(
    tables: Mapping[str, Table], ending: str, title: str, methods: Mapping[str, str]
) -> Iterator[Picture]:
    sizes, hyper, top = tables["sizes"], tables["hyper"], tables["top"]
    if len(set(sizes["trials_low"].tolist())) > 1:
        yield Picture(
            f"sizes{ending}",
            "coverage",
            f"By size of unit{title}",
            "Coverage of units of about as many trials. Pooling shortens the intervals of small "
            "units most, and there too they should hold what they say.",
            "Coverage by method against the number of trials of the unit.",
            lambda: by_size(sizes, methods=methods),
        )
        yield Picture(
            f"lengths{ending}",
            "coverage",
            f"Length by size of unit{title}",
            "Mean length of intervals of units of about as many trials.",
            "Length of intervals by method against the number of trials of the unit.",
            lambda: by_size(sizes, value="length", methods=methods),
        )
    shown = np.isin(hyper["parameter"], _SHOWN) & np.isfinite(hyper["coverage"].astype(float))
    if shown.any():
        yield Picture(
            f"hyper{ending}",
            "hyperparameters",
            f"Intervals of the hyperparameters{title}",
            "The share of data sets whose interval holds the true value, with the simulation's own "
            "error (95%).",
            "Coverage of hyperparameters by method.",
            lambda: hyper_coverage(hyper, methods=methods),
        )
    if len(top):
        yield Picture(
            f"top{ending}",
            "top",
            f"How many of the highest are found{title}",
            "The share of the units of the highest true rates that are among those of the highest "
            "estimates; ticks are what units taken at random would reach.",
            "Dot plot of recovered shares by method and number of units.",
            lambda: top_recovery(top, methods=methods),
        )
