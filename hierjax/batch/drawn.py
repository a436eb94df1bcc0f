"""Draws of hyperparameters and rates, in compiled code: chains of several data sets together."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from hierjax.batch.plan import DataSetArrays
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.inference import NUTS, CollapsedGibbs, Gibbs
from hierjax.inference.gibbs import GibbsData
from hierjax.inference.nuts import NutsData
from hierjax.inference.quadrature import QuadratureResult, propose
from hierjax.model import Model
from hierjax.tally import TallyArrays

__all__ = ["Chains", "chains_of", "evenly_spaced", "independent_draws", "rates_given"]

# Proposals for each draw that is missing in a round, and rounds after which a lattice is at fault.
_PROPOSALS, _MOST_ROUNDS = 2, 50


class Chains(NamedTuple):
    """What samplers draw.

    Attributes:
        eta: All draws of the working coordinates that are kept.
        divergent: Whether a trajectory diverged after warm-up.
    """

    eta: Float[Any, "*batch chains draws 2"]
    divergent: Bool[Any, "*batch"]


def chains_of(kernel: NUTS | Gibbs | CollapsedGibbs, model: Model, data: DataSetArrays) -> Chains:
    """Runs a sampler on several data sets, step by step together.

    A step's key depends on its index alone, as in `hierjax.inference.sampling`.

    Args:
        kernel: The sampler's settings.
        model: Family and hyperprior.
        data: The data sets.

    Returns:
        Their chains.
    """
    kernel = replace(kernel, store_units=False)
    thinning = 1 if isinstance(kernel, NUTS) else kernel.thinning

    def given(data: DataSetArrays) -> Any:
        arrays = (model, data.tally, data.unit_successes, data.unit_trials, data.present)
        return NutsData(*arrays) if isinstance(kernel, NUTS) else GibbsData(*arrays)

    @jax.vmap
    def begin(data: DataSetArrays) -> tuple[Any, Key[Array, ""]]:
        key_method, _ = jax.random.split(data.key)
        key_start, key_walk = jax.random.split(key_method)
        return kernel.init(given(data), key_start), key_walk

    started, walks = begin(data)

    # One loop for the steps of warm-up, those kept and those between: a step is compiled once. It
    # is around the data sets, as a loop within them is traced once more for all that differs.
    def advance(index: Int[Array, ""], carried: tuple[Any, Array, Array]) -> tuple[Any, ...]:
        def one(data: DataSetArrays, walk: Key[Array, ""], state: Any) -> tuple[Any, Any]:
            return kernel.step(given(data), jax.random.fold_in(walk, index), state, index)

        state, kept, divergent = carried
        state, output = jax.vmap(one)(data, walks, state)
        draw, between = jnp.divmod(index - kernel.warmup, thinning)
        is_kept = (draw >= 0) & (between == 0)
        place = jnp.maximum(draw, 0)
        kept = kept.at[place].set(jnp.where(is_kept, output["eta"], kept[place]))
        diverges = output.get("divergent", jnp.zeros((len(divergent), 1), bool))
        return state, kept, divergent | (is_kept & jnp.any(diverges, axis=1))

    batch, steps = len(data.key), kernel.warmup + kernel.draws * thinning
    kept = jnp.zeros((kernel.draws, batch, kernel.chains, 2), data.trials.dtype)
    carried = started, kept, jnp.zeros(batch, bool)
    _, eta, divergent = jax.lax.fori_loop(0, steps, advance, carried)
    return Chains(jnp.moveaxis(eta, 0, 2), divergent)


def evenly_spaced(chains: Float[Array, "chains draws 2"], draws: int) -> Float[Array, "{draws} 2"]:
    """So many of all chains' draws, one chain after the other."""
    points = chains.reshape(-1, 2)
    return points[np.linspace(0, len(points) - 1, draws).round().astype(int)]


def independent_draws(
    model: Model,
    tally: TallyArrays,
    found: QuadratureResult,
    key: Key[Array, ""],
    draws: int,
) -> Float[Array, "{draws} 2"]:
    """Independent draws under quadrature's lattice, as `hierjax.inference.quadrature.draw` has.

    Args:
        model: Family and hyperprior.
        tally: The units.
        found: Their posterior.
        key: Typed key.
        draws: Number of draws.

    Returns:
        Working coordinates; NaN for those that a lattice gone wrong has not.
    """
    dtype = found.log_evidence.dtype

    def missing(state: tuple[Array, Array, Array]) -> Array:
        return (state[0] < draws) & (state[1] < _MOST_ROUNDS)

    def propose_more(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        kept, turn, points = state
        proposals = _PROPOSALS * draws + 8
        proposed, accepted = propose(
            model, tally, found.lattice, jax.random.fold_in(key, turn), proposals
        )
        # What is refused, and what there is no room for, goes to a place that is not there.
        place = jnp.where(accepted, kept + jnp.cumsum(accepted) - 1, draws)
        points = points.at[place].set(proposed, mode="drop")
        return kept + jnp.sum(accepted), turn + 1, points

    start = jnp.asarray(0), jnp.asarray(0), jnp.full((draws, 2), jnp.nan, dtype)
    return jax.lax.while_loop(missing, propose_more, start)[2]


def rates_given(
    points: Float[Array, "draws 2"], data: DataSetArrays, key: Key[Array, ""]
) -> Float[Array, "draws rates"]:
    """Rates of some units, one for each draw of the hyperparameters, by conjugacy."""
    pairs = data.rate_successes, data.rate_trials
    logit = BetaBinomial.draw_posterior(key, points, *pairs)
    return jax.nn.sigmoid(jnp.where(jnp.isposinf(points[:, 1:]), points[:, :1], logit))
