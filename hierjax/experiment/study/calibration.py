"""Calibration: what the ranks of true values say of each method."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hierjax.experiment.report_tables import Group
from hierjax.experiment.rounding import MISSING, number, whole
from hierjax.experiment.runner import Watch
from hierjax.experiment.study.record import Outcome, ReportTable, Section
from hierjax.experiment.study.runner import PreparedStudy, fit_settings
from hierjax.experiment.study.schema import CalibrationConfig
from hierjax.experiment.study.words import (
    ending_of,
    manifest_methods,
    method_warnings,
    parameter_label,
    study_label,
    with_setting,
)
from hierjax.plots.contrasts import probability
from hierjax.plots.picture import Picture
from hierjax.plots.rank_histograms import rank_panels
from hierjax.plots.style import method_color
from hierjax.studies.calibration import calibration
from hierjax.studies.coverage import status_table
from hierjax.studies.ranks import Calibration, Verdict
from hierjax.table import Table

__all__ = ["calibration_outcome"]

_SECTIONS = (
    Section(
        "ranks",
        "Ranks",
        "Hyperparameters are drawn from the hyperprior, data from them, and the method's posterior "
        "from the data. If the method is right, the true value is one more draw from that "
        "posterior, and its rank among the method's draws is as likely one as another. Ranks pile "
        "up at both ends where posteriors are too narrow, in the middle where they are too wide, "
        "and at one end where they are shifted.",
    ),
)
_WORDS = {
    Verdict.PASSED: "passes",
    Verdict.FAILED: "fails",
    Verdict.UNDECIDED: "is undecided: too many data sets are without an answer",
}


def calibration_outcome(
    prepared: PreparedStudy, watch: Watch, folder: Callable[[str], Path]
) -> Outcome:
    """Runs a calibration.

    Args:
        prepared: The study.
        watch: Is told of each method's progress.
        folder: Where methods keep their finished parts.

    Returns:
        What came of it: tables `p_values`, `ranks` and `statuses`.
    """
    config = prepared.config
    assert isinstance(config, CalibrationConfig)
    (found,) = fit_settings(prepared, watch, folder)
    judged, few = {}, []
    for entry in config.methods:
        name = entry.display_name
        if name in found.fits:
            fits = found.fits[name]
            judged[name] = calibration(found.simulated, fits, config.rates, name)
            few += [*method_warnings(name, "", fits), *_few_effective(name, judged[name])]
    level = 1 - config.level
    failures = [f"{name} found nothing: {text}" for name, text in found.failures.items()]
    failures += [
        f"{name}: ranks of the true values are not those of draws from the posterior"
        for name, each in judged.items()
        if each.verdict(level) == Verdict.FAILED
    ]
    colors = {entry.display_name: method_color(entry.settings().name) for entry in config.methods}
    return Outcome(
        {
            "p_values": _p_values(judged, level),
            "ranks": _ranks(judged),
            "statuses": with_setting([(found.setting.name, status_table(found.fits))]),
        },
        found.seconds(),
        manifest_methods([ending_of(found)]),
        tuple(_finding(name, each, level) for name, each in judged.items()),
        _SECTIONS,
        (_report_table(judged, level),) if judged else (),
        tuple(_picture(name, each, level, colors[name]) for name, each in judged.items()),
        (*failures, *few),
        not judged,
    )


def _few_effective(name: str, found: Calibration) -> list[str]:
    few = int(found.p_values()["few_effective"].max(initial=0))
    if not few:
        return []
    return [
        f"{name}: on {few:,} of {len(found.ranks):,} data sets fewer than {found.draws:,} draws "
        "are effective, so that ranks need not be uniform; give the sampler more draws"
    ]


def _p_values(judged: Mapping[str, Calibration], level: float) -> Table:
    tables = [
        Table({**each.p_values(), "verdict": [str(each.verdict(level))] * len(each.parameters)})
        .with_columns(method=name)
        for name, each in judged.items()
    ]  # fmt: skip
    return Table.stack(tables) if tables else Table({"method": []})


def _ranks(judged: Mapping[str, Calibration]) -> Table:
    """One row a method and data set, a column a parameter; -1 where there are no draws."""
    tables = []
    for name, each in judged.items():
        columns = dict(zip(each.parameters, each.ranks.T, strict=True))
        table = Table({"data_set": np.arange(len(each.ranks)), "status": each.status, **columns})
        tables.append(table.with_columns(method=name))
    return Table.stack(tables) if tables else Table({"method": []})


def _worst(found: Calibration) -> dict[str, Any]:
    return min(
        found.p_values().rows(), key=lambda row: (np.isnan(row["adjusted"]), row["adjusted"])
    )


def _finding(name: str, found: Calibration, level: float) -> tuple[str, str]:
    verdict, worst = found.verdict(level), _worst(found)
    parameters = len(found.parameters)
    text = (
        f"{study_label(name)} {_WORDS[verdict]}. Of {parameters} parameters "
        f"{parameter_label(worst['parameter'])} has the smallest p-value, "
        f"{probability(worst['adjusted'])} after adjustment for their number."
    )
    if verdict == Verdict.FAILED:
        shapes = [
            ("too narrow" if worst["spread_z"] > 0 else "too wide", abs(worst["spread_z"])),
            ("too low" if worst["mean_z"] > 0 else "too high", abs(worst["mean_z"])),
        ]
        told = [word for word, size in shapes if size > 3]
        if told:
            text += f" Its posteriors are {' and '.join(told)}."
    return study_label(name), text


def _report_table(judged: Mapping[str, Calibration], level: float) -> ReportTable:
    groups = []
    for name, each in judged.items():
        rows = [
            [
                parameter_label(row["parameter"]),
                whole(row["data_sets"]),
                whole(row["failed"]),
                *(number(row[key], 2) for key in ("mean_z", "spread_z")),
                *(
                    MISSING if np.isnan(row[key]) else probability(row[key])
                    for key in ("chi_square", "ecdf", "adjusted")
                ),
            ]
            for row in each.p_values().rows()
        ]
        groups.append(Group(f"{study_label(name)}: {each.verdict(level)}", rows))
    return ReportTable(
        "ranks",
        "Are ranks uniform?",
        ["Parameter", "Data sets", "Failed", "Mean (z)", "Spread (z)", "Histogram p", "ECDF p",
         "Adjusted"],
        groups,
        f"A method fails if any adjusted p-value is at most {level:.3g}, which happens to a right "
        "method that often. The ECDF's p-value is exact for all levels at once, and adjusted by "
        "Holm's method for all parameters. A positive mean says that posteriors lie below the "
        "truth, a positive spread that they are too narrow; both in standard errors.",
    )  # fmt: skip


def _picture(name: str, found: Calibration, level: float, color: str) -> Picture:
    label = study_label(name)
    return Picture(
        f"ranks_{name}",
        "ranks",
        f"Ranks by {label}",
        "Left, how many true values have each rank, over what is expected; right, the share of "
        "ranks below each, less that of uniform ranks, within bands that hold all of the curve.",
        f"Rank histograms and differences of distribution functions of {len(found.parameters)} "
        f"parameters by {label}.",
        partial(_draw, found, level, color),
    )


def _draw(found: Calibration, level: float, color: str) -> Axes:
    return rank_panels(found, level=level, color=color)[0, 0]
