"""Gibbs-within-Metropolis: the textbook sampler of the joint posterior.

A sweep draws every unit's parameter from its conjugate conditional, exactly, and then moves the
hyperparameters by Metropolis steps with normal proposals. Given the units, the hyperparameters see
only a few sums over them, so a Metropolis step costs the same for any J.
"""

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hierjax.errors import ModelError
from hierjax.inference.convergence import after_warmup, result_of_draws
from hierjax.inference.metropolis import metropolis
from hierjax.inference.result import Problem, Result, UnitData
from hierjax.inference.sampling import (
    compile_ahead,
    overdispersed_starts,
    sample,
    side_by_side,
)
from hierjax.inference.stopwatch import Stopwatch
from hierjax.model import Model

__all__ = ["Gibbs", "GibbsData", "GibbsState", "draw_places"]

Pair = Float[Array, "2"]
Scalar = Float[Array, ""]
Places = Float[Array, "chains units"]
# Acceptance rates that mix fastest for one and for two normal coordinates
# (Gelman, Roberts & Gilks 1996, "Efficient Metropolis jumping rules", table 1).
_TARGET_ONE, _TARGET_BLOCK = 0.44, 0.35
# Keeps the running covariance positive definite in float32.
_RIDGE = 1e-5


class GibbsState(NamedTuple):
    """What the next sweep needs. Chains in lockstep share their proposals.

    Attributes:
        eta: Working coordinates.
        log_scale: Log of the proposals' scales; of a block, of the factor of its covariance's root.
        log_interweaving: Log of that factor for the interweaving steps.
        center: Running mean of the sampled coordinates, for block proposals.
        covariance: Their running covariance.
    """

    eta: Float[Array, "chains 2"]
    log_scale: Float[Array, "2"]
    log_interweaving: Scalar
    center: Pair
    covariance: Float[Array, "2 2"]


class GibbsData(NamedTuple):
    """The model and its data, as a kernel is given them.

    Attributes:
        model: Family and hyperprior.
        tally: The units' tally.
        values: What is observed of every unit.
        sizes: What is known of it.
        present: One; zero for what fills a smaller data set up, and is not seen.
    """

    model: Model
    tally: Any
    values: Float[Array, "units"]
    sizes: Float[Array, "units"]
    present: Float[Array, "units"]

    @classmethod
    def of(cls, model: Model, tally: Any, units: UnitData) -> "GibbsData":
        """Of one data set."""
        arrays = units.values, units.sizes, np.ones_like(units.sizes)
        return cls(*jax.tree.map(jnp.asarray, (model, tally, *arrays)))

    def populations(self, eta: Float[Array, "chains 2"]) -> Any:
        """The population of every chain, to be broadcast against units."""
        populations = jax.vmap(self.model.family.constrain)(eta)
        return jax.tree.map(lambda x: x[:, None], populations)


_Positive = Annotated[int, Field(gt=0, strict=True)]
_Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def draw_places(data: GibbsData, key: Key[Array, ""], eta: Float[Array, "chains 2"]) -> Places:
    """Draws every unit's place from its conjugate conditional."""
    family = data.model.family
    return family.draw(key, family.update(data.values, data.sizes, data.populations(eta)))


