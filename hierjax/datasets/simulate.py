"""Counts drawn from the beta-binomial hierarchy."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from hierjax.counts import Counts
from hierjax.errors import DataError
from hierjax.validation import ArrayLike, whole_numbers

if TYPE_CHECKING:
    import jax


def simulate(
    key: "jax.Array", *, mean: float, concentration: float, trials: ArrayLike
) -> tuple[Counts, Float64[np.ndarray, " units"]]:
    r"""Draws units' rates from a beta population, and their successes given the rates.

    .. math::
        \theta_j \sim \mathrm{Beta}(m \kappa, (1 - m) \kappa), \qquad
        y_j \sim \mathrm{Binomial}(n_j, \theta_j)

    with the population's mean :math:`m` and concentration :math:`\kappa` (Gelman et al.,
    *Bayesian Data Analysis*, 3rd edition, section 5.3). The draws are made on the host in double
    precision, so they depend on the key alone, not on the device or on JAX's precision.

    Args:
        key: A typed key, as of ``jax.random.key``.
        mean: The population's mean, strictly between 0 and 1.
        concentration: The population's concentration, positive and finite.
        trials: Trials of each unit, shape ``(units,)``.

    Returns:
        The counts, and the rates that they were drawn from, shape ``(units,)``. A rate may round
        to 0 or 1 where the concentration is small.

    Raises:
        TypeError: If the key is not a single typed key.
        DataError: If the mean, the concentration or the trials are out of range.

    Examples:
        >>> import jax
        >>> counts, rates = simulate(
        ...     jax.random.key(0), mean=0.14, concentration=16.0, trials=[20, 20, 14]
        ... )
        >>> counts.trials.tolist(), rates.shape
        ([20, 20, 14], (3,))
    """
    import jax  # here, so that reading a table does not wait for it

    from hierjax.keys import require_key

    alpha, beta = mean * concentration, (1 - mean) * concentration
    if not (0 < alpha < np.inf and 0 < beta < np.inf):
        raise DataError(
            "simulate: expected a mean strictly between 0 and 1 and a positive, finite "
            f"concentration, found mean {mean} and concentration {concentration}"
        )
    checked = whole_numbers(trials, "trials")
    words = np.asarray(jax.random.key_data(require_key(key)))
    generator = np.random.default_rng(words)
    rates = generator.beta(alpha, beta, size=len(checked))
    return Counts(generator.binomial(checked, rates), checked), rates
