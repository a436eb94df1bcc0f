"""How many of the highest rates methods find."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from hierjax.asked import whole_number
from hierjax.studies.answers import Answers, compared
from hierjax.studies.averages import ratio
from hierjax.studies.simulation import Simulated
from hierjax.table import Table

__all__ = ["top_table"]


def top_table(
    simulated: Simulated, answers: Mapping[str, Answers], sizes: Sequence[int] = (1, 5, 10)
) -> Table:
    """Which share of the k units of the highest true rates is among the k highest estimates.

    Among equal estimates, and equal true rates, any are taken with equal probability: the share
    is the expected one. Data sets of no more than k units are left out.

    Args:
        simulated: The data sets and the truth.
        answers: Answers by the method's name, for all data sets or the first of them.
        sizes: k, each a whole number above 0; of those that no data set exceeds there is no row.

    Returns:
        One row a method and k: `method`, `k`, `data_sets` that count, `recovered`,
        `recovered_mcse` (a Monte Carlo standard error) and `by_chance`, the share that k units
        taken at random would have.

    Raises:
        ConfigError: If a size is no whole number above 0.
        DataError: If answers are not for these data sets.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> from hierjax.studies.baselines import complete_pooling
        >>> from hierjax.studies.simulation import simulate_like
        >>> rats = hj.datasets.rat_tumors()
        >>> simulated = simulate_like(jax.random.key(0), rats, np.array([-1.8, 2.8]), 100)
        >>> answers = {"complete_pooling": complete_pooling(simulated, level=0.9)}
        >>> table = top_table(simulated, answers, sizes=[7])
        >>> print(f"{table['recovered'][0]:.6f} {table['by_chance'][0]:.6f}")
        0.100000 0.100000
    """
    sizes = [whole_number("sizes", size) for size in sizes]
    rows: list[tuple[str, int, int, float, float, float]] = []
    for each in compared(simulated, answers):
        lengths = each.truth.data_sets.sizes
        for k in sizes:
            rows_used = each.found & (lengths > k)
            if not rows_used.any():
                continue
            present = each.truth.data_sets.present[rows_used]
            true, estimated = (
                np.where(present, np.nan_to_num(values[rows_used], nan=-1.0), -np.inf)
                for values in (each.truth.rates, each.answers.mean)
            )
            shared = (_among(true, k) * _among(estimated, k)).sum(axis=1)
            recovered = ratio(shared, np.full(len(shared), float(k)))
            by_chance = float(np.mean(k / lengths[rows_used]))
            rows.append((each.method, k, len(shared), *recovered, by_chance))
    names = ("method", "k", "data_sets", "recovered", "recovered_mcse", "by_chance")
    return Table({name: [row[i] for row in rows] for i, name in enumerate(names)})


def _among(values: Float[np.ndarray, "batch units"], k: int) -> Float[np.ndarray, "batch units"]:
    """Probability that each unit is among the k highest of its data set, ties broken at random."""
    last = np.partition(values, -k, axis=1)[:, -k, None]
    above, tied = values > last, values == last
    left = k - above.sum(axis=1, keepdims=True)
    return above + tied * (left / tied.sum(axis=1, keepdims=True))
