"""Gibbs-within-Metropolis: the textbook sampler of the joint posterior.

A sweep draws every rate from its Beta conditional, exactly, and then moves the hyperparameters by
Metropolis steps with normal proposals. Given the rates, the hyperparameters see only their number
and the sums of log theta and log(1 - theta), so a Metropolis step costs the same for any J.
"""

from typing import Annotated, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hierjax.hyperpriors import check_proper
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
from hierjax.log_gamma import log_rates, logit_beta_draws
from hierjax.model import Model
from hierjax.tally import Tally, TallyArrays

__all__ = ["Gibbs", "GibbsData", "GibbsState", "conjugate_shapes"]

Pair = Float[Array, "2"]
Scalar = Float[Array, ""]
Rates = Float[Array, "chains units"]
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
        successes: y of every unit.
        failures: n - y.
        present: One; zero for what fills a smaller data set up, and is not seen.
    """

    model: Model
    tally: TallyArrays
    successes: Float[Array, "units"]
    failures: Float[Array, "units"]
    present: Float[Array, "units"]

    @classmethod
    def of(cls, model: Model, tally: TallyArrays, units: UnitData) -> "GibbsData":
        """Of one data set."""
        arrays = units.successes, units.trials - units.successes, np.ones_like(units.trials)
        return cls(*jax.tree.map(jnp.asarray, (model, tally, *arrays)))

    def seen(self, log_theta: Rates, log_complement: Rates) -> "SufficientStatistics":
        """What the hyperparameters see of the rates."""
        sums = ((self.present * x).sum(axis=1) for x in (log_theta, log_complement))
        return SufficientStatistics(jnp.full(len(log_theta), self.present.sum()), *sums)


class SufficientStatistics(NamedTuple):
    """All that the hyperparameters see of the rates."""

    units: Scalar
    sum_log: Scalar
    sum_log_complement: Scalar


_Positive = Annotated[int, Field(gt=0, strict=True)]
_Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def conjugate_shapes(data: GibbsData, eta: Float[Array, "chains 2"]) -> tuple[Rates, Rates]:
    """Shapes of the units' Beta conditionals: alpha + y and beta + n - y."""
    population = jax.vmap(data.model.family.constrain)(eta)
    return (
        population.alpha[:, None] + data.successes,
        population.beta[:, None] + data.failures,
    )


