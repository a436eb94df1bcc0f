"""Hyperpriors: densities of the hyperparameters, kept apart from the families.

Each gives its log-density on the working coordinates eta = (logit_mean, log_concentration),
Jacobian included, and says which data make the posterior proper.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hierjax.errors import ModelError

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

__all__ = [
    "HYPERPRIORS",
    "Hyperprior",
    "MeanConcentration",
    "PowerLaw",
    "Shapes",
    "check_proper",
    "unchecked",
]

Scalar = Float[Array, ""]


@runtime_checkable
class Hyperprior(Protocol):
    """What every hyperprior answers."""

    kind: ClassVar[str]
    proper: ClassVar[bool]

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates."""
        ...

    def impropriety(self, interior: float) -> str | None:
        """Why the posterior would be improper, or None if it is proper."""
        ...

    def concentration_moments(self) -> int:
        """How many posterior moments (0, 1 or 2) of the concentration are known to exist."""
        ...


def _log_mean_pair(eta: Float[Array, "2"]) -> tuple[Scalar, Scalar]:
    return jax.nn.log_sigmoid(eta[0]), jax.nn.log_sigmoid(-eta[0])


@dataclass(frozen=True)
class PowerLaw:
    r"""The improper hyperprior p(alpha, beta) proportional to (alpha + beta)^(-exponent).

    On the working coordinates, with Jacobian alpha beta,

    .. math:: \log p(u, w) = (2 - a) w + \log m + \log(1 - m)

    The default exponent a = 5/2 is Gelman et al., *Bayesian Data Analysis*, eq. 5.9. As w grows
    the likelihood tends to complete pooling's, so a must exceed 2; as w falls it vanishes like
    exp(w) once for every unit with 0 < y < n, so a must be less than 2 plus their number.

    Args:
        exponent: a, above 2.

    Raises:
        ModelError: If the exponent is not a finite number above 2.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{PowerLaw().log_density(jnp.array([0.0, 2.0])):.6f}")  # -1 + 2 log(1/2)
        -2.386294
    """

    exponent: float = 2.5

    kind: ClassVar[str] = "power_law"
    proper: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 2 < self.exponent < math.inf:
            raise ModelError(
                f"power_law hyperprior: expected a finite exponent above 2 (with 2 or less the "
                f"posterior is improper whatever the data), found {self.exponent}"
            )

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates, up to the constant an improper one lacks."""
        log_m, log_c = _log_mean_pair(eta)
        return (2.0 - self.exponent) * eta[1] + log_m + log_c

    def impropriety(self, interior: float) -> str | None:
        """Says what is missing when too few units have 0 < successes < trials."""
        if interior > self.exponent - 2:
            return None
        return (
            f"posterior is improper: under (alpha+beta)^(-{self.exponent:g}) the number of units "
            f"with 0 < successes < trials must exceed {self.exponent - 2:g}, found {interior:g}. "
            "Use a proper hyperprior: mean_concentration (e.g. mean Uniform(0, 1), concentration "
            "LogNormal(2, 1.5)) or shapes (e.g. alpha and beta HalfNormal(10))"
        )

    def concentration_moments(self) -> int:
        """The posterior's tail in w falls like exp(-(a - 2) w)."""
        return int(self.exponent > 3) + int(self.exponent > 4)


def _check_distribution(
    owner: str, name: str, distribution: Any, upper: float, expected: str
) -> None:
    from numpyro.distributions import Distribution, constraints

    found = None
    if not isinstance(distribution, Distribution):
        found = f"{type(distribution).__name__}"
    elif distribution.batch_shape or distribution.event_shape:
        found = f"{type(distribution).__name__} of shape {distribution.shape()}"
    elif _improper(distribution):
        found = "an improper distribution"
    elif not _support_within(distribution.support, upper, constraints):
        found = f"{type(distribution).__name__} with support {distribution.support}"
    if found:
        raise ModelError(
            f"{owner} hyperprior: expected {name} to be a scalar numpyro distribution on "
            f"{expected}, found {found}"
        )


