# ruff: noqa: RUF001 -- readers are shown Greek letters
"""Beta-binomial: y ~ Binomial(n, theta), theta ~ Beta(alpha, beta).

Everything is written in the mean m = alpha / (alpha + beta) and the dispersion
phi = 1 / (alpha + beta), for one unit; callers batch with `jax.vmap`. In these coordinates the
powers of alpha + beta cancel by hand, and phi = 0 (complete pooling) is an ordinary point.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Shaped

from hierjax.families.diagram import Diagram
from hierjax.families.host_beta import HostBeta
from hierjax.families.host_protocol import OnHost
from hierjax.families.hyperparameters import (
    IDENTITY,
    LOG,
    LOGIT,
    Direction,
    Hyperparameter,
    Hyperparameters,
    along_first,
    along_second,
)
from hierjax.families.protocol import Frame, Support
from hierjax.families.unit_words import SUCCESSES, UnitWords
from hierjax.families.words import Words
from hierjax.log_gamma import log_gamma_draws, log_rates, logit_beta_draws
from hierjax.special import LOG_SQRT_2PI, excess_ratio, stirling_remainder
from hierjax.tally import Tally, TallyArrays

__all__ = ["BetaBinomial", "Population", "Rate", "Seen"]

Scalar = Float[Array, ""]
Batch = Float[Array, "..."]

# Beyond this distance of log-odds its exponential, times a share, leaves float32's range.
_OVERFLOWING = 60.0


class Population(NamedTuple):
    """A Beta distribution of rates: of all units, or of one unit given its data.

    Attributes:
        mean: m = alpha / (alpha + beta), in (0, 1).
        complement: 1 - m, kept apart so that it has digits when m is close to 1.
        dispersion: phi = 1 / (alpha + beta), at least 0; 0 is complete pooling.
    """

    mean: Float[Array, "*batch"]
    complement: Float[Array, "*batch"]
    dispersion: Float[Array, "*batch"]

    @property
    def alpha(self) -> Float[Array, "*batch"]:
        """First shape parameter, m / phi."""
        return self.mean / self.dispersion

    @property
    def beta(self) -> Float[Array, "*batch"]:
        """Second shape parameter, (1 - m) / phi."""
        return self.complement / self.dispersion

    @property
    def variance(self) -> Float[Array, "*batch"]:
        """m (1 - m) phi / (1 + phi)."""
        return self.mean * self.complement * self.dispersion / (1 + self.dispersion)


class Rate(NamedTuple):
    """A rate as two logarithms: theta itself may round to 0 or 1.

    Attributes:
        log: log theta.
        log_complement: log(1 - theta).
    """

    log: Float[Array, "*batch"]
    log_complement: Float[Array, "*batch"]

    @classmethod
    def from_logit(cls, logit: Float[Array, "*batch"]) -> "Rate":
        """The rate whose log-odds are given."""
        return cls(jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit))


class Seen(NamedTuple):
    """All that the hyperparameters see of the rates.

    Attributes:
        units: Number of units J.
        sum_log: Sum of log theta_j.
        sum_log_complement: Sum of log(1 - theta_j).
    """

    units: Float[Array, "*batch"]
    sum_log: Float[Array, "*batch"]
    sum_log_complement: Float[Array, "*batch"]


def _log_normalizer(population: Population) -> Scalar:
    r"""log of 1 / B(alpha, beta) less the entropy term that joins the divergence."""
    m, c, phi = population
    remainder = stirling_remainder(jnp.stack([phi, phi / m, phi / c]))
    return (
        0.5 * (jnp.log(m) + jnp.log(c) - jnp.log(phi))
        - LOG_SQRT_2PI
        + remainder[0]
        - remainder[1]
        - remainder[2]
    )


def _divergence(population: Population, logit: Batch) -> Batch:
    """Kullback-Leibler divergence of Bernoulli(theta) from Bernoulli(m), by the log-odds."""
    m, c, _ = population
    return _divergence_at(m, c, logit - (jnp.log(m) - jnp.log(c)))


def _divergence_at(m: Batch, c: Batch, distance: Batch) -> Batch:
    """The same, by the distance of log-odds.

    With s the smaller of m and 1 - m, and z the distance of log-odds in its direction, it is
    log(1 + s (exp(z) - 1)) - s z: both terms are small where the divergence is.
    """
    rare = m < c
    share, rest = jnp.where(rare, m, c), jnp.where(rare, c, m)
    away = jnp.where(rare, distance, -distance)
    far = away > _OVERFLOWING
    inner, outer = jnp.where(far, 0.0, away), jnp.where(far, away, _OVERFLOWING)
    return jnp.where(
        far,
        rest * outer + jnp.log(share) + jnp.log1p(rest * jnp.exp(-outer) / share),
        jnp.log1p(share * jnp.expm1(inner)) - share * inner,
    )


def _log_shape(name: str, sign: int) -> Direction:
    """Log alpha (sign 1) or log beta (sign -1): log m or log(1 - m), plus w."""

    def log_share(u: Any) -> Any:
        return -np.logaddexp(0, -sign * u)

    return Direction(
        name,
        1.0,
        log_share,
        lambda u: sign * np.exp(log_share(-u)),
        lambda u: -np.exp(log_share(u) + log_share(-u)),
    )


_LOGIT_MEAN = along_first("logit_mean")
_LOG_CONCENTRATION = along_second("log_concentration")


@dataclass(frozen=True)
class BetaBinomial:
    """The conjugate pair of binomial counts and Beta-distributed rates.

    Working coordinates are eta = (logit_mean, log_concentration) = (logit m, -log phi).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> family = BetaBinomial()
        >>> population = family.constrain(jnp.array([0.0, jnp.log(2.0)]))  # Beta(1, 1)
        >>> successes, trials = jnp.array(3.0), jnp.array(9.0)
        >>> log_probability = jax.jit(family.log_marginal)(successes, trials, population)
        >>> print(f"{jnp.exp(log_probability):.4f}")  # 1 / (9 + 1)
        0.1000
    """

    name: ClassVar[str] = "beta_binomial"
    support: ClassVar[Support] = "counts_up_to_size"
    columns: ClassVar[tuple[str, str]] = ("successes", "trials")
    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)
    bend: ClassVar[float] = -1.0
    words: ClassVar[Words] = Words(
        *("rates", "binomial noise", "Beta", "correlation within units", "1/(alpha+beta)")
    )
    coordinates: ClassVar[tuple[str, str]] = ("logit_mean", "log_concentration")
    hyperparameters: ClassVar[Hyperparameters] = Hyperparameters(
        (
            Hyperparameter(
                *("logit_mean", _LOGIT_MEAN, IDENTITY, "log(α / β)", "log-odds of the mean rate")
            ),
            Hyperparameter(
                *("log_concentration", _LOG_CONCENTRATION, IDENTITY),
                *("log(α + β)", "log concentration"),
            ),
            Hyperparameter("mean", _LOGIT_MEAN, LOGIT, "α / (α + β)", "mean rate"),
            Hyperparameter(
                *("concentration", _LOG_CONCENTRATION, LOG, "α + β", "concentration"), grows=True
            ),
            Hyperparameter("alpha", _log_shape("log_alpha", 1), LOG, "α", grows=True),
            Hyperparameter("beta", _log_shape("log_beta", -1), LOG, "β", grows=True),
        )
    )
    unit_words: ClassVar[UnitWords] = SUCCESSES
    on_host: ClassVar[OnHost] = HostBeta()
    diagram: ClassVar[Diagram] = Diagram(
        (r"$\alpha$", r"$\beta$"),
        r"$\theta_j$",
        r"$y_j$",
        r"$n_j$",
        (
            r"$\theta_j \sim \mathrm{Beta}(\alpha, \beta)$",
            r"$y_j \sim \mathrm{Binomial}(n_j, \theta_j)$",
        ),
        (
            "hyperparameters of the population, inferred",
            "rate of unit j, inferred",
            "successes among $n_j$ trials, observed",
        ),
        r"$\theta_j \sim \mathrm{Beta}(\alpha_g, \beta_g)$",
        (r"$\mathrm{logit}\,\alpha_g/(\alpha_g + \beta_g)$", r"$\log(\alpha_g + \beta_g)$"),
    )

    @staticmethod
    def tally(
        successes: Shaped[np.ndarray, "units"],
        trials: Shaped[np.ndarray, "units"],
        multiplicity: Shaped[np.ndarray, "units"] | None = None,
        dtype: type = np.float64,
    ) -> TallyArrays:
        """All units as counts of counts; see `hierjax.tally.Tally`."""
        return Tally.from_pairs(successes, trials, multiplicity).arrays(dtype)

    @staticmethod
    def constrain(eta: Float[Array, "2"]) -> Population:
        """Maps working coordinates to the population: m = sigmoid(u), phi = exp(-w)."""
        logit_mean, log_concentration = eta[0], eta[1]
        return Population(
            jax.nn.sigmoid(logit_mean), jax.nn.sigmoid(-logit_mean), jnp.exp(-log_concentration)
        )

    @staticmethod
    def unconstrain(population: Population) -> Float[Array, "2"]:
        """Maps a population to working coordinates; phi = 0 gives an infinite second one."""
        m, c, phi = population
        return jnp.stack([jnp.log(m) - jnp.log(c), -jnp.log(phi)])

    @staticmethod
    def constrain_unit(logit: Float[Array, "*batch"]) -> Rate:
        """A unit's rate from its log-odds."""
        return Rate.from_logit(logit)

    @staticmethod
    def log_likelihood(successes: Scalar, trials: Scalar, rate: Rate) -> Scalar:
        r"""Binomial log-probability of a unit's counts given its rate.

        .. math:: \log\binom{n}{y} + y\log\theta + (n - y)\log(1 - \theta)

        Written as n times the Kullback-Leibler divergence of theta from y/n, which does not cancel.

        Args:
            successes: y.
            trials: n.
            rate: log theta and log(1 - theta).

        Returns:
            The log-probability, with its binomial coefficient.
        """
        failures = trials - successes
        interior = (successes > 0) & (failures > 0)
        n, y = jnp.where(interior, trials, 2.0), jnp.where(interior, successes, 1.0)
        raw = Population(y / n, (n - y) / n, 1 / n)
        logit = jnp.where(interior, rate.log - rate.log_complement, 0.0)
        inside = _log_coefficient(successes, failures) - n * _divergence(raw, logit)
        # A count of zero must not meet an infinite logarithm.
        edge = jnp.where(successes > 0, successes * rate.log, 0.0) + jnp.where(
            failures > 0, failures * rate.log_complement, 0.0
        )
        return jnp.where(interior, inside, edge)

    @staticmethod
    def log_likelihood_kernel(successes: Batch, trials: Batch, logit: Batch) -> Batch:
        r"""What of the log-likelihood depends on the rate: y log(theta) + (n - y) log(1 - theta).

        For finite log-odds; samplers, which meet no others, spare themselves the coefficient.
        """
        log_rate, log_complement = log_rates(logit)
        return successes * log_rate + (trials - successes) * log_complement

    @staticmethod
    def log_prior(rate: Rate, population: Population) -> Scalar:
        r"""Beta log-density of a unit's rate, with respect to theta.

        .. math:: \log\mathrm{Beta}(\theta \mid \alpha, \beta) =
            -\frac{KL(m \| \theta)}{\phi} + \tfrac12\log\frac{m(1 - m)}{2\pi\phi}
            + \delta(\phi) - \delta(\phi/m) - \delta(\phi/(1 - m)) - \log\theta(1 - \theta)

        with delta the remainder of Stirling's formula; no log-gamma of a large argument is taken.

        Args:
            rate: log theta and log(1 - theta).
            population: The Beta distribution, with phi > 0.

        Returns:
            The log-density.
        """
        return (
            BetaBinomial.log_prior_logit(rate.log - rate.log_complement, population)
            - rate.log
            - rate.log_complement
        )

    @staticmethod
    def log_prior_logit(logit: Scalar, population: Population) -> Scalar:
        """Beta log-density of a unit's rate with respect to its log-odds."""
        return _log_normalizer(population) - _divergence(population, logit) / population.dispersion

    @staticmethod
    def log_prior_unconstrained(logit: Scalar, population: Population) -> Scalar:
        """The same, as every family has it: on the scale that `constrain_unit` starts from."""
        return BetaBinomial.log_prior_logit(logit, population)

    @staticmethod
    def log_joint(successes: Scalar, trials: Scalar, rate: Rate, population: Population) -> Scalar:
        """log p(y, theta | alpha, beta) of one unit: likelihood times prior."""
        likelihood = BetaBinomial.log_likelihood(successes, trials, rate)
        return likelihood + BetaBinomial.log_prior(rate, population)

    @staticmethod
    def log_marginal(successes: Scalar, trials: Scalar, population: Population) -> Scalar:
        r"""Beta-binomial log-probability of a unit's counts, theta integrated out.

        .. math:: p(y \mid \alpha, \beta) = \binom{n}{y}
            \frac{B(\alpha + y, \beta + n - y)}{B(\alpha, \beta)}

        Written as minus two Kullback-Leibler divergences, of m and of y/n from the posterior
        mean q, plus Stirling remainders, so that it is accurate for n of 10^9, in float32 too,
        and smooth in phi down to 0, where it is the binomial probability.

        Args:
            successes: y, 0 <= y <= n.
            trials: n >= 0.
            population: The Beta distribution; phi = 0 allowed.

        Returns:
            The log-probability; 0 when n = 0.
        """
        m, c, phi = population
        failures = trials - successes
        any_success, any_failure = successes > 0, failures > 0
        y, f = jnp.where(any_success, successes, 1.0), jnp.where(any_failure, failures, 1.0)
        growth = 1 + trials * phi
        over = (successes * c - failures * m) / growth  # n (y/n - q)

        # Terms of one kind go through one call, stacked: it compiles several times faster.
        relative = jnp.stack([-over / y, over / f, phi * over / m, -phi * over / c])
        one_plus = jnp.stack(
            [
                trials * (m + y * phi) / (y * growth),
                trials * (c + f * phi) / (f * growth),
                (m + successes * phi) / (m * growth),
                (c + failures * phi) / (c * growth),
            ]
        )
        divergence = over * over * jnp.stack([1 / y, 1 / f, phi / m, phi / c])
        divergence *= excess_ratio(relative, one_plus)
        from_rate = jnp.where(any_success, divergence[0], -over)
        from_rate += jnp.where(any_failure, divergence[1], over)
        spread = 0.5 * (
            jnp.log1p(trials * phi) - jnp.log1p(successes * phi / m) - jnp.log1p(failures * phi / c)
        )
        remainder = stirling_remainder(
            jnp.stack(
                [
                    *(phi, phi / (m + successes * phi), phi / (c + failures * phi)),
                    *(phi / growth, phi / m, phi / c),
                ]
            )
        )
        return (
            spread
            + jnp.sum(remainder[:3] - remainder[3:])
            - from_rate
            - divergence[2]
            - divergence[3]
            + _log_coefficient(successes, failures)
        )

    @staticmethod
    def log_marginal_tally(tally: TallyArrays, population: Population) -> Scalar:
        r"""Log-marginal of all units, from their tally.

        .. math:: \log p(Y \mid \alpha, \beta) = \sum_j \log\binom{n_j}{y_j}
            + \sum_k c_k\log(m + k\phi) + d_k\log(1 - m + k\phi) - e_k\log(1 + k\phi)

        Args:
            tally: Counts of counts, and pairs for units of many trials.
            population: The Beta distribution; phi = 0 allowed.

        Returns:
            The log-marginal, binomial coefficients included; the cost does not grow with J.
        """
        m, c, phi = population

        length = tally.trials_above.shape[0]

        def weighted(above: Float[Any, "counts"], share: Scalar) -> Float[Array, "trials"]:
            k_phi = jnp.arange(above.shape[0], dtype=phi.dtype) * phi
            return jnp.pad(above * jnp.log(share + k_phi), (0, length - above.shape[0]))

        # Before they are summed, terms of one k cancel in part.
        k_phi = jnp.arange(length, dtype=phi.dtype) * phi
        total = tally.log_coefficient + jnp.sum(
            weighted(tally.successes_above, m)
            + weighted(tally.failures_above, c)
            - tally.trials_above * jnp.log1p(k_phi)
        )
        if tally.pair_trials.shape[0]:
            pairs = jax.vmap(BetaBinomial.log_marginal, in_axes=(0, 0, None))(
                tally.pair_successes, tally.pair_trials, population
            )
            total += jnp.sum(tally.pair_multiplicity * pairs)
        return total

    @staticmethod
    def update(successes: Batch, trials: Batch, population: Population) -> Population:
        r"""Conjugate update: the unit's posterior Beta(alpha + y, beta + n - y).

        .. math:: m' = \frac{m + y\phi}{1 + n\phi}, \qquad \phi' = \frac{\phi}{1 + n\phi}
        """
        m, c, phi = population
        growth = 1 + trials * phi
        return Population(
            (m + successes * phi) / growth,
            (c + (trials - successes) * phi) / growth,
            phi / growth,
        )

    @staticmethod
    def log_predictive(
        new_successes: Scalar,
        new_trials: Scalar,
        successes: Scalar,
        trials: Scalar,
        population: Population,
    ) -> Scalar:
        """Log-probability of a unit's next counts, given the counts it has."""
        updated = BetaBinomial.update(successes, trials, population)
        return BetaBinomial.log_marginal(new_successes, new_trials, updated)

    @staticmethod
    def parameter_at(logit: Batch) -> Batch:
        """Theta from its log-odds."""
        return jax.nn.sigmoid(logit)

    @staticmethod
    def place_of(rate: Batch) -> Batch:
        """Log-odds of theta."""
        return jnp.log(rate) - jnp.log1p(-rate)

    @staticmethod
    def host_parameter_at(logit: Shaped[np.ndarray, "..."]) -> np.ndarray:
        """Theta from its log-odds, by NumPy."""
        return np.exp(-np.logaddexp(0, -np.asarray(logit)))

    @staticmethod
    def host_place_of(rate: Shaped[np.ndarray, "..."]) -> np.ndarray:
        """Log-odds of theta, by NumPy; infinite at 0 and 1."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(rate) - np.log1p(-np.asarray(rate)))

    @staticmethod
    def population_at(logit: Batch, dispersion: Batch) -> Population:
        """The Beta distribution of given dispersion by the log-odds of its mean."""
        shares = jax.nn.sigmoid(logit), jax.nn.sigmoid(-logit)
        return Population(*jnp.broadcast_arrays(*shares, dispersion))

    @staticmethod
    def statistic(successes: Batch, trials: Batch) -> tuple[Batch, Batch]:
        """Successes and trials as they are."""
        return successes, trials

    @staticmethod
    def variance_function(mean: Batch) -> Batch:
        """m (1 - m), the variance of one trial."""
        return mean * (1 - mean)

    @staticmethod
    def spread(population: Population) -> Batch:
        """sqrt(1 / alpha + 1 / beta), nearly the standard deviation of log-odds."""
        return jnp.sqrt(1 / population.alpha + 1 / population.beta)

    @staticmethod
    def tails(population: Population) -> tuple[Batch, Batch]:
        """Densities of log-odds fall like exp(alpha z) and exp(-beta z)."""
        return population.alpha, population.beta

    @staticmethod
    def divergence(origin: Batch, logit: Batch) -> Batch:
        """Kullback-Leibler divergence of two Bernoulli distributions, by their log-odds."""
        return _divergence_at(jax.nn.sigmoid(origin), jax.nn.sigmoid(-origin), logit - origin)

    @staticmethod
    def excess(population: Population, logit: Batch) -> Batch:
        """m - theta, from both and from what they leave of one."""
        rate, complement = jax.nn.sigmoid(logit), jax.nn.sigmoid(-logit)
        return population.mean * complement - population.complement * rate

    @staticmethod
    def draw(key: Key[Array, ""], population: Population) -> Batch:
        """Draws log-odds of rates."""
        m, c, phi = population
        pooled = phi == 0
        safe = jnp.where(pooled, 1.0, phi)
        drawn = logit_beta_draws(key, m / safe, c / safe)
        return jnp.where(pooled, jnp.log(m) - jnp.log(c), drawn)

    @staticmethod
    def seen(logits: Float[Array, "*batch units"], present: Float[Array, "units"]) -> Seen:
        """Sums of log theta and log(1 - theta), and the number of rates."""
        sums = [jnp.sum(present * each, axis=-1) for each in log_rates(logits)]
        return Seen(jnp.broadcast_to(jnp.sum(present), sums[0].shape), *sums)

    @staticmethod
    def log_prior_units(seen: Seen, population: Population) -> Scalar:
        """Log-density of all units' log-odds, from what is seen of them, for phi > 0."""
        m, c, phi = population
        entropy = seen.units * (m * jnp.log(m) + c * jnp.log(c))
        divergence = entropy - m * seen.sum_log - c * seen.sum_log_complement
        return seen.units * _log_normalizer(population) - divergence / phi

    @staticmethod
    def place(successes: Batch, trials: Batch, population: Population) -> tuple[Batch, Batch]:
        """Log-odds of the posterior mean, and the posterior's spread."""
        posterior = BetaBinomial.update(successes, trials, population)
        center = jnp.log(posterior.mean) - jnp.log(posterior.complement)
        return center, BetaBinomial.spread(posterior)

    @staticmethod
    def no_maximum(
        successes: Shaped[np.ndarray, "units"], trials: Shaped[np.ndarray, "units"]
    ) -> str | None:
        """Says why the likelihood of these counts has no maximum, if it has none."""
        y, n = successes, trials
        if not np.any(y) or np.array_equal(y, n):
            share = "no" if not np.any(y) else "only"
            return f"the likelihood has no maximum: units have {share} successes"
        if n.max() <= 1:
            return "the likelihood does not depend on the concentration: no unit has two trials"
        if not np.any((y > 0) & (y < n)):
            return (
                "the likelihood has no maximum: no unit has 0 < successes < trials, "
                "so it rises as the concentration falls to 0"
            )
        return None

    @staticmethod
    def pooled(tally: TallyArrays) -> Scalar:
        """Log-odds of the share of successes; infinite if it is 0 or 1."""
        total = tally.total_successes + tally.total_failures
        return jnp.log(tally.total_successes / total) - jnp.log(tally.total_failures / total)

    @staticmethod
    def start(tally: TallyArrays) -> Scalar:
        """Log-odds of the share of successes, with half a success and half a failure more."""
        return jnp.log(tally.total_successes + 0.5) - jnp.log(tally.total_failures + 0.5)

    @staticmethod
    def frame(tally: TallyArrays) -> Frame:
        """The working coordinates themselves: neither has a unit of measurement."""
        zero = jnp.zeros((), tally.dtype)
        return Frame(zero, jnp.ones_like(zero), zero)

    @staticmethod
    def informative(tally: TallyArrays) -> Float[Any, ""]:
        """Weight of the units with 0 < successes < trials."""
        return tally.interior

    @staticmethod
    def unit_variance(population: Population) -> Batch:
        """m (1 - m)."""
        return population.mean * population.complement

    @staticmethod
    def location(population: Population) -> Batch:
        """Log-odds of the mean."""
        return jnp.log(population.mean) - jnp.log(population.complement)

    @staticmethod
    def floored(population: Population, least: float) -> Population:
        """Neither the mean nor its complement below a number."""
        mean, complement, dispersion = population
        return Population(jnp.maximum(mean, least), jnp.maximum(complement, least), dispersion)

    @staticmethod
    def log_slope(logit: Batch) -> Batch:
        """Log of theta (1 - theta)."""
        return -(jax.nn.softplus(logit) + jax.nn.softplus(-logit))

    @staticmethod
    def slopes(logit: Batch) -> tuple[Batch, Batch]:
        """Theta (1 - theta), and 1 - 2 theta."""
        rate, complement = jax.nn.sigmoid(logit), jax.nn.sigmoid(-logit)
        return rate * complement, complement - rate

    @staticmethod
    def ratio_below(successes: Batch, trials: Batch, population: Population) -> Batch:
        """Beta-binomial probability of one success less, relative to that of so many."""
        m, c, phi = population
        growth = trials - successes + 1
        below = m + jnp.maximum(successes - 1, 0.0) * phi
        return successes * (c + (growth - 1) * phi) / (growth * below)

    @staticmethod
    def draw_posterior(
        key: Key[Array, ""],
        points: Float[Array, "draws 2"],
        successes: Float[Array, "units"],
        trials: Float[Array, "units"],
    ) -> Float[Array, "draws units"]:
        """Draws log-odds of all units' rates, given draws of the hyperparameters."""
        u, w = points[:, :1], points[:, 1:]
        alpha = jnp.exp(w + jax.nn.log_sigmoid(u)) + successes
        beta = jnp.exp(w + jax.nn.log_sigmoid(-u)) + (trials - successes)
        logs = log_gamma_draws(key, jnp.stack([alpha, beta]))
        return logs[0] - logs[1]


def _log_coefficient(successes: Scalar, failures: Scalar) -> Scalar:
    r"""What the log binomial coefficient leaves beside y log(y/n) + f log(f/n)."""
    interior = (successes > 0) & (failures > 0)
    y, f = jnp.where(interior, successes, 1.0), jnp.where(interior, failures, 1.0)
    n = y + f
    remainder = stirling_remainder(1 / jnp.stack([n, y, f]))
    value = (
        0.5 * (jnp.log(n) - jnp.log(y) - jnp.log(f))
        - LOG_SQRT_2PI
        + remainder[0]
        - remainder[1]
        - remainder[2]
    )
    return jnp.where(interior, value, 0.0)
