# ruff: noqa: RUF001, RUF002 -- readers are shown Greek letters
"""What studies say in the same words: methods' labels, statuses, warnings about methods."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hierjax.batch import BatchFit
from hierjax.experiment.rounding import number, whole
from hierjax.experiment.study.runner import SettingFits
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.plots.style import method_label
from hierjax.table import Table

__all__ = [
    "Ending",
    "ending_of",
    "manifest_methods",
    "method_warnings",
    "parameter_label",
    "percent",
    "study_label",
    "with_setting",
]

_PARAMETERS = {p.name: p.symbol for p in BetaBinomial.hyperparameters.each} | {
    "correlation": "1 / (α + β + 1)"
}
_BESIDE = {"no_pooling": "No pooling", "complete_pooling": "Complete pooling"}
# Shares of data sets without a proper answer below which nothing is said.
_FEW = 0.001


class Ending(NamedTuple):
    """How the data sets of a setting ended.

    Attributes:
        statuses: Numbers of data sets by status, of each method that found something.
        failures: Why each other method did not.
    """

    statuses: dict[str, dict[str, int]]
    failures: dict[str, str]


def study_label(name: str) -> str:
    """What a report calls a method or what stands beside the methods.

    Examples:
        >>> study_label("no_pooling"), study_label("type2_mle")
        ('No pooling', 'Type-2 MLE')
    """
    return _BESIDE.get(name) or method_label(name)


def parameter_label(name: str) -> str:
    """What a report calls a hyperparameter or a rate.

    Examples:
        >>> parameter_label("concentration"), parameter_label("rate 0")
        ('α + β', 'rate of unit 0')
    """
    if name.startswith("rate "):
        return f"rate of unit {name.removeprefix('rate ')}"
    return _PARAMETERS.get(name, name)


def percent(value: float | int, decimals: int = 1) -> str:
    """A share in percent; a dash where there is none.

    Examples:
        >>> percent(0.8953), percent(float("nan"))
        ('89.5%', '—')
    """
    text = number(100 * value, decimals)
    return f"{text}%" if np.isfinite(value) else text


def with_setting(found: Sequence[tuple[str, Table]]) -> Table:
    """Tables of several settings one after the other, the setting's name in front.

    Args:
        found: Names of settings, and a table of each.

    Returns:
        One table; that of no rows has no other columns.
    """
    tables = [table.with_columns(setting=name) for name, table in found if len(table)]
    return Table.stack(tables) if tables else Table({"setting": []})


def ending_of(found: SettingFits) -> Ending:
    """How the data sets of a setting ended, without the fits themselves."""
    statuses = {
        name: dict(
            zip(*(x.tolist() for x in np.unique(fits.status, return_counts=True)), strict=True)
        )
        for name, fits in found.fits.items()
    }
    return Ending(statuses, dict(found.failures))


def manifest_methods(endings: Sequence[Ending]) -> dict[str, dict[str, Any]]:
    """The manifest's part about methods: data sets by status over all settings, and failures."""
    methods: dict[str, dict[str, Any]] = {}
    for ending in endings:
        for name, counts in ending.statuses.items():
            entry = methods.setdefault(name, {"data_sets": {}})["data_sets"]
            for status, size in counts.items():
                entry[status] = entry.get(status, 0) + size
        for name, text in ending.failures.items():
            methods.setdefault(name, {"data_sets": {}})["message"] = text
    return methods


def method_warnings(name: str, setting: str, fits: BatchFit) -> list[str]:
    """What to know of how a method's data sets went.

    Args:
        name: The method's display name.
        setting: The setting's name; empty where there is only one.
        fits: The fits.

    Returns:
        A sentence for those that failed, and one for those that did not converge.
    """
    size, place = len(fits.status), f" ({setting})" if setting else ""
    failed = int((fits.status == "failed").sum())
    unsettled = int((fits.status == "not_converged").sum())
    said = []
    if failed:
        said.append(
            f"{name}{place}: failed on {whole(failed)} of {whole(size)} data sets, which are left "
            "out of what is said of it"
        )
    if unsettled > _FEW * size:
        said.append(
            f"{name}{place}: did not converge on {whole(unsettled)} of {whole(size)} data sets, "
            "which are counted all the same"
        )
    return said