def _improper(distribution: Any) -> bool:
    """Whether it is, or is made from, a density that does not integrate to one."""
    if type(distribution).__name__ in ("ImproperUniform", "MaskedDistribution"):
        return True
    return hasattr(distribution, "base_dist") and _improper(distribution.base_dist)


def _support_within(support: Any, upper: float, constraints: Any) -> bool:
    if support is constraints.unit_interval:
        return True
    if support is constraints.positive or support is constraints.nonnegative:
        return upper == math.inf
    lower_bound = getattr(support, "lower_bound", None)
    upper_bound = getattr(support, "upper_bound", math.inf)
    if lower_bound is None or getattr(support, "is_discrete", False):
        return False
    return bool(lower_bound >= 0) and bool(upper_bound <= upper)


def _moments(*distributions: "Distribution") -> int:
    """Finite moments of the prior carry over: the likelihood is bounded."""

    def finite(distribution: "Distribution", name: str) -> bool:
        # NumPyro does not know those of every distribution, and divides by zero for some.
        try:
            return bool(jnp.isfinite(getattr(distribution, name)))
        except (NotImplementedError, ZeroDivisionError):
            return False

    orders = [(finite(d, "mean"), finite(d, "variance")) for d in distributions]
    return min(int(mean) + int(mean and variance) for mean, variance in orders)


@dataclass(frozen=True)
class MeanConcentration:
    r"""Independent proper densities of the mean and the concentration.

    .. math:: \log p(u, w) = \log p(m) + \log m(1 - m) + \log p(\kappa) + w

    Args:
        mean: A numpyro distribution on (0, 1).
        concentration: A numpyro distribution on positive numbers.

    Raises:
        ModelError: If one of them is not a scalar, proper, continuous distribution there.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpyro.distributions as dist
        >>> hyperprior = MeanConcentration(dist.Uniform(0.0, 1.0), dist.LogNormal(2.0, 1.0))
        >>> print(f"{hyperprior.log_density(jnp.array([0.0, 2.0])):.6f}")
        -2.305233
    """

    mean: "Distribution"
    concentration: "Distribution"

    kind: ClassVar[str] = "mean_concentration"
    proper: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _validate(self, {"mean": (1.0, "(0, 1)"), "concentration": (math.inf, "(0, inf)")})

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates."""
        log_m, log_c = _log_mean_pair(eta)
        m, kappa = jax.nn.sigmoid(eta[0]), jnp.exp(eta[1])
        return (
            _log_prob(self.mean, m) + log_m + log_c + _log_prob(self.concentration, kappa) + eta[1]
        )

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "*batch 2"]:
        """Draws working coordinates from the hyperprior."""
        key_mean, key_concentration = jax.random.split(key)
        m = self.mean.sample(key_mean, shape)
        kappa = self.concentration.sample(key_concentration, shape)
        return jnp.stack([jnp.log(m) - jnp.log1p(-m), jnp.log(kappa)], axis=-1)

    def impropriety(self, interior: float) -> str | None:
        """A proper hyperprior has a proper posterior."""
        return None

    def concentration_moments(self) -> int:
        """Those of the concentration's own density."""
        return _moments(self.concentration)


