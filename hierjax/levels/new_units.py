r"""Units that were not in the data: what their labs are once they are known too.

A unit's parameter given everything, its own data y among it, is

.. math:: p(\theta \mid Y, y) = \int p(\theta \mid \eta_g, y) \, p(\eta_g \mid Y, y) \, d\eta_g,
    \qquad p(\eta_g \mid Y, y) \propto p(y \mid \eta_g) \, p(\eta_g \mid Y)

of an old lab as of a new one, whose p(eta_g | Y) is the population of labs.
"""

from collections.abc import Callable
from functools import partial
from numbers import Real

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from hierjax.errors import InferenceError
from hierjax.families import AnyFamily
from hierjax.levels.appended import with_unit
from hierjax.levels.lab_posterior import LARGEST_LOSS
from hierjax.levels.labs import Labs
from hierjax.levels.result import GroupResult
from hierjax.levels.units import Mixtures, UnitAnswers, unit_answers

__all__ = ["mixtures_of", "new_unit_answers"]

# Draws that new data weigh, and how many of equal weight they have to be worth.
_DRAWS, _LEAST_WORTH = 4000, 100
Pair = tuple[Shaped[np.ndarray, "units"], Shaped[np.ndarray, "units"]]
# Fits the data again with a unit of a value and a size appended to a lab, None for one of its own;
# gives the position of the lab too.
Refit = Callable[[Real, Real, int | None], tuple[GroupResult, int]]


def mixtures_of(result: GroupResult, new: bool) -> Mixtures:
    """Weighted coordinates of all labs that were seen, or of one that was not."""
    if new:
        if result.new is not None:
            return Mixtures.of_lattice(result.new)
        assert result.new_draws is not None
        return Mixtures.of_draws(result.new_draws.reshape(-1, 1, 2))
    if result.labs is not None:
        return Mixtures.of_lattice(result.labs)
    assert result.lab_draws is not None
    return Mixtures.of_draws(result.lab_draws.reshape(-1, *result.lab_draws.shape[2:]))


def new_unit_answers(
    family: AnyFamily,
    labs: Labs,
    result: GroupResult,
    group: Int[np.ndarray, "units"] | None,
    pair: Pair,
    levels: Float[np.ndarray, "levels"],
    refit: Refit,
) -> UnitAnswers:
    """Posteriors of units that were not in the data, each as if it alone had been added to them.

    Nodes above the labs, which know nothing of a new unit, do not reach where one very unlike all
    others says that they should: then it is appended and all is fitted again.

    Args:
        family: Conjugate family.
        labs: The labs that were seen.
        result: What a method found of them.
        group: Position of each unit's lab; None of labs not seen.
        pair: What was observed of each unit, and its size.
        levels: Probabilities of the quantiles.
        refit: Fits again with a unit that is very unlike all others.

    Returns:
        The answers. Equal units are worked out once.

    Raises:
        InferenceError: If a unit is so unlike all others that its lab is not found even so.
    """
    of = np.zeros(len(pair[0]), int) if group is None else group
    keys = np.stack([of, *pair], axis=1).astype(np.float64)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    of, (value, size) = of[first], (column[first] for column in pair)
    tells = np.asarray(family.on_host.statistic(value, size)[1]) > 0
    found: list[tuple[np.ndarray, UnitAnswers]] = []

    def answer(chosen: Int[np.ndarray, "chosen"], mixtures: Mixtures, lab: np.ndarray) -> None:
        values, sizes = (column[chosen].astype(np.float64) for column in (value, size))
        found.append((chosen, unit_answers(family, mixtures, lab, values, sizes, levels)))

    silent, telling = np.flatnonzero(~tells), np.flatnonzero(tells)
    if len(silent):
        answer(silent, mixtures_of(result, group is None), of[silent])
    each = value[telling], size[telling]
    if len(telling) and result.top is None:
        mixtures = _weighed(family, result, of[telling], each, group is None)
        answer(telling, mixtures, np.arange(len(telling)))
    elif len(telling):
        assert result.top is not None
        assert result.lattice is not None
        at = None if group is None else of[telling]
        nodes = with_unit(family, labs, result.top, at, each, result.lattice)
        near = np.abs(nodes.total - 1) <= LARGEST_LOSS
        if near.any():
            mixtures = Mixtures.of_lattice(jax.tree.map(lambda x: x[near], nodes))
            answer(telling[near], mixtures, np.arange(near.sum()))
        for i in telling[~near]:
            again, lab = refit(
                value[i].item(), size[i].item(), None if group is None else int(of[i])
            )
            answer(np.array([i]), mixtures_of(again, new=False), np.array([lab]))
    order = np.argsort(np.concatenate([chosen for chosen, _ in found]))[inverse.ravel()]
    parts = zip(*(answers for _, answers in found), strict=True)
    return UnitAnswers(*(np.concatenate(x)[order] for x in parts))


@partial(jax.jit, static_argnums=0)
def _log_marginals(
    family: AnyFamily,
    points: Float[Array, "units one points 2"],
    values: Float[Array, "units"],
    sizes: Float[Array, "units"],
) -> Float[Array, "units one points"]:
    def one(value: Array, size: Array, eta: Array) -> Array:
        return family.log_marginal(value, size, family.constrain(eta))

    each = jax.vmap(jax.vmap(one, (None, None, 0)), (None, None, 0))
    return jax.lax.map(lambda x: each(*x), (values, sizes, points))


def _weighed(
    family: AnyFamily,
    result: GroupResult,
    lab: Int[np.ndarray, "units"],
    pair: Pair,
    new: bool,
) -> Mixtures:
    """Draws of each unit's lab, with the probability of its data as weights."""
    draws = result.new_draws if new else result.lab_draws
    assert draws is not None
    every = draws.reshape(-1, 1 if new else draws.shape[2], 2)
    kept = Mixtures.of_draws(every, _DRAWS).points[lab].astype(np.float64)
    with jax.enable_x64(True):
        logs = np.asarray(_log_marginals(family, *(jnp.asarray(x, float) for x in (kept, *pair))))
    with np.errstate(invalid="ignore"):
        weights = np.exp(logs - logs.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    worth = 1 / np.sum(weights**2, axis=2)[:, 0]
    least = min(_LEAST_WORTH, weights.shape[2] / 2)
    if not worth.min() >= least:
        value, size = (column[np.argmin(worth)] for column in pair)
        raise InferenceError(
            f"new unit of {value:g} and {size:g}: expected draws of its group that agree with it "
            f"and are worth at least {least:.0f}, found {worth.min():.0f}; append it to the data "
            "and fit again, use GroupQuadrature, or take more draws"
        )
    return Mixtures(kept, weights, np.zeros_like(weights), weights)
