"""Simulated labs: experiments of several laboratories that differ, each with a few animals."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from hierjax.errors import DataError
from hierjax.table import Table

if TYPE_CHECKING:
    import jax

__all__ = ["simulate_labs", "simulated_labs"]

_LABS, _MOST = 12, 10
_FEWEST_RATS, _MOST_RATS = 10, 50
# Of logit means and of log-concentrations.
_LOCATION, _LOG_CONCENTRATION = (-1.9, 0.6), (3.0, 0.5)


def simulate_labs(
    key: "jax.Array",
    *,
    labs: int = _LABS,
    location: tuple[float, float] = _LOCATION,
    log_concentration: tuple[float, float] = _LOG_CONCENTRATION,
) -> tuple[Table, Float64[np.ndarray, " units"]]:
    r"""Simulates experiments in labs: units in groups, and groups in a population of groups.

    .. math::
        u_g \sim N(\mu_u, \tau_u), \qquad w_g \sim N(\mu_w, \tau_w), \qquad
        \theta_j \sim \mathrm{Beta}(m \kappa, (1 - m) \kappa), \qquad
        y_j \sim \mathrm{Binomial}(n_j, \theta_j)

    with the mean :math:`m = 1 / (1 + e^{-u})` and the concentration :math:`\kappa = e^w` of the
    experiment's lab. A lab has 1 to 10 experiments, an experiment 10 to 50 rats. No number is that
    of a real lab.

    Args:
        key: A typed key, as of ``jax.random.key``.
        labs: How many.
        location: Mean and standard deviation of the labs' logit means.
        log_concentration: Mean and standard deviation of their log-concentrations.

    Returns:
        A table with columns ``lab``, ``experiment``, ``tumors`` and ``rats``, and the experiments'
        rates, of shape ``(units,)``.

    Raises:
        TypeError: If the key is not a single typed key.
        DataError: If a number is out of range.

    Examples:
        >>> import jax
        >>> table, rates = simulate_labs(jax.random.key(0), labs=2)
        >>> sorted(set(table["lab"].tolist())), len(table) == len(rates)
        (['simulated lab 1', 'simulated lab 2'], True)
    """
    import jax  # here, so that reading a table does not wait for it

    from hierjax.keys import require_key

    pairs = np.array([location, log_concentration], float)
    if labs < 1 or not np.isfinite(pairs).all() or (pairs[:, 1] < 0).any():
        raise DataError(
            "simulate_labs: expected one lab or more, and finite means with standard deviations of "
            f"at least 0, found {labs} labs, location {location} and log_concentration "
            f"{log_concentration}"
        )
    words = np.asarray(jax.random.key_data(require_key(key)))
    return _drawn(np.random.default_rng(words), labs, location, log_concentration)


def simulated_labs() -> Table:
    """The simulated labs that configurations know: the same 12 on every call.

    Examples:
        >>> len(set(simulated_labs()["lab"].tolist()))
        12
    """
    return _drawn(np.random.default_rng(5), _LABS, _LOCATION, _LOG_CONCENTRATION)[0]


def _drawn(
    generator: np.random.Generator,
    labs: int,
    location: tuple[float, float],
    log_concentration: tuple[float, float],
) -> tuple[Table, Float64[np.ndarray, " units"]]:
    sizes = generator.integers(1, _MOST + 1, labs)
    lab = np.repeat(np.arange(labs), sizes)
    mean = 1 / (1 + np.exp(-generator.normal(*location, labs)))
    concentration = np.exp(generator.normal(*log_concentration, labs))
    alpha, beta = mean * concentration, (1 - mean) * concentration
    rates = generator.beta(alpha[lab], beta[lab])
    rats = generator.integers(_FEWEST_RATS, _MOST_RATS + 1, len(lab))
    width = len(str(labs))
    columns = {
        "lab": [f"simulated lab {g + 1:0{width}}" for g in lab],
        "experiment": [f"{g + 1:0{width}}-{k + 1}" for g in range(labs) for k in range(sizes[g])],
        "tumors": generator.binomial(rats, rates),
        "rats": rats,
    }
    return Table(columns), rates
