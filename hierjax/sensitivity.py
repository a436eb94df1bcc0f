"""Sensitivity: how answers move with the parameters of the hyperprior."""

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.effects import posterior_effects
from hierjax.errors import InferenceError
from hierjax.followed import Followed, New
from hierjax.hyperpriors import Hyperprior, unchecked
from hierjax.influence import columns_of
from hierjax.table import Table

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["sensitivity"]

_NUDGE = 1e-3


def sensitivity(
    fit: "Fit",
    of: str | Sequence[str] = (),
    *,
    new: New = (),
    levels: float | Sequence[float] = (),
    above: float | Sequence[float] = (),
) -> Table:
    r"""Derivative of answers with respect to the hyperprior's parameters.

    .. math:: \frac{\partial}{\partial\lambda} E[g(\eta) \mid Y] = \mathrm{Cov}\Big(g(\eta),
        \frac{\partial \log p(\eta \mid \lambda)}{\partial\lambda}\Big)

    and the mean of the second for log_evidence. NaN marks what does not exist: the evidence
    under an improper hyperprior, whose constant is arbitrary, and derivatives with respect to an
    end of a distribution's support (as of Uniform's), where the density jumps. Parameters are
    those that the distributions are made from, if they are numbers.

    Args:
        fit: By quadrature or a sampler.
        of: Labels of units whose rate is followed too.
        new: Value and size of new units whose rate or effect is followed.
        levels: Probabilities of quantiles that are followed.
        above: Thresholds that rates may exceed.

    Returns:
        One row a parameter: parameter, value, then derivatives as in `influence`.

    Raises:
        InferenceError: If the hyperprior does not enter the method.
        DataError: If there is no unit, or more than one, of a label, or a new unit's counts break
            a rule.
        ConfigError: If a level or a threshold is out of its range, or anything is asked twice.

    Example:
        >>> import hierjax as hj
        >>> table = hj.fit(hj.datasets.rat_tumors()).sensitivity()
        >>> print(table["parameter"][0], f"{table['log_concentration'][0]:.3f}")
        exponent -0.119
    """
    if fit.is_estimate:
        raise InferenceError(
            f"{fit.method.name}: the hyperprior does not enter, so nothing depends on it"
        )
    asked = Followed.of(fit.counts, of, new, levels, above, fit.model.family)
    points, weights, centered = posterior_effects(fit, asked)
    hyperprior = fit.model.hyperprior
    parameters = dict(_parameters(hyperprior))
    rows = []
    for name, value in parameters.items():
        if _moves_support(hyperprior, name, value):
            rows.append(np.full(centered.shape[1] + 1, np.nan))
            continue
        slopes = _slopes(hyperprior, name, value, points)
        expected = weights @ slopes if hyperprior.proper else jnp.nan
        moved = (slopes - weights @ slopes) @ centered
        rows.append(np.append(np.asarray(moved, np.float64), float(expected)))
    values = np.array(rows).reshape(len(rows), centered.shape[1] + 1).T
    given = {"parameter": list(parameters), "value": list(parameters.values())}
    return Table({**given, **columns_of(values, asked)})


def _slopes(
    hyperprior: Hyperprior, name: str, value: float, points: Float[Array, "points 2"]
) -> Float[Array, "points"]:
    """Derivative of the hyperprior's log-density with respect to one parameter, at all points."""

    def log_density(value: Float[Array, ""]) -> Float[Array, "points"]:
        return jax.vmap(_replaced(hyperprior, name, value).log_density)(points)

    return jax.jit(jax.jacfwd(log_density))(jnp.asarray(value, points.dtype))


def _parts(value: Any) -> dict[str, Any]:
    """What a hyperprior or a distribution is made from, by name."""
    if isinstance(value, Hyperprior):
        return dict(vars(value))
    names = [name for name in inspect.signature(type(value)).parameters if name != "validate_args"]
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _is_number(value: Any) -> bool:
    return bool(np.size(value) == 1 and np.asarray(value).dtype.kind in "iuf")


def _parameters(value: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    from numpyro.distributions import Distribution

    for name, part in _parts(value).items():
        if isinstance(part, Distribution):
            yield from _parameters(part, f"{prefix}{name}.")
        elif _is_number(part):
            yield f"{prefix}{name}", float(part)


def _replaced(owner: Any, name: str, value: Any) -> Any:
    """The hyperprior or distribution with one parameter replaced, its value not looked at."""
    first, _, rest = name.partition(".")
    parts = _parts(owner)
    parts[first] = _replaced(parts[first], rest, value) if rest else value
    if isinstance(owner, Hyperprior):
        return unchecked(type(owner), parts)
    return type(owner)(**parts)


def _moves_support(hyperprior: Hyperprior, name: str, value: float) -> bool:
    """Whether an end of the support is where this parameter says."""
    first, _, rest = name.partition(".")
    if not rest:
        return False

    def ends(distribution: Any) -> list[float]:
        support = distribution.support
        bounds = (getattr(support, end, np.nan) for end in ("lower_bound", "upper_bound"))
        return [float(bound) for bound in bounds]

    owner = vars(hyperprior)[first]
    nudged = _replaced(owner, rest, value + _NUDGE * max(1.0, abs(value)))
    return not np.array_equal(ends(owner), ends(nudged), equal_nan=True)
