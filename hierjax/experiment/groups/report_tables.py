# ruff: noqa: RUF001 -- readers are shown Greek letters and true minus signs
"""The tables of a report of three levels: rows of text, rounded to what they bear."""

from typing import Any

import numpy as np

from hierjax.experiment.groups.record import GroupsRecord
from hierjax.experiment.groups.schema import GROUP_METHODS
from hierjax.experiment.report_tables import Group, first_line, pair_of, raw_text, spread
from hierjax.experiment.rounding import (
    MISSING,
    aligned,
    common_decimals,
    decimals_for,
    number,
    whole,
)
from hierjax.families import FAMILIES
from hierjax.levels.model import TOP
from hierjax.plots.style import method_label

__all__ = [
    "agreement",
    "chains",
    "evidence",
    "groups",
    "hyper",
    "methods",
    "predictions",
    "units",
]

_ESTIMATES = ("mean", "sd", "low", "median", "high")
_MOST_ROWS = 120
_HEADINGS = dict(
    zip(
        TOP,
        (
            "Mean of the groups' locations",
            "SD of the groups' locations",
            "Mean of the groups' log concentrations",
            "SD of the groups' log concentrations",
        ),
        strict=True,
    )
)


def methods(run: GroupsRecord) -> list[list[str]]:
    """Every method: what it does, with what settings and how it ended."""
    rows = []
    for entry in run.config["methods"]:
        name, settings = entry["name"], GROUP_METHODS[entry["method"]]
        if name in run.fits:
            status = run.fits[name].status.replace("_", " ")
            message = run.fits[name].message
        else:
            status, message = "failed", run.failures.get(name, "")
        given = ", ".join(
            f"{key} {value}" for key, value in entry.items() if key not in ("name", "method")
        ).replace("_", " ")
        said = f"{status}: {message}" if message else status
        rows.append([method_label(name), first_line(settings), given, said])
    return rows


def hyper(run: GroupsRecord) -> list[Group]:
    """What is above the groups by method, one group of rows a parameter."""
    rows = list(run.hyper.rows())
    found = []
    for parameter in TOP:
        mine = [row for row in rows if row["parameter"] == parameter]
        decimals = common_decimals(map(spread, mine))
        cells = [
            [
                method_label(row["method"]),
                *(aligned(row[column], decimals, decimals) for column in _ESTIMATES),
                whole(row["ess_bulk"]),
                whole(row["ess_tail"]),
                number(row["r_hat"], 3),
            ]
            for row in mine
        ]
        found.append(Group(_HEADINGS[parameter], cells))
    return found if rows else []


def evidence(run: GroupsRecord) -> list[Group]:
    """Log-evidence of one population and of groups, by the methods that give it."""
    names = {"one_population": "One population of all units", "groups": "Groups that differ"}
    rows = list(run.evidence.rows())
    return [
        Group(
            method_label(method),
            [
                [
                    names[row["model"]],
                    number(row["log_evidence"], 2),
                    number(row["log_bayes_factor"], 2),
                ]
                for row in rows
                if row["method"] == method
            ],
        )
        for method in dict.fromkeys(row["method"] for row in rows)
    ]


def _long(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Of very many rows those with the highest and the lowest means, and how many are left out."""
    if len(rows) <= _MOST_ROWS:
        return rows, 0
    ranked, half = sorted(rows, key=lambda row: -row["mean"]), _MOST_ROWS // 2
    return ranked[:half] + ranked[-half:], len(rows) - 2 * half


def groups(run: GroupsRecord) -> dict[str, Any] | None:
    """Groups by the leading method."""
    if run.leading is None:
        return None
    rows, left_out = _long(list(run.of_method(run.groups, run.leading).rows()))
    decimals = common_decimals(map(spread, rows))
    shown = [
        [
            str(row["group"]),
            whole(row["units"]),
            *(number(row[key], decimals) for key in ("raw", *_ESTIMATES)),
        ]
        for row in rows
    ]
    return {"rows": shown, "left_out": left_out}


def units(run: GroupsRecord) -> dict[str, Any] | None:
    """Units by the leading method."""
    if run.leading is None:
        return None
    rows, left_out = _long(list(run.of_method(run.units, run.leading).rows()))
    decimals = common_decimals(map(spread, rows))
    shown: dict[str, list[list[str]]] = {}
    for row in sorted(rows, key=lambda row: str(row["group"])):
        pair = [f"{row[name]:,.6g}" for name in run.data.columns]
        estimates = [number(row[key], decimals) for key in ("raw_rate", *_ESTIMATES)]
        cells = [str(row["label"]), *pair, *estimates, number(row["shrinkage"], 3)]
        shown.setdefault(str(row["group"]), []).append(cells)
    by_group = [Group(name, cells) for name, cells in shown.items()]
    return {"groups": by_group, "left_out": left_out}


def predictions(run: GroupsRecord) -> list[Group]:
    """New units by method, one group of rows a unit."""
    rows, family = list(run.predictions.rows()), FAMILIES[run.data.family]
    decimals = common_decimals(map(spread, rows), 2)
    found: dict[str, list[list[str]]] = {}
    for row in rows:
        raw = raw_text(family, row, decimals, ", ")
        unit = f"{row['label']}, {row['group']}: {pair_of(family, row)}{raw}"
        cells = [method_label(row["method"]), *(number(row[key], decimals) for key in _ESTIMATES)]
        found.setdefault(unit, []).append([*cells, number(row["shrinkage"], 3)])
    return [Group(unit, cells) for unit, cells in found.items()]


def agreement(run: GroupsRecord) -> list[Group]:
    """Samplers' means less quadrature's, one group of rows a quantity."""
    if run.agreement is None:
        return []
    found = []
    for parameter in TOP:
        rows = [row for row in run.agreement.rows() if row["quantity"] == parameter]
        errors = [row["mcse"] for row in rows if np.isfinite(row["mcse"]) and row["mcse"] > 0]
        decimals = min(decimals_for(min(errors, default=1e-4), 2), 8)
        cells = [
            [
                method_label(row["method"]),
                *(number(row[key], decimals) for key in ("value", "reference", "mcse")),
                number(row["z"], 2),
            ]
            for row in rows
        ]
        found.append(Group(_HEADINGS[parameter], cells))
    return found


def chains(run: GroupsRecord) -> list[list[str]]:
    """Diagnostics of the samplers, the worst of what is above the groups."""
    rows = []
    for name, fit in run.fits.items():
        draws, info = fit.result.draws, fit.result.info
        if draws is None:
            continue
        mine = run.of_method(run.hyper, name)
        acceptance = np.ravel(info["acceptance"]).astype(float)
        ends = f"{acceptance.min():.2f}", f"{acceptance.max():.2f}"
        divergences = info.get("divergences")
        rows.append(
            [
                method_label(name),
                f"{draws.shape[0]:,} × {draws.shape[1]:,}",
                number(mine["r_hat"].max(), 3),
                whole(mine["ess_bulk"].min()),
                whole(mine["ess_tail"].min()),
                ends[0] if ends[0] == ends[1] else " to ".join(ends),
                MISSING if divergences is None else whole(divergences),
            ]
        )
    return rows
