"""Simulated counties: deaths from a rare cause in populations of very different size."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from hierjax.errors import DataError
from hierjax.table import Table

if TYPE_CHECKING:
    import jax

__all__ = ["PERIODS", "simulate_counties", "simulated_counties"]

PERIODS = ("1980_84", "1985_89")
_COUNTIES, _STATES, _YEARS = 3000, 50, 5
_SMALLEST, _LARGEST = 1e3, 1e7
# Of the logarithm of populations, and of what they grow by from one period to the next.
_POPULATION, _GROWTH = (9.3, 1.3), (0.015, 0.08)


def simulate_counties(
    key: "jax.Array", *, counties: int = _COUNTIES, shape: float = 20.0, rate: float = 430_000.0
) -> tuple[Table, Float64[np.ndarray, " units"]]:
    r"""Simulates counties with their deaths in two periods of five years, at the same rates.

    .. math::
        \lambda_j \sim \mathrm{Gamma}(a, b), \qquad y_j \sim \mathrm{Poisson}(e_j \lambda_j)

    with person-years :math:`e_j` and the population of rates of Gelman et al., *Bayesian Data
    Analysis*, 3rd edition, section 2.7, Gamma(20, 430,000): 4.7 deaths in 100,000 person-years on
    average. Populations are log-normal, within 10^3 and 10^7 people. No number is that of a real
    county.

    Args:
        key: A typed key, as of ``jax.random.key``.
        counties: How many.
        shape: Shape a of the population of rates, positive.
        rate: Its rate b in person-years, positive.

    Returns:
        A table with columns ``fips``, ``county``, ``state``, and for both periods
        ``deaths_1980_84``, ``person_years_1980_84`` and so on; and the rates, of shape
        ``(units,)``.

    Raises:
        TypeError: If the key is not a single typed key.
        DataError: If a number is out of range.

    Examples:
        >>> import jax
        >>> table, rates = simulate_counties(jax.random.key(0), counties=3)
        >>> table["county"].tolist()[0], rates.shape
        ('simulated county 1', (3,))
    """
    import jax  # here, so that reading a table does not wait for it

    from hierjax.keys import require_key

    if counties < 1 or not (0 < shape < np.inf and 0 < rate < np.inf):
        raise DataError(
            "simulate_counties: expected one county or more and a positive, finite shape and rate, "
            f"found {counties} counties, shape {shape} and rate {rate}"
        )
    words = np.asarray(jax.random.key_data(require_key(key)))
    return _drawn(np.random.default_rng(words), counties, shape, rate)


def simulated_counties() -> Table:
    """The simulated counties that configurations know: the same 3,000 on every call.

    Examples:
        >>> len(simulated_counties()["fips"])
        3000
    """
    table, _ = _drawn(np.random.default_rng(27), _COUNTIES, 20.0, 430_000.0)
    return table


def _drawn(
    generator: np.random.Generator, counties: int, shape: float, rate: float
) -> tuple[Table, Float64[np.ndarray, " units"]]:
    rates = generator.gamma(shape, 1 / rate, size=counties)
    population = np.zeros(counties)
    while len(outside := np.flatnonzero((population < _SMALLEST) | (population > _LARGEST))):
        population[outside] = generator.lognormal(*_POPULATION, size=len(outside))
    number = np.arange(counties)
    columns: dict[str, Any] = {
        "fips": [f"simulated {j + 1}" for j in number],
        "county": [f"simulated county {j + 1}" for j in number],
        "state": [f"simulated state {j * _STATES // counties + 1}" for j in number],
    }
    for period in PERIODS:
        years = np.round(_YEARS * population)
        columns[f"deaths_{period}"] = generator.poisson(rates * years)
        columns[f"person_years_{period}"] = years.astype(np.int64)
        population = population * generator.lognormal(*_GROWTH, size=counties)
    return Table(columns), rates
