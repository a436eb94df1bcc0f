"""Normal-normal: y ~ Normal(theta, s) with s known, theta ~ Normal(mu, tau).

Everything is written in the mean mu and the dispersion phi = tau^2, for one unit; callers batch
with `jax.vmap`. Tau = 0 (complete pooling) is an ordinary point.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Shaped

from hierjax.counts_of_counts import size_class
from hierjax.families.diagram import Diagram
from hierjax.families.host_normal import HostNormal
from hierjax.families.host_protocol import OnHost
from hierjax.families.hyperparameters import (
    IDENTITY,
    LOG,
    Hyperparameter,
    Hyperparameters,
    along_first,
    along_second,
)
from hierjax.families.protocol import Frame, Support
from hierjax.families.unit_words import MEASUREMENTS, UnitWords
from hierjax.families.words import Words
from hierjax.special import LOG_SQRT_2PI

__all__ = ["Effect", "NormalNormal", "NormalTally", "Population", "Seen"]

Scalar = Float[Array, ""]
Batch = Float[Array, "..."]


class Population(NamedTuple):
    """A normal distribution of effects: of all units, or of one unit given its data.

    Attributes:
        mean: mu.
        dispersion: phi = tau^2, at least 0; 0 is complete pooling.
    """

    mean: Float[Array, "*batch"]
    dispersion: Float[Array, "*batch"]

    @property
    def tau(self) -> Float[Array, "*batch"]:
        """Standard deviation tau."""
        return jnp.sqrt(self.dispersion)

    @property
    def variance(self) -> Float[Array, "*batch"]:
        """phi itself."""
        return self.dispersion


class Effect(NamedTuple):
    """What a unit has of its own.

    Attributes:
        value: theta.
    """

    value: Float[Array, "*batch"]


class Seen(NamedTuple):
    """All that the hyperparameters see of the effects.

    Attributes:
        units: Number of units J.
        average: The effects' average.
        squares: Sum of their squared distances from it.
    """

    units: Float[Array, "*batch"]
    average: Float[Array, "*batch"]
    squares: Float[Array, "*batch"]


class NormalTally(NamedTuple):
    """All that the hyperparameters see of the units, padded to a few size classes.

    Attributes:
        errors: Distinct standard errors s; 1 in padding.
        units: Weight of the units with that error; 0 in padding.
        means: Weighted mean of their values; 0 in padding.
        squares: Weighted sum of squared distances from it.
    """

    errors: Float[Any, "errors"]
    units: Float[Any, "errors"]
    means: Float[Any, "errors"]
    squares: Float[Any, "errors"]

    @property
    def dtype(self) -> Any:
        """Floating type of the arrays."""
        return self.errors.dtype

    @property
    def weight(self) -> Float[Any, ""]:
        """Weight of all units."""
        return self.units.sum(axis=-1)

    @property
    def terms(self) -> int:
        """Elements of a log-marginal."""
        return int(self.errors.size)


_MEAN = along_first("mean")
_LOG_CONCENTRATION = along_second("log_concentration")
_LOG_TAU = along_second("log_tau", -0.5)


def _log_normal(
    difference: Float[Array, "*batch"], variance: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Normal log-density at a distance from the mean."""
    standard = difference / jnp.sqrt(variance)
    return -0.5 * (standard * standard + jnp.log(variance)) - LOG_SQRT_2PI


