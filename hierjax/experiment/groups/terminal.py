"""What a person at a terminal sees of three levels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from hierjax.experiment.groups.record import GroupsRecord
from hierjax.experiment.terminal import (
    coloured,
    grid,
    hyperparameters,
    largest_z,
    number,
    printable,
    units,
)
from hierjax.levels.model import TOP
from hierjax.table import Table

__all__ = ["evidence_sentence", "fitted", "overview"]

_MOST_GROUPS, _SHOWN_GROUPS = 20, 5
_COLUMNS = ("raw", "mean", "sd", "low", "high")


def overview(record: GroupsRecord, out: Console) -> None:
    """Prints one line a method, the groups by the leading method, and the evidence."""
    lines = grid(["method"])
    for column in (*TOP, "max |z|", "seconds"):
        lines.add_column(column, justify="right", no_wrap=True)
    lines.add_column("status", no_wrap=True)
    hyper = {(row["method"], row["parameter"]): row for row in record.hyper.rows()}
    for name in [entry["name"] for entry in record.config["methods"]]:
        status, cells = "failed", ["-"] * (len(TOP) + 1)
        if name in record.fits:
            status = record.fits[name].status.replace("_", " ")
            cells = [number(hyper[name, parameter]["median"]) for parameter in TOP]
            cells.append(largest_z(record.agreement, name))
        seconds = record.seconds.get(name, math.nan)
        lines.add_row(name, *cells, f"{seconds:.1f}", coloured(status))
    out.print(lines)
    points = [name for name, fit in record.fits.items() if fit.result.estimate is not None]
    estimates = f" ({' and '.join(points)}: estimates)" if points else ""
    out.print(f"of the population of groups: posterior medians{estimates}", style="dim")
    if record.agreement is not None:
        out.print(
            "max |z|: largest difference from quadrature, in Monte Carlo standard errors",
            style="dim",
        )
    if record.leading is not None:
        _groups(record, record.leading, out)
        if len(record.predictions):
            asked = record.of_method(record.predictions, record.leading)
            units(asked, record.level, out, f"New units, by {record.leading}")
    _evidence(record, out)


def fitted(record: GroupsRecord, out: Console) -> None:
    """Prints the answers of every method, of which there is mostly one."""
    for index, name in enumerate(record.fits):
        status = record.fits[name].status.replace("_", " ")
        print(("\n" if index else "") + f"{name}: {status}")
        hyperparameters(record.of_method(record.hyper, name), record.level, out)
        _groups(record, name, out)
        units(record.of_method(record.units, name), record.level, out, "Units")
        if len(record.predictions):
            asked = record.of_method(record.predictions, name)
            units(asked, record.level, out, "New units")
    _evidence(record, out)


def _groups(record: GroupsRecord, name: str, out: Console) -> None:
    """Prints groups, of many only those with the lowest and the highest means."""
    rows = list(record.of_method(record.groups, name).rows())
    title = f"Groups, by {name}"
    cut = len(rows) > _MOST_GROUPS
    if cut:
        rows.sort(key=lambda row: row["mean"])
        shown = f"{_SHOWN_GROUPS} lowest and {_SHOWN_GROUPS} highest means of {len(rows):,}"
        title += f" ({shown})"
        rows = [*rows[:_SHOWN_GROUPS], {}, *rows[-_SHOWN_GROUPS:]]
    out.print(f"\n{title}", style="bold")
    ends = [f"{50 * (1 + sign * record.level):g} %" for sign in (-1, 1)]
    lines = grid(["group"])
    for heading in ("units", "raw", "mean", "sd", *ends):
        lines.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        lines.add_row(*(_group_cells(row) if row else ["..."]))
    out.print(lines)


def _group_cells(row: Mapping[str, Any]) -> Sequence[str]:
    numbers = [number(row[column]) for column in _COLUMNS]
    return [printable(str(row["group"])), f"{row['units']:,}", *numbers]


def _evidence(record: GroupsRecord, out: Console) -> None:
    for name in dict.fromkeys(record.evidence["method"].tolist()):
        sentence = evidence_sentence(record.of_method(record.evidence, name))
        out.print(f"\nEvidence, by {name}: {sentence}")


def evidence_sentence(table: Table) -> str:
    """What evidence says of groups that differ beside one population of all units.

    Examples:
        >>> columns = {"model": ["one_population", "groups"], "log_evidence": [-9.0, -7.0]}
        >>> evidence_sentence(Table({**columns, "log_bayes_factor": [0.0, 2.0]}))
        'groups that differ predict the data 7.39 times as well as one population (log 2.00)'
    """
    factor = float(table["log_bayes_factor"][list(table["model"]).index("groups")])
    better, worse = "groups that differ", "one population"
    if factor < 0:
        better, worse = worse, better
    size = abs(factor)
    times = f"{number(math.exp(size))} times" if size < 13 else f"e^{size:.0f} times"
    verb = "predict" if factor >= 0 else "predicts"
    return f"{better} {verb} the data {times} as well as {worse} (log {factor:.2f})"
