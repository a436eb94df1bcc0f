"""Gamma-Poisson: y ~ Poisson(e lambda), lambda ~ Gamma(shape, rate).

Everything is written in the mean m = shape / rate and the dispersion phi = 1 / rate, for one unit;
callers batch with `jax.vmap`. A Gamma's rate is a prior exposure, so phi has the exposures' unit
upside down, and phi = 0 (complete pooling) is an ordinary point.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Shaped

from hierjax.counts_of_counts import above, dense_length, size_class
from hierjax.families.diagram import Diagram
from hierjax.families.host_gamma import HostGamma
from hierjax.families.host_protocol import OnHost
from hierjax.families.hyperparameters import (
    IDENTITY,
    LOG,
    Direction,
    Hyperparameter,
    Hyperparameters,
    along_first,
    along_second,
)
from hierjax.families.protocol import Frame, Support
from hierjax.families.unit_words import EVENTS, UnitWords
from hierjax.families.words import Words
from hierjax.log_gamma import log_gamma_draws
from hierjax.special import LOG_SQRT_2PI, excess_ratio, log1p_ratio, stirling_remainder
from hierjax.tally import distinct_pairs

__all__ = ["GammaPoisson", "GammaPoissonTally", "Population", "Rate", "Seen"]

Scalar = Float[Array, ""]
Batch = Float[Array, "..."]


class Population(NamedTuple):
    """A Gamma distribution of rates: of all units, or of one unit given its data.

    Attributes:
        mean: m = shape / rate, positive: events per unit of exposure.
        dispersion: phi = 1 / rate, at least 0; 0 is complete pooling.
    """

    mean: Float[Array, "*batch"]
    dispersion: Float[Array, "*batch"]

    @property
    def shape(self) -> Float[Array, "*batch"]:
        """Shape parameter, m / phi."""
        return self.mean / self.dispersion

    @property
    def rate(self) -> Float[Array, "*batch"]:
        """Rate parameter, 1 / phi."""
        return 1 / self.dispersion

    @property
    def variance(self) -> Float[Array, "*batch"]:
        """m phi."""
        return self.mean * self.dispersion


class Rate(NamedTuple):
    """A rate as its logarithm: lambda itself may round to 0.

    Attributes:
        log: log lambda.
    """

    log: Float[Array, "*batch"]


class Seen(NamedTuple):
    """All that the hyperparameters see of the rates.

    Attributes:
        units: Number of units J.
        log_average: Log of the rates' average.
        scatter: Sum of r - 1 - log(r), with r a rate relative to that average.
    """

    units: Float[Array, "*batch"]
    log_average: Float[Array, "*batch"]
    scatter: Float[Array, "*batch"]


class GammaPoissonTally(NamedTuple):
    """All that the hyperparameters see of the units, padded to a few size classes.

    Given the hyperparameters, units of few events enter through counts of counts and, exposure by
    exposure, how many there are and how many events they have.

    Attributes:
        events_above: c_k, the weight of units with more than k events.
        exposures: Distinct exposures of these units; 0 in padding.
        exposure_units: Weight of the units with that exposure.
        exposure_events: Weighted sum of their events.
        typical_exposure: E, about the geometric mean exposure of an event.
        log_coefficient: Sum of y log(e / E) over these units: what is left of rounding E.
        pair_events: Events of the distinct pairs kept apart; 0 in padding.
        pair_exposures: Their exposures; 0 in padding.
        pair_multiplicity: The weight of units with that pair; 0 in padding.
        total_events: Weighted sum of all events.
        total_exposure: Weighted sum of all exposures.
        eventful: Weight of the units with events.
        weight: Weight of all units.
    """

    events_above: Float[Any, "counts"]
    exposures: Float[Any, "exposures"]
    exposure_units: Float[Any, "exposures"]
    exposure_events: Float[Any, "exposures"]
    typical_exposure: Float[Any, ""]
    log_coefficient: Float[Any, ""]
    pair_events: Float[Any, "pairs"]
    pair_exposures: Float[Any, "pairs"]
    pair_multiplicity: Float[Any, "pairs"]
    total_events: Float[Any, ""]
    total_exposure: Float[Any, ""]
    eventful: Float[Any, ""]
    weight: Float[Any, ""]

    @property
    def dtype(self) -> Any:
        """Floating type of the arrays."""
        return self.weight.dtype

    @property
    def terms(self) -> int:
        """Elements of a log-marginal."""
        return int(self.events_above.size + self.exposures.size + self.pair_events.size)


_LOG_MEAN = along_first("log_mean")
_LOG_CONCENTRATION = along_second("log_concentration")
_LOG_SHAPE = Direction("log_shape", 1.0, lambda u: u, np.ones_like)


def _distance(difference: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence of two Poisson means, exp(d) - 1 - d, relative to the first."""
    return jnp.expm1(difference) - difference


