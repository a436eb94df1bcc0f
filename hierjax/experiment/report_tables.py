# ruff: noqa: RUF001 -- readers are shown Greek letters and true minus signs
"""The report's tables: rows of text, rounded to what their uncertainty bears."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from hierjax.experiment.per import per_of
from hierjax.experiment.record import RunRecord
from hierjax.experiment.rounding import (
    MISSING,
    aligned,
    common_decimals,
    decimals_for,
    number,
    whole,
)
from hierjax.families import FAMILIES
from hierjax.families.protocol import AnyFamily
from hierjax.families.unit_words import per_text
from hierjax.inference import METHODS
from hierjax.plots.style import method_styles, point_estimate, reference
from hierjax.table import Table

__all__ = [
    "Group",
    "agreement",
    "chains",
    "first_line",
    "hyper",
    "in_words",
    "loo",
    "method_labels",
    "methods",
    "pair_of",
    "predictions",
    "provenance",
    "raw_columns",
    "raw_text",
    "rows_of",
    "spread",
    "unit_cells",
    "unit_columns",
    "units",
]

_MOST_UNITS = 120
_ESTIMATES = ("mean", "sd", "low", "median", "high")
_MODELS = {
    "no_pooling": "No pooling",
    "complete_pooling": "Complete pooling",
    "partial_pooling": "Partial pooling",
}


class Group(NamedTuple):
    """Rows of a table under one heading."""

    heading: str
    rows: list[list[str]]


def _family(run: RunRecord) -> AnyFamily:
    return FAMILIES[run.counts.family]


def _parameters(run: RunRecord) -> dict[str, str]:
    """Headings of hyperparameters: working coordinates after what follows from them."""
    each = _family(run).hyperparameters.each
    return {parameter.name: parameter.heading for parameter in (*each[2:], *each[:2])}


def unit_columns(run: RunRecord) -> list[str]:
    """Headings of a unit's label, value and size."""
    return ["Unit", *(name.capitalize() for name in run.counts.columns)]


def raw_columns(run: RunRecord) -> list[str]:
    """Heading of raw rates; none of measurements, which are their own raw values."""
    return [] if _family(run).support == "reals" else [_family(run).unit_words.raw.capitalize()]


def unit_cells(run: RunRecord, row: Mapping[str, Any]) -> list[str]:
    """A unit's label, value and size."""
    return [str(row["label"]), *(_datum(row[name]) for name in run.counts.columns)]


def _datum(value: Any) -> str:
    is_whole = np.isfinite(value) and float(value).is_integer()
    return whole(value) if is_whole else f"{float(value):,.6g}"


def pair_of(family: AnyFamily, row: Mapping[str, Any]) -> str:
    """A unit's value and size in words."""
    value, size = (row[name] for name in family.columns)
    return family.unit_words.unit.format(value=value, size=size)


def raw_text(
    family: AnyFamily, row: Mapping[str, Any], decimals: int, before: str, after: str = ""
) -> str:
    """A unit's raw rate, where it has one that is not its value."""
    if family.support == "reals" or not np.isfinite(row["raw_rate"]):
        return ""
    return f"{before}{family.unit_words.raw} {number(row['raw_rate'], decimals)}{after}"


def rows_of(table: Table, method: str) -> list[dict[str, Any]]:
    """The rows of one method."""
    return [row for row in table.rows() if row["method"] == method]


def method_labels(run: RunRecord) -> dict[str, str]:
    """What the report calls each method, those that found nothing included."""
    labels = {name: name for name in run.failures}
    if run.fits:
        labels |= {name: style.label for name, style in method_styles(run.fits).items()}
    return labels