def _standardization(data: GibbsData, eta: Float[Array, "chains 2"]) -> tuple[Places, Places]:
    """About the mean and standard deviation of every unit's place."""
    return data.model.family.place(data.values, data.sizes, data.populations(eta))


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Gibbs:
    """Gibbs-within-Metropolis sampling of all units' parameters and both hyperparameters.

    Args:
        chains: Chains, run in lockstep.
        warmup: Sweeps dropped at the start of every chain; proposals adapt only in them.
        draws: Draws kept of every chain.
        thinning: Sweeps for each draw kept.
        coordinates: In which the normal proposals are made: `mean_concentration` is
            the working coordinates, such as (logit_mean, log_concentration); `alpha_beta` is
            (alpha, beta) as in the textbook, which a Beta population alone has.
        block: Whether to propose both at once; otherwise one at a time, all else held.
        metropolis_steps: Metropolis steps of the hyperparameters in every sweep.
        interweaving: Further such steps, before those, that hold not the units' parameters but
            their standardised places, such as log-odds, so that the units move along.
        proposal_scales: Standard deviations of the proposals, fixed; adapted by default.
        store_units: Whether to keep the draws of every unit's parameter.
        chunk: Sweeps between progress reports and checkpoints; does not affect the draws.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> method = hj.Gibbs(warmup=500, draws=2_000)
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=method, key=jax.random.key(0))
        >>> fit.draws.shape
        (4, 2000, 2)
    """

    chains: _Positive = 4
    warmup: Annotated[int, Field(ge=0, strict=True)] = 2000
    draws: _Positive = 20_000
    thinning: _Positive = 1
    coordinates: Literal["mean_concentration", "alpha_beta"] = "mean_concentration"
    block: bool = False
    metropolis_steps: _Positive = 4
    interweaving: Annotated[int, Field(ge=0, strict=True)] = 0
    proposal_scales: tuple[_Scale, _Scale] | None = None
    store_units: bool = False
    chunk: _Positive = 1000

    name: ClassVar[str] = "gibbs"

    def init(self, data: GibbsData, key: Key[Array, ""]) -> GibbsState:
        """Overdispersed starts, and proposals of a fifth of the coordinates' size."""
        eta = overdispersed_starts(data.model, data.tally, key, self.chains)
        center = jax.vmap(self._to_coordinates)(eta).mean(axis=0)
        scales, unit = self.proposal_scales, data.model.family.frame(data.tally).scale
        units = jnp.stack([unit, jnp.ones_like(unit)])
        first = 0.2 * (jnp.abs(center) if self.coordinates == "alpha_beta" else units)
        scale = jnp.asarray(first if scales is None else scales, center.dtype)
        log_scale = jnp.zeros_like(scale) if self.block else jnp.log(scale)
        return GibbsState(eta, log_scale, jnp.zeros((), eta.dtype), center, jnp.diag(scale**2))

    def step(
        self, data: GibbsData, key: Key[Array, ""], state: GibbsState, index: Int[Array, ""]
    ) -> tuple[GibbsState, dict[str, Array]]:
        """One sweep of every chain: all units, then the hyperparameters."""
        key_units, key_interweaving, key_hyper = jax.random.split(key, 3)
        places = draw_places(data, key_units, state.eta)
        eta, accepted = state.eta, jnp.ones(self.chains, places.dtype)
        if self.interweaving:
            eta, places, accepted = self._interweave(data, key_interweaving, state, places)
        seen = data.model.family.seen(places, data.present)
        eta, acceptance = self._move(data.model, key_hyper, state._replace(eta=eta), seen)
        if self.proposal_scales is None:
            adapted = self._adapt(state, eta, acceptance, accepted, index)
            warming = index < self.warmup
            state = jax.tree.map(lambda new, old: jnp.where(warming, new, old), adapted, state)
        output = {"eta": eta, "acceptance": acceptance, "scale": self._scales(state)}
        if self.store_units:
            output["theta"] = data.model.family.parameter_at(places)
        return state._replace(eta=eta), output

    def _scales(self, state: GibbsState) -> Float[Array, "chains 2"]:
        """Standard deviations of the proposals."""
        scale = jnp.exp(state.log_scale)
        if self.block:
            scale *= jnp.sqrt(jnp.diagonal(state.covariance))
        return jnp.broadcast_to(scale, state.eta.shape)

    def _move(
        self, model: Model, key: Key[Array, ""], state: GibbsState, seen: Any
    ) -> tuple[Float[Array, "chains 2"], Float[Array, "chains 2"]]:
        """Metropolis steps of the hyperparameters, all units held."""

        def log_target(x: Float[Array, "chains 2"]) -> Float[Array, "chains"]:
            return jax.vmap(self._log_conditional, in_axes=(None, 0, 0))(model, x, seen)

        scale = jnp.exp(state.log_scale)
        if self.block:
            moves = scale[0] * jnp.linalg.cholesky(state.covariance)[None]
        else:
            moves = jnp.eye(2, dtype=scale.dtype)[:, :, None] * jnp.diag(scale)
        x = jax.vmap(self._to_coordinates)(state.eta)
        x, acceptance = metropolis(key, x, log_target, moves, self.metropolis_steps)
        eta = jax.vmap(self._from_coordinates)(x)
        return eta, jnp.broadcast_to(acceptance, eta.shape)

    def _interweave(
        self,
        data: GibbsData,
        key: Key[Array, ""],
        state: GibbsState,
        places: Places,
    ) -> tuple[Float[Array, "chains 2"], Places, Float[Array, "chains"]]:
        r"""Metropolis steps of the hyperparameters that take the units along.

        Held are the units' standardised places (z - location) / scale, location and scale those of
        `_standardization`: the target has the Jacobian of z by them.
        """
        family = data.model.family
        location, scale = _standardization(data, state.eta)
        standard = (places - location) / scale

        def log_target(x: Float[Array, "chains 2"]) -> Float[Array, "chains"]:
            location, scale = _standardization(data, jax.vmap(self._from_coordinates)(x))
            places = location + scale * standard
            likelihood = family.log_likelihood_kernel(data.values, data.sizes, places)
            seen = family.seen(places, data.present)
            prior = jax.vmap(self._log_conditional, in_axes=(None, 0, 0))(data.model, x, seen)
            return prior + (data.present * (likelihood + jnp.log(scale))).sum(axis=1)

        moves = jnp.exp(state.log_interweaving) * jnp.linalg.cholesky(state.covariance)[None]
        x = jax.vmap(self._to_coordinates)(state.eta)
        x, acceptance = metropolis(key, x, log_target, moves, self.interweaving)
        eta = jax.vmap(self._from_coordinates)(x)
        location, scale = _standardization(data, eta)
        return eta, location + scale * standard, acceptance[:, 0]

    def _log_conditional(self, model: Model, x: Pair, seen: Any) -> Scalar:
        r"""log p(x | z), x in the coordinates of the proposals; -inf outside their range.

        .. math:: \log p(\eta \mid z) = \log p(\eta) + \sum_j \log p(z_j \mid \eta)
        """
        inside = jnp.all(x > 0) if self.coordinates == "alpha_beta" else jnp.asarray(True)
        x = jnp.where(inside, x, jnp.ones_like(x))
        eta = self._from_coordinates(x)
        log_density = model.hyperprior.log_density(eta) + model.family.log_prior_units(
            seen, model.family.constrain(eta)
        )
        if self.coordinates == "alpha_beta":
            log_density -= jnp.sum(jnp.log(x))  # from a density on the working coordinates
        return jnp.where(inside & ~jnp.isnan(log_density), log_density, -jnp.inf)

    def _to_coordinates(self, eta: Pair) -> Pair:
        if self.coordinates == "mean_concentration":
            return eta
        log_means = jnp.stack([jax.nn.log_sigmoid(eta[0]), jax.nn.log_sigmoid(-eta[0])])
        return jnp.exp(eta[1] + log_means)

    def _from_coordinates(self, x: Pair) -> Pair:
        if self.coordinates == "mean_concentration":
            return x
        return jnp.stack([jnp.log(x[0]) - jnp.log(x[1]), jnp.log(x[0] + x[1])])

    def _adapt(
        self,
        state: GibbsState,
        eta: Float[Array, "chains 2"],
        acceptance: Float[Array, "chains 2"],
        interweaving: Float[Array, "chains"],
        index: Int[Array, ""],
    ) -> GibbsState:
        """Robbins-Monro steps of the scales towards the target acceptance, and of the moments."""
        # The first gain is below one: one point makes no covariance.
        gain = (index.astype(eta.dtype) + 2) ** -0.6
        target = _TARGET_BLOCK if self.block else _TARGET_ONE
        away = jax.vmap(self._to_coordinates)(eta) - state.center
        spread = state.covariance + gain * (away.T @ away / len(away) - state.covariance)
        return GibbsState(
            state.eta,
            state.log_scale + gain * (acceptance.mean(axis=0) - target),
            state.log_interweaving + gain * (interweaving.mean() - _TARGET_BLOCK),
            state.center + gain * away.mean(axis=0),
            spread + _RIDGE * jnp.diag(state.covariance.diagonal()),
        )

    def _data(self, problem: Problem) -> GibbsData:
        family = problem.model.family
        if self.coordinates == "alpha_beta" and not {"alpha", "beta"} <= {
            *family.hyperparameters.names
        }:
            raise ModelError(
                f"gibbs: expected coordinates mean_concentration, as {family.name} has no alpha "
                "and beta"
            )
        return GibbsData.of(problem.model, problem.proper_tally(), problem.units())

    def compile(self, problem: Problem) -> None:
        """Compiles what `run` will need, as another method runs."""
        steps = self.warmup + self.draws * self.thinning
        compile_ahead(
            self, self._data(problem), problem, steps, self.chunk, side_by_side(self.chains)
        )

    def run(self, problem: Problem) -> Result:
        """Samples and judges the draws; see `Gibbs`."""
        data, steps = self._data(problem), self.warmup + self.draws * self.thinning
        with Stopwatch() as watch:
            outputs = sample(self, data, problem, steps, self.chunk, side_by_side(self.chains))
        kept = after_warmup(outputs, self.warmup, self.thinning)
        info = {
            "acceptance": kept["acceptance"].mean(axis=1),
            "proposal_scales": kept["scale"][:, -1],
            "per_draw": {"acceptance_rate": kept["acceptance"].mean(axis=-1)},
        }
        return result_of_draws(kept, info, watch.seconds)
