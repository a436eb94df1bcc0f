"""Moments: hyperparameters whose population has the moments of the raw rates."""

from functools import partial
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from hierjax.families.beta_binomial import BetaBinomial, Population
from hierjax.inference.result import Problem, Result, Status
from hierjax.inference.stopwatch import Stopwatch
from hierjax.posterior import HyperPosterior

__all__ = ["MomentEstimate", "Moments", "estimate", "noise_corrected", "raw_rates"]

Units = Float[Array, "units"]


class MomentEstimate(NamedTuple):
    """Moments of the population.

    Attributes:
        mean: Estimated population mean of theta.
        correlation: Estimated 1 / (alpha + beta + 1), the correlation of two trials of a unit.
            At or below 0 there is no overdispersion; at or above 1 no Beta matches.
    """

    mean: Float[Array, ""]
    correlation: Float[Array, ""]


def raw_rates(successes: Units, trials: Units, weights: Units) -> MomentEstimate:
    r"""Matches the mean and the population variance of the raw rates y/n.

    .. math:: \alpha + \beta = \frac{m (1 - m)}{v} - 1

    Every unit counts alike, and the binomial noise of the rates is taken for variation between
    units (the classic estimate; Gelman et al., *Bayesian Data Analysis*, sec. 5.1). Units without
    trials have no rate and are left out.

    Args:
        successes: y of every unit.
        trials: n of every unit.
        weights: Times that each unit counts.

    Returns:
        The estimate.
    """
    weights = jnp.where(trials > 0, weights, 0.0)
    rate = successes / jnp.where(trials > 0, trials, 1.0)
    total = jnp.sum(weights)
    mean = jnp.sum(weights * rate) / total
    variance = jnp.sum(weights * (rate - mean) ** 2) / total
    return MomentEstimate(mean, variance / (mean * (1 - mean)))


def noise_corrected(successes: Units, trials: Units, weights: Units) -> MomentEstimate:
    r"""Matches the trial-weighted mean and variance, with the binomial noise taken out.

    .. math:: E\Big[\sum_j n_j (p_j - \hat m)^2\Big] =
        m (1 - m) \big[(J - 1)(1 - \rho) + (N - \textstyle\sum_j n_j^2 / N)\,\rho\big]

    solved for rho = 1 / (alpha + beta + 1) (Kleinman 1973, *JASA* 68:46-54, eq. 2.3 and 2.5 with
    weights n_j).

    Args:
        successes: y of every unit.
        trials: n of every unit.
        weights: Times that each unit counts.

    Returns:
        The estimate.
    """
    rate = successes / jnp.where(trials > 0, trials, 1.0)
    total = jnp.sum(weights * trials)
    mean = jnp.sum(weights * successes) / total
    scatter = jnp.sum(weights * trials * (rate - mean) ** 2) / (mean * (1 - mean))
    share = trials / total
    noise = jnp.sum(jnp.where(trials > 0, weights * (1 - share), 0.0))
    between = jnp.sum(weights * trials * (1 - share))
    return MomentEstimate(mean, (scatter - noise) / (between - noise))


_ESTIMATORS = {"noise_corrected": noise_corrected, "raw_rates": raw_rates}


@partial(jax.jit, static_argnums=(0, 1))
def estimate(
    family: BetaBinomial, estimator: str, successes: Units, trials: Units, weights: Units
) -> tuple[MomentEstimate, Float[Array, "2"], Float[Array, "2 2"]]:
    """The moments, the working coordinates that have them, and their jackknife covariance.

    Args:
        family: Conjugate family.
        estimator: Which of the estimators of `Moments`.
        successes: y of every unit.
        trials: n of every unit; units of none do not count.
        weights: Times that each unit counts.

    Returns:
        Moments, coordinates (not finite where no population has the moments) and covariance.
    """

    def moments(weights: Units) -> MomentEstimate:
        return _ESTIMATORS[estimator](successes, trials, weights)

    def eta(weights: Units) -> Float[Array, "2"]:
        mean, correlation = moments(weights)
        return family.unconstrain(Population(mean, 1 - mean, correlation / (1 - correlation)))

    influence = jax.jacrev(eta)(weights)
    units = jnp.sum(jnp.where(trials > 0, weights, 0.0))
    correction = jnp.where(units > 1, units / (units - 1), jnp.nan)
    covariance = (influence * weights) @ influence.T * correction
    return moments(weights), eta(weights), covariance


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Moments:
    """Matching of moments: no iteration, no likelihood.

    Standard errors are the infinitesimal jackknife's: the estimate is differentiated with respect
    to each unit's weight (Efron 1982, *The Jackknife, the Bootstrap and Other Resampling Plans*,
    ch. 6).

    Args:
        estimator: `noise_corrected` weights units by trials and takes the binomial noise out, as
            the Type-2 likelihood does; `raw_rates` matches the raw rates' mean and population
            variance, as in the classic example.

    Example:
        >>> import hierjax as hj
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=hj.Moments("raw_rates"))
        >>> print(f"{fit.estimate('alpha'):.12f} {fit.estimate('beta'):.12f}")
        1.377774839292 8.752435447153
    """

    estimator: Literal["noise_corrected", "raw_rates"] = "noise_corrected"

    name: ClassVar[str] = "moments"

    def run(self, problem: Problem) -> Result:
        """Estimates on the host's behalf; see `Moments`."""
        counts = problem.counts
        given = np.ones(len(counts)) if counts.weights is None else counts.weights
        data = (counts.successes, counts.trials, given)
        arrays = tuple(jnp.asarray(values, problem.dtype) for values in data)
        with Stopwatch() as watch:
            found, eta, covariance = jax.block_until_ready(
                estimate(problem.model.family, self.estimator, *arrays)
            )
        mean, correlation = (float(value) for value in found)
        info = {"mean": mean, "correlation": correlation}
        if not (0 < mean < 1 and _rounding(problem) < correlation < 1):
            return self._degenerate(problem, mean, correlation, info, watch.seconds)
        return Result(
            HyperPosterior.at(eta),
            Status.CONVERGED,
            covariance=np.asarray(covariance),
            info=info,
            seconds=watch.seconds,
        )

    def _degenerate(
        self,
        problem: Problem,
        mean: float,
        correlation: float,
        info: dict[str, float],
        seconds: dict[str, float],
    ) -> Result:
        if 0 < mean < 1 and correlation <= _rounding(problem):
            eta = jnp.array([np.log(mean) - np.log1p(-mean), np.inf], problem.dtype)
            message = (
                "the rates vary no more than binomial noise: complete pooling "
                f"(estimated correlation within units {correlation:.4g})"
            )
            pooled = HyperPosterior.at(eta)
            return Result(pooled, Status.BOUNDARY, message, info=info, seconds=seconds)
        found = f"mean {mean:.4g}, correlation within units {correlation:.4g}"
        message = f"no Beta has these moments: expected both inside (0, 1), found {found}"
        return Result(None, Status.FAILED, message, info=info, seconds=seconds)


def _rounding(problem: Problem) -> float:
    """A correlation that rounding alone can make of equal rates."""
    return 8 * float(np.finfo(problem.dtype).eps)
