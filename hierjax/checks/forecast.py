"""A later period predicted from an earlier one: errors of point predictions, and calibration."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from hierjax.checks.pit import LooPit
from hierjax.errors import DataError
from hierjax.observations import Observations
from hierjax.table import Table
from hierjax.units.prediction import places_among

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["Forecast", "forecast"]

#: Probabilities of the predictive intervals whose coverage is told.
LEVELS = (0.5, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Forecast:
    """What became of predictions.

    Attributes:
        units: One row a unit: label, the later value and its size (as their family calls them),
            what was predicted of the value by partial_pooling, no_pooling and complete_pooling,
            and how probable lower values (below), and values no higher (at_most), were.
        scores: Rows rmse_partial_pooling, rmse_no_pooling and rmse_complete_pooling, mean_error
            (of partial pooling's predictions, positive where values came out higher), and
            coverage_50, 80, 90 and 95; errors are in the later values' own unit. Columns
            quantity, value, expected of calibrated predictions, and se, the standard error of
            so many independent units.
        pit: The places of values among their predictions.
    """

    units: Table
    scores: Table
    pit: LooPit


def forecast(fit: "Fit", later: Observations) -> Forecast:
    r"""Predicts each unit's value of a later period, and compares it with what came.

    The fit knows the earlier period alone. A count y' in a later size n' is predicted by n' times
    the unit's posterior mean (partial pooling), its raw rate (no pooling) or the rate of all units
    together (complete pooling); a measurement by the mean itself. The error of each is

    .. math:: \Big[\frac{1}{J} \sum_j (y'_j - n'_j \hat\theta_j)^2\Big]^{1/2}

    over the J units that have data in both periods.

    A predictive interval of probability L holds the uncertainty of the unit's parameter and the
    chance of its later value. A count's place in its prediction is an interval from P(y' < k) to
    P(y' <= k), of which a random point is uniform where predictions are calibrated: the coverage
    is the expected share of such points within L / 2 of the middle. It is L where predictions
    are calibrated, however coarse the counts, and needs no random number (Czado, Gneiting & Held
    2009, *Biometrics* 65).

    Args:
        fit: A fit of the earlier period that found something.
        later: The same units' later values and sizes, in the same order.

    Returns:
        Predictions, their errors and coverage.

    Raises:
        DataError: If the later data are of another family or number of units, or no unit has data
            in both periods.

    Example:
        >>> import hierjax as hj
        >>> before = hj.Events([5, 1, 19, 22], [94.3, 15.7, 31.4, 10.5])
        >>> after = hj.Events([4, 2, 21, 18], [94.3, 15.7, 31.4, 10.5])
        >>> fit = hj.fit(before, method=hj.Moments())
        >>> scores = hj.checks.forecast(fit, after).scores
        >>> scores["value"][:3].round(2).tolist()
        [1.97, 2.35, 15.71]
    """
    earlier, family = fit.counts, fit.model.family
    if later.family != earlier.family or len(later) != len(earlier):
        raise DataError(
            f"later: expected {earlier.family} data of {len(earlier):,} units, "
            f"found {later.family} of {len(later):,}"
        )
    values, sizes = (np.asarray(column, np.float64) for column in later.pair)
    statistic, told = family.on_host.statistic(*earlier.pair)
    now_told = family.on_host.statistic(*later.pair)[1] > 0
    used = (told > 0) & now_told
    if not used.any():
        raise DataError("later: expected a unit with data in both periods, found none")
    parameters = {
        "partial_pooling": fit._units.moments(*earlier.pair)["mean"],
        "no_pooling": earlier.raw,
        "complete_pooling": np.full(len(earlier), statistic.sum() / told.sum()),
    }
    times = 1.0 if family.support == "reals" else sizes
    predicted = {name: times * values for name, values in parameters.items()}
    ends = _places(fit, later, now_told)
    pit = LooPit(ends[now_told, 0], ends[now_told, 1])
    columns = dict(zip(later.columns, later.pair, strict=True))
    places = {"below": ends[:, 0], "at_most": ends[:, 1]}
    units = Table({"label": earlier.labels, **columns, **predicted, **places})
    return Forecast(units, _scores(values, predicted, used, pit), pit)


def _places(
    fit: "Fit", later: Observations, told: Bool[np.ndarray, "units"]
) -> Float[np.ndarray, "units 2"]:
    """Both ends of each unit's place; 0 and 1 for a unit without later data."""
    ends = np.tile([0.0, 1.0], (len(later), 1))
    columns = (column.tolist() for column in (*fit.counts.pair, *later.pair))
    for j, (y, n, value, size) in enumerate(zip(*columns, strict=True)):
        if told[j]:
            ends[j] = places_among(fit._units, (y, n), np.array([value]), size)[0]
    return ends


def _scores(
    values: Float[np.ndarray, "units"],
    predicted: dict[str, Float[np.ndarray, "units"]],
    used: Bool[np.ndarray, "units"],
    pit: LooPit,
) -> Table:
    errors = {
        f"rmse_{name}": float(np.sqrt(np.mean((values - each)[used] ** 2)))
        for name, each in predicted.items()
    }
    levels = np.array(LEVELS)
    shares = pit.cdf((1 + levels) / 2) - pit.cdf((1 - levels) / 2)
    names = [f"coverage_{100 * level:g}" for level in LEVELS]
    difference = (values - predicted["partial_pooling"])[used]
    nothing = [np.nan] * len(errors)
    return Table(
        {
            "quantity": [*errors, "mean_error", *names],
            "value": [*errors.values(), difference.mean(), *shares],
            "expected": [*nothing, 0.0, *levels],
            "se": [
                *nothing,
                difference.std() / np.sqrt(len(difference)),
                *np.sqrt(levels * (1 - levels) / len(pit.low)),
            ],
        }
    )
