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
from jaxtyping import Array, Float, Shaped

from hierjax.counts_of_counts import above, dense_length, size_class
from hierjax.families.diagram import Diagram
from hierjax.families.host_gamma import HostGamma
from hierjax.families.hyperparameters import (
    IDENTITY,
    LOG,
    Direction,
    Hyperparameter,
    Hyperparameters,
    along_first,
    along_second,
)
from hierjax.families.protocol import Support
from hierjax.special import LOG_SQRT_2PI, excess_ratio, log1p_ratio, stirling_remainder
from hierjax.tally import distinct_pairs

__all__ = ["GammaPoisson", "GammaPoissonTally", "Population", "Rate"]

Scalar = Float[Array, ""]


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


_LOG_MEAN = along_first("log_mean")
_LOG_CONCENTRATION = along_second("log_concentration")
_LOG_SHAPE = Direction("log_shape", 1.0, lambda u: u, np.ones_like)


def _distance(difference: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence of two Poisson means, exp(d) - 1 - d, relative to the first."""
    return jnp.expm1(difference) - difference


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
    coordinates: ClassVar[tuple[str, str]] = ("log_mean", "log_concentration")
    hyperparameters: ClassVar[Hyperparameters] = Hyperparameters(
        (
            Hyperparameter("log_mean", _LOG_MEAN, IDENTITY, "log(a / b)", "log of the mean rate"),
            Hyperparameter(
                *("log_concentration", _LOG_CONCENTRATION, IDENTITY, "log b", "log concentration")
            ),
            Hyperparameter("mean", _LOG_MEAN, LOG, "a / b", "mean rate"),
            Hyperparameter(
                *("concentration", _LOG_CONCENTRATION, LOG, "b", "concentration"), grows=True
            ),
            Hyperparameter("shape", _LOG_SHAPE, LOG, "a", "shape", grows=True),
        )
    )
    on_host: ClassVar[HostGamma] = HostGamma()
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
        log_mean = jnp.log(m)
        normalizer = 0.5 * (log_mean - jnp.log(phi)) - LOG_SQRT_2PI - stirling_remainder(phi / m)
        return normalizer - m / phi * _distance(log_rate - log_mean)

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
    def update(events: Scalar, exposure: Scalar, population: Population) -> Population:
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


def _log_coefficient(events: Scalar) -> Scalar:
    """What the reciprocal of y! leaves beside -y log(y) + y."""
    y = jnp.where(events > 0, events, 1.0)
    value = -0.5 * jnp.log(y) - LOG_SQRT_2PI - stirling_remainder(1 / y)
    return jnp.where(events > 0, value, 0.0)
