"""Coverage and misspecification: how methods do on data sets of which the truth is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hierjax.experiment.runner import Watch
from hierjax.experiment.study.coverage_pictures import coverage_pictures
from hierjax.experiment.study.coverage_tables import coverage_report_tables
from hierjax.experiment.study.record import Outcome, Section
from hierjax.experiment.study.runner import PreparedStudy, SettingFits, fit_settings
from hierjax.experiment.study.words import (
    ending_of,
    manifest_methods,
    method_warnings,
    percent,
    study_label,
    with_setting,
)
from hierjax.studies.coverage import (
    complete_pooling,
    hyper_table,
    no_pooling,
    size_table,
    status_table,
    top_table,
    unit_table,
)
from hierjax.table import Table

__all__ = ["coverage_outcome"]

_SECTIONS = (
    Section(
        "coverage",
        "Intervals of units",
        "An interval should hold the true rate as often as it says. Standard errors are of the "
        "simulation: they are taken over data sets, whose units are dependent.",
    ),
    Section("errors", "Estimates of units"),
    Section("hyperparameters", "Hyperparameters"),
    Section("top", "The highest rates"),
)
# Standard errors, and distance, from which a coverage is said to be off.
_OFF, _FAR = 3.0, 0.005
# Settings of which each is told of in a sentence.
_MOST_TOLD = 3


def coverage_outcome(
    prepared: PreparedStudy, watch: Watch, folder: Callable[[str], Path]
) -> Outcome:
    """Runs a study of coverage.

    Args:
        prepared: The study.
        watch: Is told of each method's progress.
        folder: Where methods keep their finished parts.

    Returns:
        What came of it: tables `coverage`, `sizes`, `hyper`, `top` and `statuses`.
    """
    level: float = prepared.config.level  # type: ignore[attr-defined]
    several = len(prepared.settings) > 1
    parts: dict[str, list[tuple[str, Table]]] = {}
    seconds, warnings, endings = [], [], []
    for found in fit_settings(prepared, watch, folder):
        setting = found.setting.name
        with watch(f"tables{f', {setting}' if several else ''}"):
            for name, table in _tables(found, level).items():
                parts.setdefault(name, []).append((setting, table))
        seconds.append(found.seconds())
        warnings += _warnings(found, setting if several else "")
        endings.append(ending_of(found))
    tables = {name: with_setting(each) for name, each in parts.items()}
    methods = {entry.display_name: entry.settings().name for entry in prepared.config.methods}
    return Outcome(
        tables,
        Table.stack(seconds),
        manifest_methods(endings),
        _findings(tables["coverage"], level),
        _SECTIONS,
        coverage_report_tables(tables, level),
        coverage_pictures(tables, prepared.settings, methods),
        tuple(warnings),
        not any(ending.statuses for ending in endings),
    )


def _tables(found: SettingFits, level: float) -> dict[str, Table]:
    """All tables of one setting."""
    answers: dict[str, Any] = {
        **found.fits,
        "no_pooling": no_pooling(found.simulated, level),
        "complete_pooling": complete_pooling(found.simulated, level),
    }
    return {
        "coverage": unit_table(found.simulated, answers, level),
        "sizes": size_table(found.simulated, answers, level),
        "hyper": hyper_table(found.simulated, answers, level),
        "top": top_table(found.simulated, answers),
        "statuses": status_table(found.fits),
    }


def _warnings(found: SettingFits, setting: str) -> list[str]:
    place = f" ({setting})" if setting else ""
    said = [f"{name}{place} found nothing: {text}" for name, text in found.failures.items()]
    for name, fits in found.fits.items():
        said += method_warnings(name, setting, fits)
    return said


def _findings(table: Table, level: float) -> tuple[tuple[str, str], ...]:
    """One sentence or two a method, baselines last."""
    by_method: dict[str, list[dict[str, Any]]] = {}
    for row in table.rows():
        by_method.setdefault(row["method"], []).append(row)
    return tuple((study_label(name), _finding(rows, level)) for name, rows in by_method.items())


def _finding(rows: list[dict[str, Any]], level: float) -> str:
    """How often a method's intervals hold the truth, and how large its errors are."""
    return f"{_coverage_sentence(rows, level)} {_error_sentence(rows)}"


def _coverage_sentence(rows: list[dict[str, Any]], level: float) -> str:
    shown = [row for row in rows if np.isfinite(row["coverage"])]
    if not shown:
        return "It has no intervals."
    name = f"{100 * level:g}%"
    if len(shown) == 1:
        told = percent(shown[0]["coverage"])
    elif len(shown) <= _MOST_TOLD:
        told = ", ".join(f"{percent(row['coverage'])} ({row['setting']})" for row in shown)
    else:
        worst = min(shown, key=lambda row: row["coverage"])
        best = max(shown, key=lambda row: row["coverage"])
        told = (
            f"{percent(worst['coverage'])} ({worst['setting']}) to "
            f"{percent(best['coverage'])} ({best['setting']})"
        )
    return f"{_judgement(shown, level)}: of {name} intervals of units {told} hold the true rate."


def _judgement(rows: list[dict[str, Any]], level: float) -> str:
    """Whether intervals hold what they say, beyond the simulation's own error."""
    away = [row["coverage"] - level for row in rows]
    errors = [row["coverage_mcse"] for row in rows]
    short = [_is_off(-d, e) for d, e in zip(away, errors, strict=True)]
    wide = [_is_off(d, e) for d, e in zip(away, errors, strict=True)]
    if any(short) and any(wide):
        return "Too short in some settings, too wide in others"
    if any(short):
        return "Too short" if all(short) else "Too short in some settings"
    if any(wide):
        return "Too wide" if all(wide) else "Too wide in some settings"
    return "As wide as they should be"


def _is_off(away: float | int, error: float | int) -> bool:
    return away > _FAR and away > _OFF * (error if np.isfinite(error) else np.inf)


def _error_sentence(rows: list[dict[str, Any]]) -> str:
    def told(key: str) -> str:
        values = [row[key] for row in rows if np.isfinite(row[key])]
        if not values:
            return "not known"
        low, high = (percent(value, 0) for value in (min(values), max(values)))
        return low if low == high else f"{low} to {high}"

    return (
        f"Its error is {told('rmse_over_raw')} of the raw rates', {told('rmse_over_pooled')} of "
        "the pooled rate's."
    )
