"""How well methods do on simulated data sets: coverage, errors, rank recovery and failures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hierjax.asked import probability, whole_number
from hierjax.inference.result import Status
from hierjax.studies.answers import Answers, Compared, compared
from hierjax.studies.averages import ratio, root
from hierjax.studies.baselines import complete_pooling, no_pooling, pooled_rates, raw_rates
from hierjax.studies.hyper_coverage import hyper_table
from hierjax.studies.rank_recovery import top_table
from hierjax.studies.simulation import Simulated
from hierjax.table import Table

__all__ = [
    "Answers",
    "complete_pooling",
    "hyper_table",
    "no_pooling",
    "size_table",
    "status_table",
    "top_table",
    "unit_table",
]


def unit_table(simulated: Simulated, answers: Mapping[str, Answers], level: float) -> Table:
    """Coverage and length of units' intervals, bias and RMSE of units' estimates, by method.

    Averages are over units, standard errors over data sets, whose units are dependent. Data sets
    on which a method failed are left out and counted. Raw rates (successes over trials) and the
    pooled rate are compared with on the same units.

    Args:
        simulated: The data sets and the truth.
        answers: Answers by the method's name, for all data sets or the first of them.
        level: Probability that the intervals were made for.

    Returns:
        One row a method: `method`, `data_sets` that count, `failed`, `level`, `coverage`,
        `coverage_mcse`, `length`, `length_mcse`, `bias`, `bias_mcse`, `rmse`, `rmse_mcse`,
        `rmse_over_raw`, `rmse_over_raw_mcse`, `rmse_over_pooled`, `rmse_over_pooled_mcse`; all
        that ends in `mcse` is a Monte Carlo standard error.

    Raises:
        ConfigError: If the level is not inside (0, 1).
        DataError: If answers are not for these data sets.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> from hierjax.studies.simulation import simulate_like
        >>> rats = hj.datasets.rat_tumors()
        >>> simulated = simulate_like(jax.random.key(0), rats, np.array([-1.8, 2.8]), 100)
        >>> answers = {"no_pooling": no_pooling(simulated, level=0.9)}
        >>> unit_table(simulated, answers, level=0.9)["rmse_over_raw"].tolist()
        [1.0]
    """
    level = probability("level", level)

    def row(each: Compared) -> dict[str, Any]:
        error = each.answers.mean - each.truth.rates
        raw = raw_rates(each.truth) - each.truth.rates
        pooled = pooled_rates(each.truth)[:, None] - each.truth.rates
        bias = _average(error, each.used & np.isfinite(error))
        return {
            **each.counts,
            "level": level,
            **_intervals(each, each.used),
            "bias": bias[0],
            "bias_mcse": bias[1],
            **_errors(each, each.used),
            **_named("rmse_over_raw", _relative(error, raw, each.used)),
            **_named("rmse_over_pooled", _relative(error, pooled, each.used)),
        }

    return _table([row(each) for each in compared(simulated, answers)])


def size_table(
    simulated: Simulated, answers: Mapping[str, Answers], level: float, *, bins: int = 5
) -> Table:
    """Coverage, length and RMSE by the size of the unit: its number of trials.

    Args:
        simulated: The data sets and the truth.
        answers: Answers by the method's name, for all data sets or the first of them.
        level: Probability that the intervals were made for.
        bins: Into how many sizes of about as many units each; fewer where trials have fewer
            different values.

    Returns:
        One row a method and size: `method`, `trials_low` and `trials_high` (both in it), `units`
        that count, `level`, `coverage`, `coverage_mcse`, `length`, `length_mcse`, `rmse`,
        `rmse_mcse`.

    Raises:
        ConfigError: If the level is not inside (0, 1), or the bins no whole number above 0.
        DataError: If answers are not for these data sets.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> from hierjax.studies.simulation import simulate_like
        >>> rats = hj.datasets.rat_tumors()
        >>> simulated = simulate_like(jax.random.key(0), rats, np.array([-1.8, 2.8]), 100)
        >>> answers = {"no_pooling": no_pooling(simulated, level=0.9)}
        >>> table = size_table(simulated, answers, level=0.9, bins=3)
        >>> table["trials_low"].tolist(), table["trials_high"].tolist()
        ([10, 22], [20, 52])
    """
    level, bins = probability("level", level), whole_number("bins", bins)
    trials = simulated.data_sets.trials
    sizes = _sizes(trials[simulated.data_sets.present], bins)
    rows = []
    for each in compared(simulated, answers):
        n = each.truth.data_sets.trials
        for low, high in sizes:
            used = each.used & (n >= low) & (n <= high)
            rows.append(
                {
                    "method": each.method,
                    "trials_low": low,
                    "trials_high": high,
                    "units": int(used.sum()),
                    "level": level,
                    **_intervals(each, used),
                    **_errors(each, used),
                }
            )
    return _table(rows)


def status_table(answers: Mapping[str, Answers]) -> Table:
    """How many data sets went how, by method.

    Args:
        answers: Answers by the method's name.

    Returns:
        One row a method and status, whether or not it occurred: `method`, `status`, `data_sets`.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> from hierjax.studies.simulation import simulate_like
        >>> rats = hj.datasets.rat_tumors()
        >>> simulated = simulate_like(jax.random.key(0), rats, np.array([-1.8, 2.8]), 10)
        >>> print(status_table({"no_pooling": no_pooling(simulated, level=0.9)}).to_csv(), end="")
        method,status,data_sets
        no_pooling,converged,10
        no_pooling,boundary,0
        no_pooling,not_converged,0
        no_pooling,failed,0
    """
    rows = [
        {"method": name, "status": status, "data_sets": int((given.status == status).sum())}
        for name, given in answers.items()
        for status in map(str, Status)
    ]
    return _table(rows)


def _table(rows: list[dict[str, Any]]) -> Table:
    return Table({name: [row[name] for row in rows] for name in (rows[0] if rows else {})})


def _named(name: str, value: tuple[float, float]) -> dict[str, float]:
    return {name: value[0], f"{name}_mcse": value[1]}


def _average(
    values: Float[np.ndarray, "batch units"], used: Bool[np.ndarray, "batch units"]
) -> tuple[float, float]:
    sums = np.where(used, values, 0.0).sum(axis=1)
    return ratio(sums, used.sum(axis=1).astype(float))


def _intervals(each: Compared, used: Bool[np.ndarray, "batch units"]) -> dict[str, float]:
    low, high, rates = each.answers.low, each.answers.high, each.truth.rates
    used = used & np.isfinite(low) & np.isfinite(high)
    covered = ((low <= rates) & (rates <= high)).astype(float)
    return {
        **_named("coverage", _average(covered, used)),
        **_named("length", _average(high - low, used)),
    }


def _errors(each: Compared, used: Bool[np.ndarray, "batch units"]) -> dict[str, float]:
    error = each.answers.mean - each.truth.rates
    return _named("rmse", root(*_average(error**2, used & np.isfinite(error))))


def _relative(
    error: Float[np.ndarray, "batch units"],
    other: Float[np.ndarray, "batch units"],
    used: Bool[np.ndarray, "batch units"],
) -> tuple[float, float]:
    """RMSE over another one, of units for which both have an estimate."""
    used = used & np.isfinite(error) & np.isfinite(other)
    squares = (np.where(used, x**2, 0.0).sum(axis=1) for x in (error, other))
    return root(*ratio(*squares))


def _sizes(trials: Int[np.ndarray, "units"], bins: int) -> list[tuple[int, int]]:
    """Smallest and largest number of trials of sizes of about as many units each."""
    values = np.unique(trials)
    ends = values
    if len(values) > bins:
        levels = np.arange(1, bins + 1) / bins
        ends = np.unique(np.quantile(trials, levels, method="inverted_cdf"))
    places = np.searchsorted(values, ends)
    starts = values[np.concatenate([[0], places[:-1] + 1])]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))
