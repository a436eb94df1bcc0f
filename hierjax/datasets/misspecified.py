"""Populations that are no Beta, from which the model's assumptions can be seen to fail."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import expit, logit

from hierjax.datasets.population import Population, Rates, Trials, beta_moments
from hierjax.datasets.trials import TrialsDistribution
from hierjax.errors import ModelError

__all__ = ["HeavyTail", "SpikeAtZero", "TrialDependent", "TwoClusters"]

# Numbers of trials that stand for their distribution, evenly spaced in probability.
_LEVELS = 4096
# Nodes of an integral over Student's t, evenly spaced in the inverse hyperbolic sine.
_NODES = 8001


@dataclass(frozen=True)
class TwoClusters(Population):
    r"""Two kinds of units: a mixture of two Betas of equal concentration.

    .. math:: \theta_j \sim (1 - s)\,\mathrm{Beta}(m_0 \kappa, (1 - m_0) \kappa)
        + s\,\mathrm{Beta}(m_1 \kappa, (1 - m_1) \kappa)

    Args:
        low: Mean of the one cluster, strictly between 0 and 1.
        high: Mean of the other.
        share_high: Probability s that a unit belongs to the second, strictly between 0 and 1.
        concentration: kappa of each cluster, positive.

    Raises:
        ModelError: If a field is out of range.

    Example:
        >>> TwoClusters(low=0.25, high=0.5, share_high=0.5, concentration=50.0).mean
        0.375
    """

    low: float
    high: float
    share_high: float
    concentration: float

    kind: ClassVar[str] = "two_clusters"

    def __post_init__(self) -> None:
        self._require_inside("low", "high", "share_high")
        self._require_positive("concentration")

    @property
    def mean(self) -> float:
        """Mean of a unit's rate."""
        return self.low + self.share_high * (self.high - self.low)

    @property
    def variance(self) -> float:
        """Variance of a unit's rate: within clusters, and between them."""
        s = self.share_high
        within = (1 - s) * self.low * (1 - self.low) + s * self.high * (1 - self.high)
        return within / (self.concentration + 1) + s * (1 - s) * (self.high - self.low) ** 2

    def rates(self, generator: np.random.Generator, trials: Trials) -> Rates:
        """Draws the cluster of every unit, and its rate."""
        is_high = generator.random(trials.shape) < self.share_high
        center = np.where(is_high, self.high, self.low)
        return generator.beta(center * self.concentration, (1 - center) * self.concentration)


@dataclass(frozen=True)
class HeavyTail(Population):
    r"""A few units far from all others: log-odds follow Student's t.

    .. math:: \mathrm{logit}\,\theta_j = \mathrm{logit}\,q + \sigma t_\nu

    Args:
        median: q, the population's median, strictly between 0 and 1.
        scale: sigma, positive.
        freedom: Degrees of freedom nu, at least 0.5.

    Raises:
        ModelError: If a field is out of range.

    Example:
        >>> population = HeavyTail(median=0.14, scale=0.4, freedom=2.0)
        >>> round(population.mean, 4), round(population.variance, 4)
        (0.1625, 0.0134)
    """

    median: float
    scale: float
    freedom: float

    kind: ClassVar[str] = "heavy_tail"

    def __post_init__(self) -> None:
        self._require_inside("median")
        self._require_positive("scale", "freedom")
        if self.freedom < 0.5:
            raise ModelError(
                f"heavy_tail population: expected freedom to be at least 0.5, found {self.freedom}"
            )

    @property
    def mean(self) -> float:
        """Mean of a unit's rate."""
        return self._moments()[0]

    @property
    def variance(self) -> float:
        """Variance of a unit's rate."""
        return self._moments()[1]

    def _moments(self) -> tuple[float, float]:
        """By the trapezoidal rule, which converges fast where tails fall exponentially."""
        x = np.linspace(-1, 1, _NODES) * 40 / min(self.freedom, 4.0)
        # The density of Student's t, without its constant.
        weights = np.cosh(x) * (1 + np.sinh(x) ** 2 / self.freedom) ** (-0.5 * (self.freedom + 1))
        weights /= weights.sum()
        rates = expit(logit(self.median) + self.scale * np.sinh(x))
        mean = float(weights @ rates)
        return mean, float(weights @ (rates - mean) ** 2)

    def rates(self, generator: np.random.Generator, trials: Trials) -> Rates:
        """Draws the rate of every unit, which may round to 0 or 1."""
        away = generator.standard_t(self.freedom, trials.shape)
        return expit(logit(self.median) + self.scale * away)