@dataclass(frozen=True)
class NormalNormal:
    """The conjugate pair of normal measurements and normally distributed effects.

    Working coordinates are eta = (mean, log_concentration) = (mu, -2 log tau); the concentration
    is the population's precision.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> family = NormalNormal()
        >>> population = family.constrain(jnp.array([1.0, -jnp.log(9.0)]))  # Normal(1, 3)
        >>> value, error = jnp.array(1.0), jnp.array(4.0)
        >>> log_density = jax.jit(family.log_marginal)(value, error, population)
        >>> print(f"{jnp.exp(log_density):.4f}")  # 1 / (5 sqrt(2 pi))
        0.0798
    """

    name: ClassVar[str] = "normal_normal"
    support: ClassVar[Support] = "reals"
    columns: ClassVar[tuple[str, str]] = ("values", "errors")
    limits: ClassVar[tuple[float, float]] = (float("-inf"), float("inf"))
    bend: ClassVar[float] = 0.0
    words: ClassVar[Words] = Words(
        *("effects", "their standard errors", "normal distribution"),
        *("variance of effects", "tau^2"),
    )
    coordinates: ClassVar[tuple[str, str]] = ("mean", "log_concentration")
    hyperparameters: ClassVar[Hyperparameters] = Hyperparameters(
        (
            Hyperparameter("mean", _MEAN, IDENTITY, "μ", "mean effect", spreads=True),
            Hyperparameter(
                *("log_concentration", _LOG_CONCENTRATION, IDENTITY),
                *("-2 log τ", "log concentration"),
            ),
            Hyperparameter(
                *("concentration", _LOG_CONCENTRATION, LOG, "1 / τ²", "concentration"), grows=True
            ),
            Hyperparameter(
                *("tau", _LOG_TAU, LOG, "τ", "standard deviation of the effects"), spreads=True
            ),
        )
    )
    unit_words: ClassVar[UnitWords] = MEASUREMENTS
    on_host: ClassVar[OnHost] = HostNormal()
    diagram: ClassVar[Diagram] = Diagram(
        (r"$\mu$", r"$\tau$"),
        r"$\theta_j$",
        r"$y_j$",
        r"$s_j$",
        (
            r"$\theta_j \sim \mathrm{Normal}(\mu, \tau)$",
            r"$y_j \sim \mathrm{Normal}(\theta_j, s_j)$",
        ),
        (
            "hyperparameters of the population, inferred",
            "effect of unit j, inferred",
            "measurement with standard error $s_j$, observed",
        ),
        r"$\theta_j \sim \mathrm{Normal}(\mu_g, \tau_g)$",
        (r"$\mu_g$", r"$-2 \log \tau_g$"),
    )

    @staticmethod
    def constrain(eta: Float[Array, "2"]) -> Population:
        """Maps working coordinates to the population: mu = u, phi = exp(-w)."""
        return Population(eta[0], jnp.exp(-eta[1]))

    @staticmethod
    def unconstrain(population: Population) -> Float[Array, "2"]:
        """Maps a population to working coordinates; phi = 0 gives an infinite second one."""
        return jnp.stack([population.mean, -jnp.log(population.dispersion)])

    @staticmethod
    def constrain_unit(value: Float[Array, "*batch"]) -> Effect:
        """A unit's effect, which has no bounds."""
        return Effect(value)

    @staticmethod
    def log_likelihood(value: Scalar, error: Scalar, effect: Effect) -> Scalar:
        r"""Normal log-density of a unit's measurement given its effect.

        .. math:: -\frac{(y - \theta)^2}{2 s^2} - \log s - \tfrac12\log 2\pi

        Args:
            value: y.
            error: s > 0.
            effect: theta.

        Returns:
            The log-density.
        """
        standard = (value - effect.value) / error
        return -0.5 * standard * standard - jnp.log(error) - LOG_SQRT_2PI

    @staticmethod
    def log_prior(effect: Effect, population: Population) -> Scalar:
        """Normal log-density of a unit's effect, for tau > 0."""
        return _log_normal(effect.value - population.mean, population.dispersion)

    @staticmethod
    def log_prior_unconstrained(value: Scalar, population: Population) -> Scalar:
        """The same: an effect has no bounds."""
        return NormalNormal.log_prior(Effect(value), population)

    @staticmethod
    def log_joint(value: Scalar, error: Scalar, effect: Effect, population: Population) -> Scalar:
        """log p(y, theta | mu, tau) of one unit: likelihood times prior."""
        likelihood = NormalNormal.log_likelihood(value, error, effect)
        return likelihood + NormalNormal.log_prior(effect, population)

    @staticmethod
    def log_marginal(value: Scalar, error: Scalar, population: Population) -> Scalar:
        r"""Normal log-density of a unit's measurement, theta integrated out.

        .. math:: y \sim \mathrm{Normal}\big(\mu, \sqrt{s^2 + \tau^2}\big)

        Args:
            value: y.
            error: s > 0.
            population: The normal distribution; tau = 0 allowed.

        Returns:
            The log-density.
        """
        return _log_normal(value - population.mean, error * error + population.dispersion)

    @staticmethod
    def tally(
        values: Shaped[np.ndarray, "units"],
        errors: Shaped[np.ndarray, "units"],
        multiplicity: Shaped[np.ndarray, "units"] | None = None,
        dtype: type = np.float64,
    ) -> NormalTally:
        """Tallies units on the host.

        Args:
            values: y.
            errors: s > 0.
            multiplicity: Weights of the units; one unless given.
            dtype: Floating type of the arrays.

        Returns:
            Sufficient statistics, one row a distinct error.
        """
        y, weight = np.asarray(values, np.float64), multiplicity
        weight = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
        distinct, place = np.unique(np.asarray(errors, np.float64), return_inverse=True)
        size = size_class(len(distinct), 8)
        units, sums = (np.bincount(place, x, minlength=size) for x in (weight, weight * y))
        means = sums / np.where(units > 0, units, 1.0)
        squares = np.bincount(place, weight * (y - means[place]) ** 2, minlength=size)
        padded = np.pad(distinct, (0, size - len(distinct)), constant_values=1.0)
        return NormalTally(*(np.asarray(x, dtype) for x in (padded, units, means, squares)))

    @staticmethod
    def log_marginal_tally(tally: NormalTally, population: Population) -> Scalar:
        r"""Log-marginal of all units, from their tally.

        .. math:: \log p(Y \mid \mu, \tau) = \sum_s M_s \log\mathrm{Normal}\big(\bar y_s \mid \mu,
            \sqrt{s^2 + \tau^2}\big) - \frac{S_s}{2(s^2 + \tau^2)}

        Args:
            tally: Number, mean and squares of the units of every standard error.
            population: The normal distribution; tau = 0 allowed.

        Returns:
            The log-marginal; the cost grows with distinct standard errors alone.
        """
        variance = tally.errors * tally.errors + population.dispersion
        return jnp.sum(
            tally.units * _log_normal(tally.means - population.mean, variance)
            - 0.5 * tally.squares / variance
        )

    @staticmethod
    def update(value: Batch, error: Batch, population: Population) -> Population:
        r"""Conjugate update: the unit's posterior.

        .. math:: \mu' = \mu + \frac{\tau^2}{s^2 + \tau^2}(y - \mu), \qquad
            \frac{1}{\tau'^2} = \frac{1}{\tau^2} + \frac{1}{s^2}
        """
        mean, phi = population
        noise = error * error
        share, rest = phi / (noise + phi), 1 / (1 + phi / noise)
        # From whichever of the two is closer, so that neither is lost in the other.
        moved = jnp.where(share < 0.5, mean + share * (value - mean), value - rest * (value - mean))
        return Population(moved, phi * rest)

    @staticmethod
    def log_predictive(
        new_value: Scalar,
        new_error: Scalar,
        value: Scalar,
        error: Scalar,
        population: Population,
    ) -> Scalar:
        """Log-density of a unit's next measurement, given the one it has."""
        updated = NormalNormal.update(value, error, population)
        return NormalNormal.log_marginal(new_value, new_error, updated)

    @staticmethod
    def parameter_at(value: Batch) -> Batch:
        """An effect has no bounds."""
        return value

    @staticmethod
    def place_of(value: Batch) -> Batch:
        """An effect has no bounds."""
        return value

    @staticmethod
    def host_parameter_at(value: Shaped[np.ndarray, "..."]) -> np.ndarray:
        """An effect has no bounds."""
        return np.asarray(value)

    @staticmethod
    def host_place_of(value: Shaped[np.ndarray, "..."]) -> np.ndarray:
        """An effect has no bounds."""
        return np.asarray(value)

    @staticmethod
    def population_at(mean: Batch, dispersion: Batch) -> Population:
        """The normal distribution of given mean and variance."""
        return Population(*jnp.broadcast_arrays(mean, dispersion))

    @staticmethod
    def statistic(value: Batch, error: Batch) -> tuple[Batch, Batch]:
        """y / s^2 and the precision 1 / s^2."""
        return value / (error * error), 1 / (error * error)

    @staticmethod
    def variance_function(mean: Batch) -> Batch:
        """One, the variance of a measurement of weight one."""
        return jnp.ones_like(mean)

    @staticmethod
    def spread(population: Population) -> Batch:
        """Tau itself."""
        return population.tau

    @staticmethod
    def tails(population: Population) -> tuple[Batch, Batch]:
        """Both fall faster than any exponential."""
        tail = jnp.full_like(population.mean, jnp.inf)
        return tail, tail

    @staticmethod
    def divergence(origin: Batch, value: Batch) -> Batch:
        """Kullback-Leibler divergence of normal distributions of variance one."""
        return 0.5 * (value - origin) ** 2

    @staticmethod
    def excess(population: Population, value: Batch) -> Batch:
        """Mu - theta."""
        return population.mean - value

    @staticmethod
    def draw(key: Key[Array, ""], population: Population) -> Batch:
        """Draws effects."""
        mean, tau = jnp.broadcast_arrays(population.mean, population.tau)
        return mean + tau * jax.random.normal(key, mean.shape, mean.dtype)

    @staticmethod
    def seen(values: Float[Array, "*batch units"], present: Float[Array, "units"]) -> Seen:
        """The effects' average and their squared distances from it."""
        units = jnp.sum(present)
        average = jnp.sum(present * values, axis=-1) / units
        squares = jnp.sum(present * (values - average[..., None]) ** 2, axis=-1)
        return Seen(jnp.broadcast_to(units, average.shape), average, squares)

    @staticmethod
    def log_prior_units(seen: Seen, population: Population) -> Scalar:
        """Log-density of all units' effects, from what is seen of them, for tau > 0."""
        variance = population.dispersion
        normal = _log_normal(seen.average - population.mean, variance)
        return seen.units * normal - 0.5 * seen.squares / variance

    @staticmethod
    def log_likelihood_kernel(value: Batch, error: Batch, effect: Batch) -> Batch:
        """What of the log-likelihood depends on the effect."""
        return -0.5 * ((value - effect) / error) ** 2

    @staticmethod
    def place(value: Batch, error: Batch, population: Population) -> tuple[Batch, Batch]:
        """Mean and standard deviation of the posterior."""
        posterior = NormalNormal.update(value, error, population)
        return posterior.mean, posterior.tau

    @staticmethod
    def no_maximum(
        values: Shaped[np.ndarray, "units"], errors: Shaped[np.ndarray, "units"]
    ) -> str | None:
        """The likelihood always has a maximum."""
        return None

    @staticmethod
    def pooled(tally: NormalTally) -> Scalar:
        """The mean of all values, weighted by precision."""
        weights = tally.units / (tally.errors * tally.errors)
        origin = tally.means[..., 0]
        return origin + jnp.sum(weights * (tally.means - origin)) / jnp.sum(weights)

    @staticmethod
    def start(tally: NormalTally) -> Scalar:
        """The same."""
        return NormalNormal.pooled(tally)

    @staticmethod
    def frame(tally: NormalTally) -> Frame:
        """The pooled mean, the values' spread about it, and that of the effects at the most."""
        location = NormalNormal.pooled(tally)
        precision = jnp.sum(tally.units / (tally.errors * tally.errors)) / tally.weight
        between = jnp.sum(tally.squares + tally.units * (tally.means - location) ** 2)
        variance = between / tally.weight + 1 / precision
        return Frame(location, jnp.sqrt(variance), -jnp.log(variance))

    @staticmethod
    def informative(tally: NormalTally) -> Float[Any, ""]:
        """Weight of all units."""
        return tally.weight

    @staticmethod
    def unit_variance(population: Population) -> Batch:
        """1."""
        return jnp.ones_like(population.mean)

    @staticmethod
    def location(population: Population) -> Batch:
        """The mean."""
        return population.mean

    @staticmethod
    def floored(population: Population, least: float) -> Population:
        """As it is: a mean has no bounds."""
        return population

    @staticmethod
    def log_slope(value: Batch) -> Batch:
        """0."""
        return jnp.zeros_like(value)

    @staticmethod
    def slopes(value: Batch) -> tuple[Batch, Batch]:
        """1 and 0."""
        return jnp.ones_like(value), jnp.zeros_like(value)

    @staticmethod
    def ratio_below(value: Batch, error: Batch, population: Population) -> Batch:
        """Measurements are not counted."""
        raise NotImplementedError("measurements are not counted")

    @staticmethod
    def draw_posterior(
        key: Key[Array, ""],
        points: Float[Array, "draws 2"],
        values: Float[Array, "units"],
        errors: Float[Array, "units"],
    ) -> Float[Array, "draws units"]:
        """Draws all units' effects, given draws of the hyperparameters."""
        population = Population(points[:, :1], jnp.exp(-points[:, 1:]))
        return NormalNormal.draw(key, NormalNormal.update(values, errors, population))