def _standardization(data: GibbsData, eta: Float[Array, "chains 2"]) -> tuple[Rates, Rates]:
    r"""Location and scale of the log-odds of Beta(a, b): log(a / b) and sqrt(1 / a + 1 / b)."""
    a, b = conjugate_shapes(data, eta)
    return jnp.log(a / b), jnp.sqrt(1 / a + 1 / b)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Gibbs:
    """Gibbs-within-Metropolis sampling of all rates and both hyperparameters.

    Args:
        chains: Chains, run in lockstep.
        warmup: Sweeps dropped at the start of every chain; proposals adapt only in them.
        draws: Draws kept of every chain.
        thinning: Sweeps for each draw kept.
        coordinates: In which the normal proposals are made: `mean_concentration` is
            (logit_mean, log_concentration), `alpha_beta` is (alpha, beta) as in the textbook.
        block: Whether to propose both at once; otherwise one at a time, all else held.
        metropolis_steps: Metropolis steps of the hyperparameters in every sweep.
        interweaving: Further such steps, before those, that hold not the rates but their
            standardised log-odds, so that the rates move along.
        proposal_scales: Standard deviations of the proposals, fixed; adapted by default.
        store_units: Whether to keep the draws of every rate.
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
        scales = self.proposal_scales
        first = 0.2 * (jnp.abs(center) if self.coordinates == "alpha_beta" else jnp.ones(2))
        scale = jnp.asarray(first if scales is None else scales, center.dtype)
        log_scale = jnp.zeros_like(scale) if self.block else jnp.log(scale)
        return GibbsState(eta, log_scale, jnp.zeros((), eta.dtype), center, jnp.diag(scale**2))

    def step(
        self, data: GibbsData, key: Key[Array, ""], state: GibbsState, index: Int[Array, ""]
    ) -> tuple[GibbsState, dict[str, Array]]:
        """One sweep of every chain: all rates, then the hyperparameters."""
        key_rates, key_interweaving, key_hyper = jax.random.split(key, 3)
        shapes = conjugate_shapes(data, state.eta)
        logit = logit_beta_draws(key_rates, *shapes)
        eta, accepted = state.eta, jnp.ones(self.chains, logit.dtype)
        if self.interweaving:
            eta, logit, accepted = self._interweave(data, key_interweaving, state, logit)
        log_theta, log_complement = log_rates(logit)
        seen = data.seen(log_theta, log_complement)
        eta, acceptance = self._move(data.model, key_hyper, state._replace(eta=eta), seen)
        if self.proposal_scales is None:
            adapted = self._adapt(state, eta, acceptance, accepted, index)
            warming = index < self.warmup
            state = jax.tree.map(lambda new, old: jnp.where(warming, new, old), adapted, state)
        output = {"eta": eta, "acceptance": acceptance, "scale": self._scales(state)}
        if self.store_units:
            output["theta"] = jnp.exp(log_theta)
        return state._replace(eta=eta), output

    def _scales(self, state: GibbsState) -> Float[Array, "chains 2"]:
        """Standard deviations of the proposals."""
        scale = jnp.exp(state.log_scale)
        if self.block:
            scale *= jnp.sqrt(jnp.diagonal(state.covariance))
        return jnp.broadcast_to(scale, state.eta.shape)

    def _move(
        self, model: Model, key: Key[Array, ""], state: GibbsState, seen: SufficientStatistics
    ) -> tuple[Float[Array, "chains 2"], Float[Array, "chains 2"]]:
        """Metropolis steps of the hyperparameters, all rates held."""

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
        logit: Rates,
    ) -> tuple[Float[Array, "chains 2"], Rates, Float[Array, "chains"]]:
        r"""Metropolis steps of the hyperparameters that take the rates along.

        Held are the rates' standardised log-odds (logit theta - location) / scale, location and
        scale those of `_standardization`: the target has the Jacobian of theta by them.
        """
        location, scale = _standardization(data, state.eta)
        standard = (logit - location) / scale

        def log_target(x: Float[Array, "chains 2"]) -> Float[Array, "chains"]:
            location, scale = _standardization(data, jax.vmap(self._from_coordinates)(x))
            log_theta, log_complement = log_rates(location + scale * standard)
            likelihood = data.successes * log_theta + data.failures * log_complement
            seen = data.seen(log_theta, log_complement)
            prior = jax.vmap(self._log_conditional, in_axes=(None, 0, 0))(data.model, x, seen)
            rates = (data.present * (likelihood + jnp.log(scale))).sum(axis=1)
            return prior + rates + seen.sum_log + seen.sum_log_complement

        moves = jnp.exp(state.log_interweaving) * jnp.linalg.cholesky(state.covariance)[None]
        x = jax.vmap(self._to_coordinates)(state.eta)
        x, acceptance = metropolis(key, x, log_target, moves, self.interweaving)
        eta = jax.vmap(self._from_coordinates)(x)
        location, scale = _standardization(data, eta)
        return eta, location + scale * standard, acceptance[:, 0]

    def _log_conditional(self, model: Model, x: Pair, seen: SufficientStatistics) -> Scalar:
        r"""log p(x | theta), x in the coordinates of the proposals; -inf outside their range.

        .. math:: \log p(\alpha, \beta \mid \theta) = \log p(\alpha, \beta)
            + \sum_j \log \mathrm{Beta}(\theta_j \mid \alpha, \beta)
        """
        inside = jnp.all(x > 0) if self.coordinates == "alpha_beta" else jnp.asarray(True)
        x = jnp.where(inside, x, jnp.ones_like(x))
        eta = self._from_coordinates(x)
        log_density = model.hyperprior.log_density(eta) + model.family.log_prior_units(
            *seen, model.family.constrain(eta)
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
        check_proper(problem.model.hyperprior, Tally.of(problem.counts).interior)
        return GibbsData.of(problem.model, problem.tally(), problem.units())

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
