"""Which units exceed a threshold: error probabilities, and lists with few false discoveries."""

import numpy as np
from jaxtyping import Float

from hierjax.families.protocol import AnyFamily
from hierjax.units.mixture import Mixture

__all__ = ["above_population_mean", "q_values"]


def q_values(pep: Float[np.ndarray, "units"]) -> Float[np.ndarray, "units"]:
    r"""Expected share of false discoveries among the units at least as sure as each.

    .. math:: q_j = \frac{\sum_i pep_i\, 1(pep_i \le pep_j)}{\sum_i 1(pep_i \le pep_j)}

    (Storey 2003, "The positive false discovery rate", sec. 4; Newton et al. 2004, "Detecting
    differential gene expression with a semiparametric hierarchical mixture method", sec. 4).
    Equal probabilities have equal q-values.

    Args:
        pep: Posterior error probability of each unit.

    Returns:
        q-values, never below a more certain unit's.

    Example:
        >>> q_values(np.array([0.01, 0.5, 0.03])).round(3).tolist()
        [0.01, 0.18, 0.02]
    """
    order = np.argsort(pep, kind="stable")
    means = np.cumsum(pep[order]) / np.arange(1, len(pep) + 1)
    # Of equal probabilities the last mean holds for all.
    last = np.searchsorted(pep[order], pep[order], side="right") - 1
    found = np.empty_like(means)
    found[order] = means[last]
    return found


def above_population_mean(
    family: AnyFamily,
    mixture: Mixture,
    y: Float[np.ndarray, "units"],
    n: Float[np.ndarray, "units"],
) -> Float[np.ndarray, "units"]:
    r"""P(theta_j > m), the population's mean m being uncertain as well.

    .. math:: \sum_s w_s P(\theta_j > m_s \mid \eta_s, y_j)

    Args:
        family: Conjugate family.
        mixture: Points of the hyperparameters.
        y: Value of every unit.
        n: Size.

    Returns:
        One probability for each unit.
    """
    kept = mixture.weights > 0
    points, weights = mixture.points[kept], mixture.weights[kept]
    found, host = np.empty(len(y)), family.on_host
    for j, pair in enumerate(zip(y, n, strict=True)):
        found[j] = weights @ host.above(host.shapes(points, *pair), points[:, 0])
    return found
