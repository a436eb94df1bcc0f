"""Distributions of NumPyro as densities of one hyperparameter each."""

import math
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from hierjax.errors import ModelError

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

__all__ = ["POSITIVE", "REALS", "UNIT", "inverse_moments", "log_prob", "moments", "validate"]

Scalar = Float[Array, ""]
# Where a hyperparameter may be, and how that is written.
Range = tuple[float, float, str]
UNIT: Range = (0.0, 1.0, "(0, 1)")
POSITIVE: Range = (0.0, math.inf, "(0, inf)")
REALS: Range = (-math.inf, math.inf, "(-inf, inf)")


def validate(hyperprior: Any, ranges: dict[str, Range]) -> None:
    """Refuses what is not a scalar, proper, continuous distribution within a range.

    Args:
        hyperprior: Has the distributions as attributes.
        ranges: Of each, by name.

    Raises:
        ModelError: If one is something else.
    """
    for name, within in ranges.items():
        _check_distribution(hyperprior.kind, name, getattr(hyperprior, name), within)


def _check_distribution(owner: str, name: str, distribution: Any, within: Range) -> None:
    from numpyro.distributions import Distribution, constraints

    found = None
    if not isinstance(distribution, Distribution):
        found = f"{type(distribution).__name__}"
    elif distribution.batch_shape or distribution.event_shape:
        found = f"{type(distribution).__name__} of shape {distribution.shape()}"
    elif _improper(distribution):
        found = "an improper distribution"
    elif not _support_within(distribution.support, within, constraints):
        found = f"{type(distribution).__name__} with support {distribution.support}"
    if found:
        raise ModelError(
            f"{owner} hyperprior: expected {name} to be a scalar numpyro distribution on "
            f"{within[2]}, found {found}"
        )


def _improper(distribution: Any) -> bool:
    """Whether it is, or is made from, a density that does not integrate to one."""
    if type(distribution).__name__ in ("ImproperUniform", "MaskedDistribution"):
        return True
    return hasattr(distribution, "base_dist") and _improper(distribution.base_dist)


def _support_within(support: Any, within: Range, constraints: Any) -> bool:
    lower, upper, _ = within
    if support is constraints.real:
        return lower == -math.inf and upper == math.inf
    if support is constraints.unit_interval:
        return True
    if support is constraints.positive or support is constraints.nonnegative:
        return upper == math.inf
    lower_bound = getattr(support, "lower_bound", None if lower > -math.inf else -math.inf)
    upper_bound = getattr(support, "upper_bound", math.inf)
    bounded = hasattr(support, "lower_bound") or hasattr(support, "upper_bound")
    if lower_bound is None or not bounded or getattr(support, "is_discrete", False):
        return False
    return bool(lower_bound >= lower) and bool(upper_bound <= upper)


def moments(*distributions: "Distribution") -> int:
    """How many finite moments (0, 1 or 2) all have that are known.

    Those of a prior carry over to the posterior: the likelihood is bounded.
    """

    def finite(distribution: "Distribution", name: str) -> bool:
        # NumPyro does not know those of every distribution, and divides by zero for some.
        try:
            return bool(jnp.isfinite(getattr(distribution, name)))
        except (NotImplementedError, ZeroDivisionError):
            return False

    orders = [(finite(d, "mean"), finite(d, "variance")) for d in distributions]
    return min(int(mean) + int(mean and variance) for mean, variance in orders)


def inverse_moments(distribution: "Distribution", power: int = 1) -> int:
    """How many finite moments (0, 1 or 2) of 1 / x^power are known to exist."""
    import numpyro.distributions as dist

    if isinstance(distribution, dist.LogNormal | dist.InverseGamma):
        return 2
    if isinstance(distribution, dist.Gamma):
        shape = float(distribution.concentration)
        return int(shape > power) + int(shape > 2 * power)
    return 2 if float(getattr(distribution.support, "lower_bound", 0.0)) > 0 else 0


def log_prob(distribution: "Distribution", value: Scalar) -> Scalar:
    """The distribution's log-density, -inf (not its formula's value) outside its support."""
    inside = distribution.support(value)
    safe = jnp.where(inside, value, distribution.support.feasible_like(value))
    return jnp.where(inside, distribution.log_prob(safe), -jnp.inf)
