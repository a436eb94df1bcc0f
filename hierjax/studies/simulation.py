"""Many data sets drawn from known populations, with the rates that they were drawn from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float, Float64, Int64, Key
from scipy.special import expit

from hierjax.asked import counts_hyperprior, of_kind, whole_number
from hierjax.batch.data_sets import DataSets
from hierjax.counts import Counts
from hierjax.datasets.populations import Population
from hierjax.datasets.trials import TrialsDistribution
from hierjax.errors import DataError, ModelError
from hierjax.hyperpriors import Hyperprior
from hierjax.keys import require_key
from hierjax.observations import Observations

__all__ = ["Simulated", "simulate_batch", "simulate_like", "simulate_prior"]

# Data sets, and units of all of them, that share a generator: they do not depend on how many data
# sets are asked for.
_BLOCK, _BLOCK_UNITS = 256, 1 << 18
# Log concentrations whose exponential is a number; rates then differ in no digit.
_LARGEST = 600.0

Generated = tuple[
    Int64[np.ndarray, "batch units"],
    Float64[np.ndarray, "batch units"],
    Float64[np.ndarray, "batch 2"],
]


@dataclass(frozen=True, eq=False, repr=False)
class Simulated:
    """Data sets and the truth about them.

    Attributes:
        data_sets: The counts.
        rates: True rates; NaN beyond a data set's units.
        coordinates: True (logit_mean, log_concentration) of every data set; where the population
            is no Beta, those of the Beta with its mean and variance.
    """

    data_sets: DataSets
    rates: Float64[np.ndarray, "batch units"]
    coordinates: Float64[np.ndarray, "batch 2"]

    def __len__(self) -> int:
        return len(self.data_sets)

    def __repr__(self) -> str:
        return f"Simulated(data_sets={len(self)}, units={self.rates.shape[1]})"

    def first(self, data_sets: int) -> "Simulated":
        """The first of the data sets.

        Args:
            data_sets: How many.

        Raises:
            ConfigError: If there are not as many.
        """
        rows = slice(whole_number("data_sets", data_sets, most=len(self)))
        chosen = self.data_sets.select(rows)
        return Simulated(chosen, self.rates[rows], self.coordinates[rows])


def simulate_batch(
    key: Key[Array, ""],
    population: Population,
    *,
    units: int,
    trials: TrialsDistribution,
    data_sets: int,
) -> Simulated:
    """Draws data sets from one population.

    Draws are made on the host in double precision. A data set depends on the key and its position
    alone, not on how many there are: the first 200 of 10,000 are those of 200.

    Args:
        key: Typed random key.
        population: Where units' rates come from.
        units: Units of every data set, at least 2.
        trials: How many trials units have.
        data_sets: How many data sets.

    Returns:
        The data sets, and the truth.

    Raises:
        TypeError: If the key is not a single typed key.
        ConfigError: If units or data sets are not whole numbers of at least 2 and 1, or the
            population or the trials are none.

    Example:
        >>> import jax
        >>> from hierjax.datasets.populations import BetaPopulation
        >>> from hierjax.datasets.trials import UniformTrials
        >>> population, trials = BetaPopulation(2.3, 14.0), UniformTrials(10, 50)
        >>> simulate_batch(jax.random.key(0), population, units=70, trials=trials, data_sets=200)
        Simulated(data_sets=200, units=70)
    """
    of_kind("population", population, Population, "a population")
    of_kind("trials", trials, TrialsDistribution, "a distribution of trials")
    width = whole_number("units", units, 2)
    truth = np.array(population.coordinates(trials))

    def block(generator: np.random.Generator, index: int, size: int) -> Generated:
        n = trials.draw(generator, size, width)
        return n, population.rates(generator, n), np.tile(truth, (size, 1))

    return _simulated(key, width, data_sets, block)


def simulate_prior(
    key: Key[Array, ""],
    hyperprior: Hyperprior,
    *,
    units: int,
    trials: TrialsDistribution,
    data_sets: int,
) -> Simulated:
    """Draws data sets whose hyperparameters are themselves drawn, anew for each, from a hyperprior.

    Args:
        key: Typed random key.
        hyperprior: A proper one.
        units: Units of every data set, at least 2.
        trials: How many trials units have.
        data_sets: How many data sets; a data set does not depend on it.

    Returns:
        The data sets, and the truth.

    Raises:
        ModelError: If the hyperprior is improper.
        TypeError: If the key is not a single typed key.
        ConfigError: If units or data sets are not whole numbers of at least 2 and 1, the trials
            are none, or the hyperprior is another family's.

    Example:
        >>> import jax
        >>> import numpyro.distributions as dist
        >>> from hierjax.datasets.trials import FixedTrials
        >>> from hierjax.hyperpriors import Shapes
        >>> prior = Shapes(dist.LogNormal(1.0, 0.5), dist.LogNormal(2.0, 0.5))
        >>> found = simulate_prior(
        ...     jax.random.key(0), prior, units=10, trials=FixedTrials(20), data_sets=100
        ... )
        >>> found, found.coordinates.shape
        (Simulated(data_sets=100, units=10), (100, 2))
    """
    counts_hyperprior(hyperprior, "studies")
    sample = getattr(hyperprior, "sample", None)
    if not hyperprior.proper or sample is None:
        raise ModelError(
            "hyperprior: expected a proper one (mean_concentration or shapes), from which "
            f"hyperparameters can be drawn, found {hyperprior!r}"
        )
    of_kind("trials", trials, TrialsDistribution, "a distribution of trials")
    width = whole_number("units", units, 2)
    require_key(key)

    def block(generator: np.random.Generator, index: int, size: int) -> Generated:
        with jax.enable_x64(True):
            drawn = sample(jax.random.fold_in(key, index), (size,))
            truth = np.asarray(drawn, np.float64)
        n = trials.draw(generator, size, width)
        return n, _beta_rates(generator, truth, n), truth

    return _simulated(key, width, data_sets, block)


def simulate_like(
    key: Key[Array, ""],
    counts: Observations,
    coordinates: Float[np.ndarray, "2"],
    data_sets: int,
) -> Simulated:
    """Draws data sets like one's own: its units' trials, and rates from a fitted population.

    The parametric bootstrap of Laird & Louis (1987), *Journal of the American Statistical
    Association* 82, section 3.

    Args:
        key: Typed random key.
        counts: The data, unweighted.
        coordinates: Logit mean and log concentration of the fitted Beta; an infinite
            concentration gives all units one rate.
        data_sets: How many data sets; a data set does not depend on it.

    Returns:
        The data sets, and the truth.

    Raises:
        TypeError: If the key is not a single typed key.
        ConfigError: If data sets are not a whole number of at least 1.
        ModelError: If the coordinates are no population's.
        DataError: If the data are no counts, or units are weighted.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> rats = hj.datasets.rat_tumors()
        >>> simulate_like(jax.random.key(0), rats, np.array([-1.8, 2.8]), data_sets=100)
        Simulated(data_sets=100, units=70)
    """
    if not isinstance(counts, Counts):
        raise DataError(
            "counts: expected Counts, as studies know no other family, "
            f"found {type(counts).__name__}"
        )
    truth = np.asarray(coordinates, np.float64)
    if truth.shape != (2,) or not np.isfinite(truth[0]) or not truth[1] > -np.inf:
        raise ModelError(
            "coordinates: expected a finite logit mean and a log concentration, "
            f"found {truth.tolist()}"
        )
    if counts.weights is not None:
        raise DataError("counts: expected units without weights")

    def block(generator: np.random.Generator, index: int, size: int) -> Generated:
        n, tiled = np.tile(counts.trials, (size, 1)), np.tile(truth, (size, 1))
        return n, _beta_rates(generator, tiled, n), tiled

    return _simulated(key, len(counts), data_sets, block)


def _simulated(
    key: Key[Array, ""],
    units: int,
    data_sets: int,
    block: Callable[[np.random.Generator, int, int], Generated],
) -> Simulated:
    """Data sets block by block, each from a generator of its own."""
    total = whole_number("data_sets", data_sets)
    words = np.asarray(jax.random.key_data(require_key(key))).ravel().tolist()
    size = min(max(_BLOCK_UNITS // units, 1), _BLOCK)

    def parts() -> Iterator[tuple[np.ndarray, ...]]:
        for index in range(-(-total // size)):
            seeds = np.random.SeedSequence(words, spawn_key=(index,))
            generator = np.random.default_rng(seeds)
            n, rates, truth = block(generator, index, size)
            yield generator.binomial(n, rates), n, rates, truth

    y, n, rates, truth = (np.concatenate(column)[:total] for column in zip(*parts(), strict=True))
    return Simulated(DataSets(y, n), rates, truth)


def _beta_rates(
    generator: np.random.Generator,
    coordinates: Float64[np.ndarray, "batch 2"],
    trials: Int64[np.ndarray, "batch units"],
) -> Float64[np.ndarray, "batch units"]:
    """Rates from the Beta of each data set's coordinates; one rate where those are infinite."""
    eta, log_kappa = coordinates[:, :1], coordinates[:, 1:]
    pooled = np.isinf(log_kappa)
    kappa, tiny = np.exp(np.minimum(log_kappa, _LARGEST)), np.finfo(float).tiny
    alpha, beta = (np.maximum(kappa * expit(x), tiny) for x in (eta, -eta))
    rates = generator.beta(alpha, beta, trials.shape)
    return np.where(pooled, expit(eta), rates)