def _log_normalizer(population: Population) -> Batch:
    """What the log-density of a log-rate has beside the divergence."""
    m, phi = population
    return 0.5 * (jnp.log(m) - jnp.log(phi)) - LOG_SQRT_2PI - stirling_remainder(phi / m)


@dataclass(frozen=True)
class GammaPoisson:
    """The conjugate pair of Poisson counts and Gamma-distributed rates.

    Working coordinates are eta = (log_mean, log_concentration) = (log m, -log phi); the
    concentration is the Gamma's rate.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> family = GammaPoisson()
        >>> population = family.constrain(jnp.array([0.0, 0.0]))  # Gamma(1, 1)
        >>> events, exposure = jnp.array(2.0), jnp.array(1.0)
        >>> log_probability = jax.jit(family.log_marginal)(events, exposure, population)
        >>> print(f"{jnp.exp(log_probability):.4f}")  # 2^-(2 + 1)
        0.1250
    """

    name: ClassVar[str] = "gamma_poisson"
    support: ClassVar[Support] = "counts"
    columns: ClassVar[tuple[str, str]] = ("events", "exposures")
    limits: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    bend: ClassVar[float] = 0.0
    words: ClassVar[Words] = Words(
        *("rates", "Poisson noise", "Gamma", "variance over the mean", "1/rate")
    )
    coordinates: ClassVar[tuple[str, str]] = ("log_mean", "log_concentration")
    hyperparameters: ClassVar[Hyperparameters] = Hyperparameters(
        (
            Hyperparameter("log_mean", _LOG_MEAN, IDENTITY, "log(a / b)", "log of the mean rate"),
            Hyperparameter(
                *("log_concentration", _LOG_CONCENTRATION, IDENTITY, "log b", "log concentration")
            ),
            Hyperparameter("mean", _LOG_MEAN, LOG, "a / b", "mean rate", spreads=True),
            Hyperparameter(
                *("concentration", _LOG_CONCENTRATION, LOG, "b", "concentration"), grows=True
            ),
            Hyperparameter("shape", _LOG_SHAPE, LOG, "a", "shape", grows=True),
        )
    )
    unit_words: ClassVar[UnitWords] = EVENTS
    on_host: ClassVar[OnHost] = HostGamma()
    diagram: ClassVar[Diagram] = Diagram(
        (r"$a$", r"$b$"),
        r"$\lambda_j$",
        r"$y_j$",
        r"$e_j$",
        (
            r"$\lambda_j \sim \mathrm{Gamma}(a, b)$",
            r"$y_j \sim \mathrm{Poisson}(e_j \lambda_j)$",
        ),
        (
            "hyperparameters of the population, inferred",
            "rate of unit j, inferred",
            "events in an exposure of $e_j$, observed",
        ),
        r"$\lambda_j \sim \mathrm{Gamma}(a_g, b_g)$",
        (r"$\log a_g / b_g$", r"$\log b_g$"),
    )

    @staticmethod
    def constrain(eta: Float[Array, "2"]) -> Population:
        """Maps working coordinates to the population: m = exp(u), phi = exp(-w)."""
        return Population(jnp.exp(eta[0]), jnp.exp(-eta[1]))

    @staticmethod
    def unconstrain(population: Population) -> Float[Array, "2"]:
        """Maps a population to working coordinates; phi = 0 gives an infinite second one."""
        return jnp.stack([jnp.log(population.mean), -jnp.log(population.dispersion)])

    @staticmethod
    def constrain_unit(log_rate: Float[Array, "*batch"]) -> Rate:
        """A unit's rate from its logarithm."""
        return Rate(log_rate)

    @staticmethod
    def log_likelihood(events: Scalar, exposure: Scalar, rate: Rate) -> Scalar:
        r"""Poisson log-probability of a unit's events given its rate.

        .. math:: y\log(e\lambda) - e\lambda - \log y!

        Written as e times the Kullback-Leibler divergence of lambda from y/e, which does not
        cancel.

        Args:
            events: y >= 0.
            exposure: e >= 0.
            rate: log lambda.

        Returns:
            The log-probability.
        """
        seen = events > 0
        y, e = jnp.where(seen, events, 1.0), jnp.where(seen, exposure, 1.0)
        log_rate = jnp.where(seen, rate.log, 0.0)
        inside = _log_coefficient(events) - y * _distance(log_rate + (jnp.log(e) - jnp.log(y)))
        return jnp.where(seen, inside, -exposure * jnp.exp(jnp.where(seen, 0.0, rate.log)))

    @staticmethod
    def log_prior(rate: Rate, population: Population) -> Scalar:
        """Gamma log-density of a unit's rate, with respect to lambda, for phi > 0."""
        return GammaPoisson.log_prior_unconstrained(rate.log, population) - rate.log

    @staticmethod
    def log_prior_unconstrained(log_rate: Scalar, population: Population) -> Scalar:
        r"""Gamma log-density of a unit's rate with respect to its logarithm.

        .. math:: \log p(\log\lambda) = -\frac{KL(m \| \lambda)}{\phi}
            + \tfrac12\log\frac{m}{2\pi\phi} - \delta(\phi/m)

        with KL(m | lambda) = lambda - m - m log(lambda/m), of Poisson means, and delta the
        remainder of Stirling's formula; no log-gamma of a large argument is taken.
        """
        m, phi = population
        return _log_normalizer(population) - m / phi * _distance(log_rate - jnp.log(m))

    @staticmethod
    def log_joint(events: Scalar, exposure: Scalar, rate: Rate, population: Population) -> Scalar:
        """log p(y, lambda | shape, rate) of one unit: likelihood times prior."""
        likelihood = GammaPoisson.log_likelihood(events, exposure, rate)
        return likelihood + GammaPoisson.log_prior(rate, population)

    @staticmethod
    def log_marginal(events: Scalar, exposure: Scalar, population: Population) -> Scalar:
        r"""Negative binomial log-probability of a unit's events, lambda integrated out.

        .. math:: p(y \mid a, b) = \frac{\Gamma(a + y)}{\Gamma(a)\, y!}
            \Big(\frac{b}{b + e}\Big)^a \Big(\frac{e}{b + e}\Big)^y

        Written as minus two Kullback-Leibler divergences, of m and of y/e from the posterior mean
        q, plus Stirling remainders, so that it is accurate for exposures from 10^-3 to 10^9, in
        float32 too, and smooth in phi down to 0, where it is the Poisson probability.

        Args:
            events: y >= 0.
            exposure: e >= 0.
            population: The Gamma distribution; phi = 0 allowed.

        Returns:
            The log-probability; 0 when y = 0 and e = 0.
        """
        m, phi = population
        seen = events > 0
        y, e = jnp.where(seen, events, 1.0), jnp.where(seen, exposure, 1.0)
        growth, growth_seen = 1 + exposure * phi, 1 + e * phi
        over = (events - exposure * m) / growth  # e (y/e - q)
        relative = jnp.stack([-over / y, phi * over / m])
        one_plus = jnp.stack(
            [e * (m + y * phi) / (y * growth_seen), (m + events * phi) / (m * growth)]
        )
        divergence = over * (over * jnp.stack([1 / y, phi / m])) * excess_ratio(relative, one_plus)
        remainder = stirling_remainder(jnp.stack([phi / (m + events * phi), phi / m]))
        return (
            remainder[0]
            - remainder[1]
            - 0.5 * jnp.log1p(events * phi / m)
            - jnp.where(seen, divergence[0], -over)
            - divergence[1]
            + _log_coefficient(events)
        )

    @staticmethod
    def tally(
        events: Shaped[np.ndarray, "units"],
        exposures: Shaped[np.ndarray, "units"],
        multiplicity: Shaped[np.ndarray, "units"] | None = None,
        dtype: type = np.float64,
    ) -> GammaPoissonTally:
        """Tallies units on the host.

        Args:
            events: Whole numbers y >= 0.
            exposures: e > 0.
            multiplicity: Weights of the units; one unless given.
            dtype: Floating type of the arrays.

        Returns:
            Counts of counts for units of few events, pairs for the rest.
        """
        pairs, inverse = distinct_pairs(np.asarray(exposures), np.asarray(events))
        e, y = pairs.astype(np.float64)
        weight = np.bincount(inverse, multiplicity, minlength=len(y)).astype(np.float64)
        length = dense_length(y)
        few = y <= length
        distinct, place = np.unique(e[few], return_inverse=True)
        size = size_class(len(distinct), 8)
        units, sums = (np.bincount(place, x[few], minlength=size) for x in (weight, weight * y))
        log_e = np.log(np.where(y > 0, e, 1.0))
        total = max(sums.sum(), np.finfo(float).tiny)
        typical = np.exp((weight * y * log_e)[few].sum() / total).astype(dtype)
        left = (weight * y * (log_e - np.log(np.float64(typical))))[few].sum()
        padding = (0, size_class(int(np.sum(~few)), 8) - int(np.sum(~few)))
        arrays = (
            above(y[few].astype(int), weight[few], length),
            np.pad(distinct, (0, size - len(distinct))),
            *(units, sums, typical, left),
            *(np.pad(values[~few], padding) for values in (y, e, weight)),
            *(weight @ y, weight @ e, weight[y > 0].sum(), weight.sum()),
        )
        return GammaPoissonTally(*(np.asarray(values, dtype) for values in arrays))

    @staticmethod
    def log_marginal_tally(tally: GammaPoissonTally, population: Population) -> Scalar:
        r"""Log-marginal of all units, from their tally.

        .. math:: \log p(Y \mid a, b) = \sum_k c_k\log\frac{E (m + k\phi)}{k + 1}
            + \sum_j y_j \log\frac{e_j}{E}
            - \sum_j \Big(\frac{m}{\phi} + y_j\Big)\log(1 + e_j\phi)

        the last sum over distinct exposures, and the term in m/phi by log(1 + x)/x.

        Args:
            tally: Counts of counts, distinct exposures, and pairs for units of many events.
            population: The Gamma distribution; phi = 0 allowed.

        Returns:
            The log-marginal, factorials included; the cost grows with distinct exposures alone.
        """
        m, phi = population
        k = jnp.arange(tally.events_above.shape[0], dtype=phi.dtype)
        # Factorials divided out term by term: before they are summed, terms cancel in part.
        each = tally.typical_exposure * (m + k * phi) / (k + 1)
        scaled = tally.exposures * phi
        total = tally.log_coefficient + jnp.sum(tally.events_above * jnp.log(each))
        total -= jnp.sum(tally.exposure_events * jnp.log1p(scaled))
        total -= jnp.sum(tally.exposure_units * (m * tally.exposures) * log1p_ratio(scaled))
        if tally.pair_events.shape[0]:
            pairs = jax.vmap(GammaPoisson.log_marginal, in_axes=(0, 0, None))(
                tally.pair_events, tally.pair_exposures, population
            )
            total += jnp.sum(tally.pair_multiplicity * pairs)
        return total

    @staticmethod
    def update(events: Batch, exposure: Batch, population: Population) -> Population:
        r"""Conjugate update: the unit's posterior Gamma(shape + y, rate + e).

        .. math:: m' = \frac{m + y\phi}{1 + e\phi}, \qquad \phi' = \frac{\phi}{1 + e\phi}
        """
        m, phi = population
        growth = 1 + exposure * phi
        return Population((m + events * phi) / growth, phi / growth)

    @staticmethod
    def log_predictive(
        new_events: Scalar,
        new_exposure: Scalar,
        events: Scalar,
        exposure: Scalar,
        population: Population,
    ) -> Scalar:
        """Log-probability of a unit's next events, given those it has."""
        updated = GammaPoisson.update(events, exposure, population)
        return GammaPoisson.log_marginal(new_events, new_exposure, updated)

    @staticmethod
    def parameter_at(log_rate: Batch) -> Batch:
        """Lambda from its logarithm."""
        return jnp.exp(log_rate)

    @staticmethod
    def place_of(rate: Batch) -> Batch:
        """Log lambda."""
        return jnp.log(rate)

    @staticmethod
    def host_parameter_at(log_rate: Shaped[np.ndarray, "..."]) -> np.ndarray:
        """Lambda from its logarithm, by NumPy."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(log_rate))

    @staticmethod
    def host_place_of(rate: Shaped[np.ndarray, "..."]) -> np.ndarray:
        """Log lambda, by NumPy; infinite at 0."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(rate))

    @staticmethod
    def population_at(log_mean: Batch, dispersion: Batch) -> Population:
        """The Gamma distribution of given dispersion by the log of its mean."""
        return Population(*jnp.broadcast_arrays(jnp.exp(log_mean), dispersion))

    @staticmethod
    def statistic(events: Batch, exposure: Batch) -> tuple[Batch, Batch]:
        """Events and exposure as they are."""
        return events, exposure

    @staticmethod
    def variance_function(mean: Batch) -> Batch:
        """m, the variance of the events in one unit of exposure."""
        return mean

    @staticmethod
    def spread(population: Population) -> Batch:
        """1 / sqrt(shape), nearly the standard deviation of log-rates."""
        return jnp.sqrt(population.dispersion / population.mean)

    @staticmethod
    def tails(population: Population) -> tuple[Batch, Batch]:
        """The density of log-rates falls like exp(shape z), to the right faster than any."""
        return population.shape, jnp.full_like(population.mean, jnp.inf)

    @staticmethod
    def divergence(origin: Batch, log_rate: Batch) -> Batch:
        """Kullback-Leibler divergence of two Poisson distributions, by their log-means."""
        return jnp.exp(origin) * _distance(log_rate - origin)

    @staticmethod
    def excess(population: Population, log_rate: Batch) -> Batch:
        """m - lambda."""
        return population.mean - jnp.exp(log_rate)

    @staticmethod
    def draw(key: Key[Array, ""], population: Population) -> Batch:
        """Draws log-rates."""
        m, phi = population
        pooled = phi == 0
        safe = jnp.where(pooled, 1.0, phi)
        drawn = log_gamma_draws(key, m / safe) + jnp.log(safe)
        return jnp.where(pooled, jnp.log(m), drawn)

    @staticmethod
    def seen(log_rates: Float[Array, "*batch units"], present: Float[Array, "units"]) -> Seen:
        r"""What the population's density of all log-rates depends on.

        .. math:: \sum_j \frac{KL(m \| \lambda_j)}{m} = J\,KL(1 \| \bar\lambda / m)
            + \sum_j KL(1 \| \lambda_j / \bar\lambda)

        in which nothing cancels however alike the rates are.
        """
        units = jnp.sum(present)
        top = jnp.max(jnp.where(present > 0, log_rates, -jnp.inf), axis=-1, keepdims=True)
        total = jnp.sum(present * jnp.exp(log_rates - top), axis=-1)
        log_average = top[..., 0] + jnp.log(total / units)
        each = _distance(log_rates - log_average[..., None])
        scatter = jnp.sum(jnp.where(present > 0, present * each, 0.0), axis=-1)
        return Seen(jnp.broadcast_to(units, total.shape), log_average, scatter)

    @staticmethod
    def log_prior_units(seen: Seen, population: Population) -> Scalar:
        """Log-density of all units' log-rates, from what is seen of them, for phi > 0."""
        m, phi = population
        divergence = seen.units * _distance(seen.log_average - jnp.log(m)) + seen.scatter
        return seen.units * _log_normalizer(population) - m / phi * divergence

    @staticmethod
    def log_likelihood_kernel(events: Batch, exposure: Batch, log_rate: Batch) -> Batch:
        """What of the log-likelihood depends on the rate: y log(lambda) - e lambda."""
        return events * log_rate - exposure * jnp.exp(log_rate)

    @staticmethod
    def place(events: Batch, exposure: Batch, population: Population) -> tuple[Batch, Batch]:
        """Log of the posterior mean, and the posterior's spread."""
        posterior = GammaPoisson.update(events, exposure, population)
        return jnp.log(posterior.mean), GammaPoisson.spread(posterior)

    @staticmethod
    def no_maximum(
        events: Shaped[np.ndarray, "units"], exposures: Shaped[np.ndarray, "units"]
    ) -> str | None:
        """Says why the likelihood of these events has no maximum, if it has none."""
        if np.any(events):
            return None
        return "the likelihood has no maximum: no unit has events, so it rises as the mean falls"

    @staticmethod
    def pooled(tally: GammaPoissonTally) -> Scalar:
        """Log of all events over all exposure; infinite without events."""
        return jnp.log(tally.total_events) - jnp.log(tally.total_exposure)

    @staticmethod
    def start(tally: GammaPoissonTally) -> Scalar:
        """The same with half an event more."""
        return jnp.log(tally.total_events + 0.5) - jnp.log(tally.total_exposure)

    @staticmethod
    def frame(tally: GammaPoissonTally) -> Frame:
        """A shape of one at the mean of all: exposures may have any unit."""
        location = GammaPoisson.start(tally)
        return Frame(location, jnp.ones_like(location), -location)

    @staticmethod
    def informative(tally: GammaPoissonTally) -> Float[Any, ""]:
        """Weight of the units with events."""
        return tally.eventful

    @staticmethod
    def unit_variance(population: Population) -> Batch:
        """m."""
        return population.mean

    @staticmethod
    def location(population: Population) -> Batch:
        """Log of the mean."""
        return jnp.log(population.mean)

    @staticmethod
    def floored(population: Population, least: float) -> Population:
        """The mean not below a number."""
        return Population(jnp.maximum(population.mean, least), population.dispersion)

    @staticmethod
    def log_slope(log_rate: Batch) -> Batch:
        """Log lambda."""
        return log_rate

    @staticmethod
    def slopes(log_rate: Batch) -> tuple[Batch, Batch]:
        """Lambda, and 1."""
        return jnp.exp(log_rate), jnp.ones_like(log_rate)

    @staticmethod
    def ratio_below(events: Batch, exposure: Batch, population: Population) -> Batch:
        """Negative binomial probability of one event less, relative to that of so many."""
        m, phi = population
        below = exposure * (m + jnp.maximum(events - 1, 0.0) * phi)
        return events * (1 + exposure * phi) / below

    @staticmethod
    def draw_posterior(
        key: Key[Array, ""],
        points: Float[Array, "draws 2"],
        events: Float[Array, "units"],
        exposures: Float[Array, "units"],
    ) -> Float[Array, "draws units"]:
        """Draws all units' log-rates, given draws of the hyperparameters."""
        u, w = points[:, :1], points[:, 1:]
        drawn = log_gamma_draws(key, jnp.exp(u + w) + events)
        return drawn - jnp.log(jnp.exp(w) + exposures)


def _log_coefficient(events: Scalar) -> Scalar:
    """What the reciprocal of y! leaves beside -y log(y) + y."""
    y = jnp.where(events > 0, events, 1.0)
    value = -0.5 * jnp.log(y) - LOG_SQRT_2PI - stirling_remainder(1 / y)
    return jnp.where(events > 0, value, 0.0)
