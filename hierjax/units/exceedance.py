"""Which units exceed a threshold: error probabilities, and lists with few false discoveries."""

import numpy as np
from jaxtyping import Float
from scipy.special import betainc

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
    mixture: Mixture, y: Float[np.ndarray, "units"], n: Float[np.ndarray, "units"]
) -> Float[np.ndarray, "units"]:
    r"""P(theta_j > m), the population's mean m being uncertain as well.

    .. math:: \sum_s w_s \{1 - I_{m_s}(\alpha_s + y, \beta_s + n - y)\}

    Args:
        mixture: Points of the hyperparameters.
        y: Successes of every unit.
        n: Trials.

    Returns:
        One probability for each unit.
    """
    kept = mixture.weights > 0
    u, w = mixture.points[kept].T
    mean, rest, concentration = 1 / (1 + np.exp(-u)), 1 / (1 + np.exp(u)), np.exp(w)
    found = np.empty(len(y))
    for j, (successes, trials) in enumerate(zip(y, n, strict=True)):
        alpha, beta = mean * concentration + successes, rest * concentration + trials - successes
        # The complement's own function keeps the digits of small probabilities.
        found[j] = mixture.weights[kept] @ betainc(beta, alpha, rest)
    return found