@dataclass(frozen=True)
class SpikeAtZero(Population):
    r"""Some units can have no success: a rate of exactly 0, and a Beta for all others.

    Args:
        share: Probability of a rate of 0, strictly between 0 and 1.
        alpha: First shape parameter of the others, positive.
        beta: Second shape parameter, positive.

    Raises:
        ModelError: If a field is out of range.

    Example:
        >>> SpikeAtZero(share=0.2, alpha=2.0, beta=6.0).mean
        0.2
    """

    share: float
    alpha: float
    beta: float

    kind: ClassVar[str] = "spike_at_zero"

    def __post_init__(self) -> None:
        self._require_inside("share")
        self._require_positive("alpha", "beta")

    @property
    def mean(self) -> float:
        """Mean of a unit's rate."""
        return (1 - self.share) * beta_moments(self.alpha, self.beta)[0]

    @property
    def variance(self) -> float:
        """Variance of a unit's rate."""
        mean, variance = beta_moments(self.alpha, self.beta)
        return (1 - self.share) * (variance + self.share * mean**2)

    def rates(self, generator: np.random.Generator, trials: Trials) -> Rates:
        """Draws whether a unit's rate is 0, and if not which it is."""
        is_zero = generator.random(trials.shape) < self.share
        return np.where(is_zero, 0.0, generator.beta(self.alpha, self.beta, trials.shape))


@dataclass(frozen=True)
class TrialDependent(Population):
    r"""Units with more trials have other rates: units are not exchangeable.

    .. math:: \theta_j \sim \mathrm{Beta}(m_j \kappa, (1 - m_j) \kappa), \qquad
        \mathrm{logit}\,m_j = \log(\alpha / \beta) + b \log(n_j / n_0), \qquad
        \kappa = \alpha + \beta

    A unit without trials counts as one of a single trial.

    Args:
        alpha: First shape parameter at the reference, positive.
        beta: Second shape parameter at the reference, positive.
        slope: b, what the log-odds of the mean gain with each unit of log trials.
        reference: n_0, the number of trials at which the population is Beta(alpha, beta).

    Raises:
        ModelError: If a field is out of range.

    Example:
        >>> from hierjax.datasets.trials import UniformTrials
        >>> population = TrialDependent(alpha=2.0, beta=6.0, slope=0.5, reference=20.0)
        >>> mean, variance = population.moments(UniformTrials(10, 50))
        >>> population.mean, round(mean, 4)
        (0.25, 0.2828)
    """

    alpha: float
    beta: float
    slope: float
    reference: float = 20.0

    kind: ClassVar[str] = "trial_dependent"

    def __post_init__(self) -> None:
        self._require_positive("alpha", "beta", "reference")
        self._require("slope", "a finite number", -math.inf, math.inf)

    @property
    def mean(self) -> float:
        """Mean of the rate of a unit that has the reference's trials."""
        return beta_moments(self.alpha, self.beta)[0]

    @property
    def variance(self) -> float:
        """Variance of the rate of a unit that has the reference's trials."""
        return beta_moments(self.alpha, self.beta)[1]

    def moments(self, trials: TrialsDistribution) -> tuple[float, float]:
        """Mean and variance of a unit's rate where trials have this distribution."""
        means = expit(self._logit(trials.quantile((np.arange(_LEVELS) + 0.5) / _LEVELS)))
        within = means * (1 - means) / (1 + self.alpha + self.beta)
        return float(means.mean()), float(within.mean() + means.var())

    def rates(self, generator: np.random.Generator, trials: Trials) -> Rates:
        """Draws the rate of every unit, given its trials."""
        kappa, eta = self.alpha + self.beta, self._logit(trials)
        return generator.beta(_shape(kappa * expit(eta)), _shape(kappa * expit(-eta)))

    def _logit(self, trials: Int64[np.ndarray, "*units"]) -> Float64[np.ndarray, "*units"]:
        away = np.log(np.maximum(trials, 1)) - math.log(self.reference)
        return math.log(self.alpha / self.beta) + self.slope * away


def _shape(values: Float64[np.ndarray, "*units"]) -> Float64[np.ndarray, "*units"]:
    """Shape parameters that have not vanished, as NumPy's draws need."""
    return np.maximum(values, np.finfo(float).tiny)
