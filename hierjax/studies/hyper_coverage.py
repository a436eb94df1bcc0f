"""How well methods find the hyperparameters of simulated data sets."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from hierjax.asked import probability
from hierjax.studies.answers import Answers, Compared, compared
from hierjax.studies.averages import ratio, root
from hierjax.studies.simulation import Simulated
from hierjax.table import Table

__all__ = ["PARAMETERS", "hyper_table"]

Values = Float[np.ndarray, "*batch"]


class _Parameter(NamedTuple):
    """One function of the working coordinates.

    Attributes:
        of: The function, of logit mean and log concentration.
        follows: The coordinate of which alone it is a monotone function, if there is one.
        has_mean: Whether an estimate of it has a mean over data sets.
    """

    of: Callable[[Values, Values], Values]
    follows: int | None
    has_mean: bool


#: Hyperparameters by name, as functions of the working coordinates. The correlation of two trials
#: of one unit, 1 / (alpha + beta + 1), is 0 where the concentration is infinite.
PARAMETERS: dict[str, _Parameter] = {
    "logit_mean": _Parameter(lambda u, w: u, 0, True),
    "mean": _Parameter(lambda u, w: expit(u), 0, True),
    "log_concentration": _Parameter(lambda u, w: w, 1, True),
    "concentration": _Parameter(lambda u, w: np.exp(w), 1, False),
    "correlation": _Parameter(lambda u, w: expit(-w), 1, True),
    "alpha": _Parameter(lambda u, w: expit(u) * np.exp(w), None, False),
    "beta": _Parameter(lambda u, w: expit(-u) * np.exp(w), None, False),
}


def hyper_table(simulated: Simulated, answers: Mapping[str, Answers], level: float) -> Table:
    """Errors of the hyperparameters' estimates, and coverage of their intervals, by method.

    Estimates are what those of logit_mean and log_concentration imply. An infinite concentration
    is an estimate too, so that concentration, alpha and beta have no mean error over data sets:
    their bias and RMSE are left empty, as that of log_concentration is where one is infinite.
    Medians of the errors always exist, and so do all of the correlation 1 / (alpha + beta + 1).

    Intervals of alpha and beta are taken from draws of the hyperparameters, where answers have
    them as `draws`. Coverage is of the data sets that have an interval, which a point estimate at
    the boundary lacks. If the population is no Beta, the truth is the Beta of its mean and
    variance.

    Args:
        simulated: The data sets and the truth.
        answers: Answers by the method's name, for all data sets or the first of them.
        level: Probability that the intervals were made for.

    Returns:
        One row a method and parameter, none for methods without hyperparameters: `method`,
        `data_sets` that count, `failed`, `parameter`, `bias`, `bias_mcse`, `rmse`, `rmse_mcse`,
        `median_error`, `median_absolute_error`, `level`, `intervals` (data sets that have one),
        `coverage`, `coverage_mcse`.

    Raises:
        ConfigError: If the level is not inside (0, 1).
        DataError: If answers are not for these data sets.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> from hierjax.studies.baselines import complete_pooling
        >>> from hierjax.studies.simulation import simulate_like
        >>> rats = hj.datasets.rat_tumors()
        >>> simulated = simulate_like(jax.random.key(0), rats, np.array([-1.8, 2.8]), 100)
        >>> answers = {"complete_pooling": complete_pooling(simulated, level=0.9)}
        >>> table = hyper_table(simulated, answers, level=0.9)
        >>> table["parameter"][0].item(), table["coverage"][0].item() < 0.9
        ('logit_mean', True)
    """
    level = probability("level", level)
    rows = [
        _row(each, name, parameter, level)
        for each in compared(simulated, answers)
        for name, parameter in PARAMETERS.items()
        if not np.isnan(each.answers.coordinates[each.found]).all()
    ]
    return Table({name: [row[name] for row in rows] for name in (rows[0] if rows else {})})


def _row(each: Compared, name: str, parameter: _Parameter, level: float) -> dict[str, Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        truth = parameter.of(*each.truth.coordinates.T)
        estimate = parameter.of(*each.answers.coordinates.T)
        low, high = _interval(each, parameter, level)
        error = np.where(estimate == truth, 0.0, estimate - truth)
    given = each.found & ~np.isnan(error)
    bias, rmse = ((np.nan, np.nan),) * 2
    if parameter.has_mean and np.isfinite(error[given]).all():
        ones = np.ones(int(given.sum()))
        bias, rmse = ratio(error[given], ones), root(*ratio(error[given] ** 2, ones))
    told = each.found & ~np.isnan(low) & ~np.isnan(high)
    covered = ((low <= truth) & (truth <= high))[told].astype(float)
    coverage = ratio(covered, np.ones(len(covered)))
    return {
        **each.counts,
        "parameter": name,
        "bias": bias[0],
        "bias_mcse": bias[1],
        "rmse": rmse[0],
        "rmse_mcse": rmse[1],
        "median_error": _median(error[given]),
        "median_absolute_error": _median(np.abs(error[given])),
        "level": level,
        "intervals": int(told.sum()),
        "coverage": coverage[0],
        "coverage_mcse": coverage[1],
    }


def _interval(
    each: Compared, parameter: _Parameter, level: float
) -> tuple[Float[np.ndarray, "batch"], Float[np.ndarray, "batch"]]:
    """Both ends of the parameter's intervals; NaN where there is none."""
    if parameter.follows is not None:
        # The function looks at one coordinate, and may fall as that grows.
        ends = (each.answers.coordinate_low, each.answers.coordinate_high)
        low, high = (parameter.of(*end.T) for end in ends)
        return np.minimum(low, high), np.maximum(low, high)
    draws = getattr(each.answers, "draws", None)
    if draws is None:
        none = np.full(len(each.found), np.nan)
        return none, none
    tail = (1 - level) / 2
    low, high = np.quantile(parameter.of(*np.moveaxis(draws, -1, 0)), [tail, 1 - tail], axis=1)
    return low, high


def _median(values: Float[np.ndarray, "batch"]) -> float:
    """The middle one, of an even number the lower: infinite ones have no mean."""
    return float(np.quantile(values, 0.5, method="inverted_cdf")) if len(values) else np.nan
