# ruff: noqa: RUF001 -- readers are shown Greek letters and true minus signs
"""The report's tables of a study of coverage: text rounded to what its errors bear."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hierjax.experiment.report_tables import Group
from hierjax.experiment.rounding import common_decimals, number, whole
from hierjax.experiment.study.record import ReportTable
from hierjax.experiment.study.words import parameter_label, percent, study_label
from hierjax.table import Table

__all__ = ["coverage_report_tables"]

_PARAMETERS = ("mean", "log_concentration", "alpha", "beta")
# A standard error of a share below which a tenth of a percent says too little.
_SMALL = 0.001
_DEFINITIONS = (
    "No pooling takes every unit alone (raw rates, Jeffreys intervals), complete pooling gives all "
    "units one rate. "
)


def coverage_report_tables(tables: Mapping[str, Table], level: float) -> tuple[ReportTable, ...]:
    """The tables that the report shows.

    Args:
        tables: The study's tables.
        level: Probability of every interval.

    Returns:
        Tables of coverage, errors, hyperparameters and the highest rates.
    """
    found = (
        _intervals(tables["coverage"], level),
        _errors(tables["coverage"]),
        _hyper(tables["hyper"], level),
        _top(tables["top"]),
    )
    return tuple(table for table in found if table.groups)


def _by_setting(table: Table) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in table.rows():
        groups.setdefault(row["setting"], []).append(row)
    return list(groups.items())


def _with_error(value: float | int, error: float | int) -> str:
    """A share in percent, and its standard error."""
    if not np.isfinite(value):
        return percent(value)
    if not np.isfinite(error):
        return percent(value)
    decimals = 1 if error == 0 or error >= _SMALL else 2
    return f"{percent(value, decimals)} ± {number(100 * error, decimals)}"


def _places(rows: Iterable[dict[str, Any]], key: str) -> int:
    return common_decimals([row[key] for row in rows], 3)


def _intervals(table: Table, level: float) -> ReportTable:
    places = _places(table.rows(), "length")
    groups = [
        Group(
            setting,
            [
                [
                    study_label(row["method"]),
                    whole(row["data_sets"]),
                    whole(row["failed"]),
                    _with_error(row["coverage"], row["coverage_mcse"]),
                    number(row["length"], places),
                ]
                for row in rows
            ],
        )
        for setting, rows in _by_setting(table)
    ]
    return ReportTable(
        "coverage",
        f"Coverage of units' {100 * level:g}% intervals",
        ["Method", "Data sets", "Failed", "Coverage", "Mean length"],
        groups,
        f"{_DEFINITIONS}Wanted: {100 * level:g}%. By size of unit in sizes.csv.",
    )


def _errors(table: Table) -> ReportTable:
    places = _places(table.rows(), "rmse")
    groups = [
        Group(
            setting,
            [
                [
                    study_label(row["method"]),
                    number(row["bias"], places + 1),
                    f"{number(row['rmse'], places)} ± {number(row['rmse_mcse'], places + 1)}",
                    *(percent(row[f"rmse_over_{name}"]) for name in ("raw", "pooled")),
                ]
                for row in rows
            ],
        )
        for setting, rows in _by_setting(table)
    ]
    return ReportTable(
        "errors",
        "Errors of units' estimates",
        ["Method", "Bias", "RMSE", "Of the raw rates'", "Of the pooled rate's"],
        groups,
        "RMSE is the root of the mean squared error, over units. The last columns compare it with "
        "those of raw rates and of the pooled rate, on the same units.",
    )


def _hyper(table: Table, level: float) -> ReportTable:
    groups = []
    for setting, rows in _by_setting(table):
        kept = [row for row in rows if row["method"] != "complete_pooling"]
        for name in _PARAMETERS:
            of_one = [row for row in kept if row["parameter"] == name]
            places = common_decimals([row["median_absolute_error"] for row in of_one], 3)
            cells = [
                [
                    study_label(row["method"]),
                    *(
                        number(row[key], places)
                        for key in ("bias", "rmse", "median_error", "median_absolute_error")
                    ),
                    _with_error(row["coverage"], row["coverage_mcse"]),
                ]
                for row in of_one
            ]
            if cells:
                groups.append(Group(f"{parameter_label(name)}, {setting}", cells))
    return ReportTable(
        "hyperparameters",
        "Errors of the hyperparameters' estimates, and coverage of their intervals",
        ["Method", "Bias", "RMSE", "Median error", "Median size", f"Coverage ({100 * level:g}%)"],
        groups,
        "The concentration, α and β may be estimated to be infinite, so that their errors have no "
        "mean: medians exist. An estimate at the boundary has no interval. Where the population is "
        "no Beta, the truth is the Beta with its mean and variance. Other functions of both are in "
        "hyper.csv.",
    )


def _top(table: Table) -> ReportTable:
    if not len(table):
        return ReportTable("top", "", [], [])
    sizes = sorted(set(table["k"].tolist()))
    groups = []
    for setting, rows in _by_setting(table):
        known = {(row["method"], row["k"]): row for row in rows}
        methods = list(dict.fromkeys(row["method"] for row in rows))
        cells = [
            [
                study_label(method),
                *(
                    _with_error(row["recovered"], row["recovered_mcse"])
                    if (row := known.get((method, k)))
                    else "—"
                    for k in sizes
                ),
            ]
            for method in methods
        ]
        groups.append(Group(setting, cells))
    return ReportTable(
        "top",
        "Share of the units of the highest rates that have the highest estimates",
        ["Method", *(f"Top {k}" for k in sizes)],
        groups,
        "Units are ranked by their estimates; ties count as they would in a draw.",
    )