def _grouped(rows: Iterable[dict[str, Any]], key: str) -> Iterator[tuple[Any, list[dict]]]:
    groups: dict[Any, list[dict]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    yield from groups.items()


def spread(row: Mapping[str, Any]) -> float:
    """A standard deviation, or else what a width, or the value, would make of it."""
    width = (row["high"] - row["low"]) / 3.3
    known = [value for value in (row["sd"], width) if np.isfinite(value) and value > 0]
    return known[0] if known else 0.1 * abs(row["median"])


def hyper(run: RunRecord, labels: Mapping[str, str]) -> list[Group]:
    """Hyperparameters by method, one group a parameter."""
    rows = list(run.hyper.rows())
    by_parameter = dict(_grouped(rows, "parameter"))
    decimals = {name: common_decimals(map(spread, group)) for name, group in by_parameter.items()}
    most = max(decimals.values(), default=0)
    headings = _parameters(run)
    order = [name for name in headings if name in by_parameter]
    order += [name for name in by_parameter if name not in headings]
    return [
        Group(
            headings.get(name, name) + (per_text(per_of(run)) if name == "mean" else ""),
            [
                [
                    labels[row["method"]],
                    *(aligned(row[column], decimals[name], most) for column in _ESTIMATES),
                    whole(row["ess_bulk"]),
                    whole(row["ess_tail"]),
                    number(row["r_hat"], 3),
                ]
                for row in by_parameter[name]
            ],
        )
        for name in order
    ]


def predictions(run: RunRecord, labels: Mapping[str, str]) -> list[Group]:
    """New units by method, one group a unit."""
    rows, family = list(run.predictions.rows()), _family(run)
    decimals = common_decimals(map(spread, rows), 2)
    groups: dict[str, list[list[str]]] = {}
    for row in rows:
        raw = raw_text(family, row, decimals, ", ")
        unit = f"{row['label']}: {pair_of(family, row)}{raw}"
        cells = [labels[row["method"]]] + [number(row[key], decimals) for key in _ESTIMATES]
        groups.setdefault(unit, []).append([*cells, number(row["shrinkage"], 3)])
    return [Group(unit, cells) for unit, cells in groups.items()]


def units(run: RunRecord) -> dict[str, Any] | None:
    """Units by the leading method, in order of their estimates where they are too many."""
    leading = (reference(run.fits) or point_estimate(run.fits)) if run.fits else None
    if leading is None:
        return None
    rows = rows_of(run.units, leading)
    decimals = common_decimals(map(spread, rows))
    raw = ("raw_rate",) if raw_columns(run) else ()
    left_out, after = 0, None
    if len(rows) > _MOST_UNITS:
        ranked = sorted(rows, key=lambda row: -row["mean"])
        half = _MOST_UNITS // 2
        left_out, after = len(rows) - 2 * half, half
        rows = ranked[:half] + ranked[-half:]
    return {
        "label": method_styles(run.fits)[leading].label,
        "left_out": left_out,
        "after": after,
        "rows": [
            unit_cells(run, row)
            + [number(row[key], decimals) for key in (*raw, *_ESTIMATES)]
            + [number(row["shrinkage"], 3)]
            for row in rows
        ],
    }


def agreement(run: RunRecord, labels: Mapping[str, str]) -> list[Group]:
    """Differences from quadrature, one group a quantity."""
    if run.agreement is None:
        return []
    groups, per = [], per_text(per_of(run))
    for quantity, rows in _grouped(run.agreement.rows(), "quantity"):
        decimals = min(decimals_for(min(_positive(rows, "mcse"), default=1e-4), 2), 8)
        groups.append(
            Group(
                _parameters(run).get(quantity, f"{quantity}{', rate' + per if per else ''}"),
                [
                    [
                        labels.get(row["method"], row["method"]),
                        number(row["value"], decimals),
                        number(row["reference"], decimals),
                        number(row["mcse"], decimals),
                        number(row["z"], 2),
                    ]
                    for row in rows
                ],
            )
        )
    return groups


def _positive(rows: list[dict], key: str) -> list[float]:
    return [row[key] for row in rows if np.isfinite(row[key]) and row[key] > 0]


def loo(run: RunRecord) -> list[list[str]]:
    """Models by how well they predict a unit left out."""
    if run.loo is None:
        return []
    rows = list(run.loo.rows())
    best = max(row["elpd"] for row in rows)
    return [
        [
            _MODELS.get(row["model"], str(row["model"])),
            number(row["elpd"], 2),
            number(row["se"], 2),
            number(row["elpd"] - best, 2),
        ]
        for row in rows
    ]


def methods(run: RunRecord, labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Every method: what it does, with what settings and how it ended."""
    rows = []
    for name, fit in run.fits.items():
        rows.append(
            {
                "label": labels[name],
                "does": first_line(type(fit.method)),
                "settings": _settings(fit.method),
                "status": str(fit.status).replace("_", " "),
                "message": fit.message,
            }
        )
    for name, text in run.failures.items():
        blank = {"does": first_line(METHODS.get(name)), "settings": "", "status": "failed"}
        rows.append({"label": labels[name], **blank, "message": text})
    return rows


def first_line(settings: type | None) -> str:
    """What a method's docstring says of it first; nothing of no method."""
    return (getattr(settings, "__doc__", None) or "").strip().partition("\n")[0]


def _settings(method: Any) -> str:
    if not is_dataclass(method):
        return ""
    given = {field.name: getattr(method, field.name) for field in fields(method)}
    parts = (f"{name} {str(value).lower()}" for name, value in given.items() if value is not None)
    return ", ".join(parts).replace("_", " ")


def chains(run: RunRecord, labels: Mapping[str, str]) -> list[list[str]]:
    """Diagnostics of the samplers, the worse of both working coordinates."""
    rows = []
    for name, fit in run.fits.items():
        if fit.draws is None:
            continue
        mine = [r for r in rows_of(run.hyper, name) if r["parameter"] in _parameters(run)]
        acceptance = np.ravel(fit.info.get("acceptance", np.nan)).astype(float)
        divergences = fit.info.get("divergences")
        rows.append(
            [
                labels[name],
                f"{fit.draws.shape[0]:,} × {fit.draws.shape[1]:,}",
                number(max(r["r_hat"] for r in mine), 3),
                whole(min(r["ess_bulk"] for r in mine)),
                whole(min(r["ess_tail"] for r in mine)),
                MISSING if np.isnan(acceptance).all() else _range(acceptance),
                MISSING if divergences is None else whole(float(divergences)),
            ]
        )
    return rows


def _range(values: np.ndarray) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def provenance(run: RunRecord) -> list[tuple[str, str]]:
    """What the run ran on and with, without what other parts of the report say."""
    # A commit elsewhere in the user's repository does not make another report.
    elsewhere = ("name", "state", "methods", "warnings", "seconds", "git")
    rows = [
        (key.replace("_", " "), in_words(value))
        for key, value in run.manifest.items()
        if key not in elsewhere
    ]
    return [(key, text) for key, text in rows if text]


def in_words(value: Any) -> str:
    """A value of the manifest, its keys before its values."""
    if not isinstance(value, Mapping):
        return "" if value is None else str(value)
    parts = ((key.replace("_", " "), in_words(part)) for key, part in value.items())
    return ", ".join(f"{key} {text}" for key, text in parts if text)