@dataclass(frozen=True)
class Shapes:
    r"""Independent proper densities of the two shape parameters.

    .. math:: \log p(u, w) = \log p(\alpha) + \log\alpha + \log p(\beta) + \log\beta

    Args:
        alpha: A numpyro distribution on positive numbers.
        beta: Likewise.

    Raises:
        ModelError: If one of them is not a scalar, proper, continuous distribution there.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpyro.distributions as dist
        >>> hyperprior = Shapes(dist.Exponential(1.0), dist.Exponential(1.0))
        >>> print(f"{hyperprior.log_density(jnp.array([0.0, jnp.log(2.0)])):.6f}")
        -2.000000
    """

    alpha: "Distribution"
    beta: "Distribution"

    kind: ClassVar[str] = "shapes"
    proper: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _validate(self, {"alpha": (math.inf, "(0, inf)"), "beta": (math.inf, "(0, inf)")})

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates."""
        log_m, log_c = _log_mean_pair(eta)
        log_alpha, log_beta = log_m + eta[1], log_c + eta[1]
        return (
            _log_prob(self.alpha, jnp.exp(log_alpha))
            + log_alpha
            + _log_prob(self.beta, jnp.exp(log_beta))
            + log_beta
        )

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "*batch 2"]:
        """Draws working coordinates from the hyperprior."""
        key_alpha, key_beta = jax.random.split(key)
        alpha, beta = self.alpha.sample(key_alpha, shape), self.beta.sample(key_beta, shape)
        return jnp.stack([jnp.log(alpha) - jnp.log(beta), jnp.log(alpha + beta)], axis=-1)

    def impropriety(self, interior: float) -> str | None:
        """A proper hyperprior has a proper posterior."""
        return None

    def concentration_moments(self) -> int:
        """Those that both shape parameters have."""
        return _moments(self.alpha, self.beta)


def _validate(hyperprior: Any, bounds: dict[str, tuple[float, str]]) -> None:
    for name, (upper, expected) in bounds.items():
        _check_distribution(hyperprior.kind, name, getattr(hyperprior, name), upper, expected)


def _log_prob(distribution: "Distribution", value: Scalar) -> Scalar:
    """The distribution's log-density, -inf (not its formula's value) outside its support."""
    inside = distribution.support(value)
    safe = jnp.where(inside, value, distribution.support.feasible_like(value))
    return jnp.where(inside, distribution.log_prob(safe), -jnp.inf)


def unchecked(cls: type, parts: Mapping[str, Any]) -> Any:
    """A hyperprior of these parts, which may be traced, as they are."""
    value: Any = object.__new__(cls)
    for name, part in parts.items():
        object.__setattr__(value, name, part)
    return value


def _register(cls: type) -> None:
    """Makes a hyperprior a pytree of its parameters; rebuilding one does not check it again."""
    names = [field.name for field in fields(cls)]

    def flatten(value: Any) -> tuple[list[Any], Any]:
        parts = [getattr(value, name) for name in names]
        leaves, structure = jax.tree.flatten(parts)
        order = _by_name(parts)
        return [leaves[i] for i in order], (structure, order)

    def unflatten(arrangement: Any, leaves: Any) -> Any:
        structure, order = arrangement
        places = dict(zip(order, leaves, strict=True))
        parts = jax.tree.unflatten(structure, [places[i] for i in range(len(order))])
        return unchecked(cls, dict(zip(names, parts, strict=True)))

    jax.tree_util.register_pytree_node(cls, flatten, unflatten)


def _by_name(parts: list[Any]) -> tuple[int, ...]:
    """The leaves' order by name.

    NumPyro's own is that of a set, another in every process: compiled code that is kept would be
    of no use to the next one.
    """

    def name(path: Any) -> str:
        node, found = parts[path[0].idx], [f"{path[0].idx}"]
        for key in path[1:]:
            # Constraints and transforms within a distribution have an order of their own.
            fields_of = getattr(node, "gather_pytree_data_fields", None)
            found.append(fields_of()[key.key] if fields_of else str(key))
            node = getattr(node, found[-1], None) if fields_of else None
        return "/".join(found)

    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(parts)[0]]
    return tuple(sorted(range(len(paths)), key=lambda i: name(paths[i])))


for _cls in (PowerLaw, MeanConcentration, Shapes):
    _register(_cls)


HYPERPRIORS: dict[str, type] = {cls.kind: cls for cls in (PowerLaw, MeanConcentration, Shapes)}


def check_proper(hyperprior: Hyperprior, interior: float) -> None:
    """Refuses data for which the posterior would be improper.

    Args:
        hyperprior: The hyperprior.
        interior: Number (or weight) of the units with 0 < successes < trials.

    Raises:
        ModelError: If the posterior would be improper; the message names proper hyperpriors.
    """
    message = hyperprior.impropriety(interior)
    if message:
        raise ModelError(message)
