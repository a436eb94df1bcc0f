"""Moments: hyperparameters whose population has the moments of the raw rates."""

from functools import partial
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from hierjax.families import AnyFamily
from hierjax.inference.result import Problem, Result, Status
from hierjax.inference.stopwatch import Stopwatch
from hierjax.posterior import HyperPosterior

__all__ = ["MomentEstimate", "Moments", "estimate", "noise_corrected", "raw_rates"]

Units = Float[Array, "units"]


class MomentEstimate(NamedTuple):
    """Moments of the population.

    Attributes:
        mean: Estimated population mean.
        variation: Estimated population variance over V(mean): of the beta-binomial the correlation
            of two trials of a unit, 1 / (alpha + beta + 1). At or below 0 there is no
            overdispersion; from a family's bound on, 1 for the beta-binomial, nothing matches.
    """

    mean: Float[Array, ""]
    variation: Float[Array, ""]


def raw_rates(family: AnyFamily, values: Units, sizes: Units, weights: Units) -> MomentEstimate:
    r"""Matches the mean and the population variance of the raw rates t/v.

    Every unit counts alike, and the noise of the rates is taken for variation between units (the
    classic estimate; Gelman et al., *Bayesian Data Analysis*, sec. 5.1). Units without any weight
    v, such as trials, have no rate and are left out.

    Args:
        family: Conjugate family.
        values: What is observed of every unit.
        sizes: What is known of it.
        weights: Times that each unit counts.

    Returns:
        The estimate.
    """
    t, v = family.statistic(values, sizes)
    weights = jnp.where(v > 0, weights, 0.0)
    rate = t / jnp.where(v > 0, v, 1.0)
    total = jnp.sum(weights)
    mean = jnp.sum(weights * rate) / total
    variance = jnp.sum(weights * (rate - mean) ** 2) / total
    return MomentEstimate(mean, variance / family.variance_function(mean))


def noise_corrected(
    family: AnyFamily, values: Units, sizes: Units, weights: Units
) -> MomentEstimate:
    r"""Matches the weighted mean and variance, with the noise of the units taken out.

    With raw rates r = t/v, the variance function V(m) and its bend v2 (-1 for the
    beta-binomial, else 0), and the population's variance V(m) rho,

    .. math:: E\Big[\sum_j v_j (r_j - \hat m)^2\Big] =
        V(m) \big[(J - 1)(1 + v_2 \rho) + (N - \textstyle\sum_j v_j^2 / N)\,\rho\big]

    solved for rho. For binomial counts this is Kleinman's estimate (1973, *JASA* 68:46-54, eq. 2.3
    and 2.5 with weights n_j), for measurements DerSimonian and Laird's (1986, *Controlled Clinical
    Trials* 7:177-188).

    Args:
        family: Conjugate family.
        values: What is observed of every unit.
        sizes: What is known of it.
        weights: Times that each unit counts.

    Returns:
        The estimate.
    """
    t, v = family.statistic(values, sizes)
    rate = t / jnp.where(v > 0, v, 1.0)
    total = jnp.sum(weights * v)
    mean = jnp.sum(weights * t) / total
    scatter = jnp.sum(weights * v * (rate - mean) ** 2) / family.variance_function(mean)
    share = v / total
    noise = jnp.sum(jnp.where(v > 0, weights * (1 - share), 0.0))
    between = jnp.sum(weights * v * (1 - share))
    return MomentEstimate(mean, (scatter - noise) / (between + family.bend * noise))


_ESTIMATORS = {"noise_corrected": noise_corrected, "raw_rates": raw_rates}


@partial(jax.jit, static_argnums=(0, 1))
def estimate(
    family: AnyFamily, estimator: str, values: Units, sizes: Units, weights: Units
) -> tuple[MomentEstimate, Float[Array, "2"], Float[Array, "2 2"]]:
    """The moments, the working coordinates that have them, and their jackknife covariance.

    Args:
        family: Conjugate family.
        estimator: Which of the estimators of `Moments`.
        values: What is observed of every unit.
        sizes: What is known of it; units without weight do not count.
        weights: Times that each unit counts.

    Returns:
        Moments, coordinates (not finite where no population has the moments) and covariance.
    """

    def moments(weights: Units) -> MomentEstimate:
        return _ESTIMATORS[estimator](family, values, sizes, weights)

    def eta(weights: Units) -> Float[Array, "2"]:
        mean, variation = moments(weights)
        dispersion = variation / (1 + family.bend * variation)
        return jnp.stack([family.place_of(mean), -jnp.log(dispersion)])

    influence = jax.jacrev(eta)(weights)
    units = jnp.sum(jnp.where(family.statistic(values, sizes)[1] > 0, weights, 0.0))
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
        estimator: `noise_corrected` weights units by trials, exposure or precision and takes the
            noise out, as the Type-2 likelihood does; `raw_rates` matches the raw rates' mean and
            population variance, as in the classic example.

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
        family, weights = problem.model.family, problem.counts.weights
        values, sizes = problem.data
        given = np.ones(len(values)) if weights is None else weights
        arrays = tuple(jnp.asarray(x, problem.dtype) for x in (values, sizes, given))
        with Stopwatch() as watch:
            found, eta, covariance = jax.block_until_ready(
                estimate(family, self.estimator, *arrays)
            )
        mean, variation = (float(value) for value in found)
        info = {"mean": mean, family.words.variation.split()[0]: variation}
        (low, high), bound = family.limits, -1 / family.bend if family.bend else np.inf
        # Rounding alone can make a little variation of equal rates.
        v = family.statistic(*arrays[:2])[1]
        unit = 1 / float(jnp.mean(v, where=v > 0))
        rounding = 8 * float(np.finfo(problem.dtype).eps) * unit
        inside = low < mean < high and variation < bound
        if not inside:
            message = (
                f"no {family.words.population} has these moments: expected the mean inside "
                f"({low:g}, {high:g}) and {family.words.variation} below {bound:g}, "
                f"found mean {mean:.4g}, {family.words.variation} {variation:.4g}"
            )
            return Result(None, Status.FAILED, message, info=info, seconds=watch.seconds)
        status, message = Status.CONVERGED, ""
        if variation <= rounding:
            status, covariance = Status.BOUNDARY, None
            eta = jnp.asarray([family.host_place_of(np.asarray(mean)), np.inf], problem.dtype)
            message = (
                f"the {family.words.parameters} vary no more than {family.words.noise}: complete "
                f"pooling (estimated {family.words.variation} {variation:.4g})"
            )
        return Result(
            HyperPosterior.at(eta),
            status,
            message,
            covariance=None if covariance is None else np.asarray(covariance),
            info=info,
            seconds=watch.seconds,
        )
