"""Rates as they are shown: per so many units of exposure, where a run asks for it."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from hierjax.checks import PredictiveCheck
from hierjax.experiment.record import RunRecord
from hierjax.table import Table

__all__ = ["as_shown", "per_of", "shown_check"]

_UNITS = ("raw_rate", "mean", "sd", "low", "median", "high")
_DIFFERENCES = ("difference_mean", "difference_low", "difference_high", "expected_loss")
_CHECKED = ("observed", "mean", "low", "high")
# How often a statistic of rates is multiplied.
_POWERS = {"largest_rate": 1, "variance_of_rates": 2}


def per_of(run: RunRecord) -> float | int | None:
    """How many units of exposure rates are shown per; None where they are as in the tables."""
    return run.config.get("per")


def as_shown(run: RunRecord) -> RunRecord:
    """A run whose rates are those that people are shown; tables in files stay as they are.

    Args:
        run: What the run found, its rates per unit of exposure.

    Returns:
        The same with rates, differences of rates and statistics of rates multiplied.
    """
    per = per_of(run)
    if per is None:
        return run
    hyper = _times(run.hyper, _UNITS[1:], per, run.hyper["parameter"].astype(str) == "mean")
    agreement = run.agreement
    if agreement is not None:
        of_units = ~np.char.startswith(agreement["quantity"].astype(str), "log_")
        agreement = _times(agreement, ("value", "reference", "mcse"), per, of_units)
    contrasts, exceedance, checks = run.contrasts, run.exceedance, run.checks
    if checks is not None:
        checks = _checked(checks, "check", per)
    return dataclasses.replace(
        run,
        hyper=hyper,
        agreement=agreement,
        units=_times(run.units, _UNITS, per),
        predictions=_times(run.predictions, _UNITS, per),
        contrasts=None if contrasts is None else _times(contrasts, _DIFFERENCES, per),
        exceedance=None if exceedance is None else _times(exceedance, ("threshold",), per),
        checks=checks,
    )


def shown_check(check: PredictiveCheck, per: float | int) -> PredictiveCheck:
    """Posterior predictive checks of rates that are shown per so many units of exposure."""
    replicates = {
        name: values * per ** _POWERS.get(name, 0) for name, values in check.replicates.items()
    }
    return PredictiveCheck(dict(_checked(check, "statistic", per)), replicates, check.rates)


def _checked(table: Table, key: str, per: float | int) -> Table:
    for name, power in _POWERS.items():
        table = _times(table, _CHECKED, per**power, table[key] == name)
    return table


def _times(
    table: Table,
    columns: Sequence[str],
    factor: float | int,
    rows: Bool[np.ndarray, " rows"] | bool = True,
) -> Table:
    """A table with some columns, in some rows, multiplied."""
    return Table(
        {
            name: np.where(rows, values * factor, values) if name in columns else values
            for name, values in table.items()
        }
    )
