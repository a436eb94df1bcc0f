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
from hierjax.inference.convergence import judge_draws
from hierjax.inference.result import Problem, Result, Status
from hierjax.inference.sampling import compile_ahead, overdispersed_starts, sample
from hierjax.inference.stopwatch import Stopwatch
from hierjax.log_gamma import log_beta_draws
from hierjax.model import Model
from hierjax.posterior import HyperPosterior
from hierjax.tally import Tally, TallyArrays

__all__ = ["Gibbs", "GibbsState"]

Pair = Float[Array, "2"]
Scalar = Float[Array, ""]
# Acceptance rates that mix fastest for one and for two normal coordinates
# (Gelman, Roberts & Gilks 1996, "Efficient Metropolis jumping rules", table 1).
_TARGET_ONE, _TARGET_BLOCK = 0.44, 0.35
# Keeps the running covariance positive definite in float32.
_RIDGE = 1e-5


class GibbsState(NamedTuple):
    """What the next sweep needs; all leading axes are chains.

    Attributes:
        eta: Working coordinates.
        log_scale: Log of the proposals' scales; of a block, of the factor of its covariance's root.
        center: Running mean of the sampled coordinates, for block proposals.
        covariance: Their running covariance.
    """

    eta: Float[Array, "chains 2"]
    log_scale: Float[Array, "chains 2"]
    center: Float[Array, "chains 2"]
    covariance: Float[Array, "chains 2 2"]


class GibbsData(NamedTuple):
    """The model and its data, as a kernel is given them."""

    model: Model
    tally: TallyArrays
    successes: Float[Array, "units"]
    failures: Float[Array, "units"]


class SufficientStatistics(NamedTuple):
    """All that the hyperparameters see of the rates."""

    units: Scalar
    sum_log: Scalar
    sum_log_complement: Scalar


_Positive = Annotated[int, Field(gt=0, strict=True)]
_Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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
        proposal_scales: Standard deviations of the proposals, fixed; adapted by default.
        store_units: Whether to keep the draws of every rate.
        chunk: Sweeps between progress reports and checkpoints; does not affect the draws.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> method = hj.Gibbs(warmup=200, draws=500)
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=method, key=jax.random.key(0))
        >>> fit.draws.shape
        (4, 500, 2)
    """

    chains: _Positive = 4
    warmup: Annotated[int, Field(ge=0, strict=True)] = 2000
    draws: _Positive = 20_000
    thinning: _Positive = 1
    coordinates: Literal["mean_concentration", "alpha_beta"] = "mean_concentration"
    block: bool = False
    metropolis_steps: _Positive = 4
    proposal_scales: tuple[_Scale, _Scale] | None = None
    store_units: bool = False
    chunk: _Positive = 1000

    name: ClassVar[str] = "gibbs"

    def init(self, data: GibbsData, key: Key[Array, ""]) -> GibbsState:
        """Overdispersed starts, and proposals of a fifth of the coordinates' size."""
        eta = overdispersed_starts(data.model, data.tally, key, self.chains)
        x = jax.vmap(self._to_coordinates)(eta)
        scales = self.proposal_scales
        first = 0.2 * (jnp.abs(x) if self.coordinates == "alpha_beta" else jnp.ones_like(x))
        scale = first if scales is None else jnp.broadcast_to(jnp.asarray(scales, x.dtype), x.shape)
        log_scale = jnp.zeros_like(x) if self.block else jnp.log(scale)
        return GibbsState(eta, log_scale, x, jax.vmap(jnp.diag)(scale**2))

    def step(
        self, data: GibbsData, key: Key[Array, ""], state: GibbsState, index: Int[Array, ""]
    ) -> tuple[GibbsState, dict[str, Array]]:
        """One sweep of every chain: all rates, then the hyperparameters."""
        key_rates, key_hyper = jax.random.split(key)
        population = jax.vmap(data.model.family.constrain)(state.eta)
        log_theta, log_complement = log_beta_draws(
            key_rates,
            population.alpha[:, None] + data.successes,
            population.beta[:, None] + data.failures,
        )
        units = jnp.full(self.chains, data.successes.shape[0], log_theta.dtype)
        seen = SufficientStatistics(units, log_theta.sum(axis=1), log_complement.sum(axis=1))
        keys = jax.random.split(key_hyper, self.chains)
        eta, acceptance = jax.vmap(self._move, in_axes=(None, 0, 0, 0))(
            data.model, keys, state, seen
        )
        if self.proposal_scales is None:
            adapted = jax.vmap(self._adapt, in_axes=(0, 0, 0, None))(state, eta, acceptance, index)
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
            scale *= jnp.sqrt(jax.vmap(jnp.diagonal)(state.covariance))
        return scale

    def _move(
        self, model: Model, key: Key[Array, ""], state: GibbsState, seen: SufficientStatistics
    ) -> tuple[Pair, Pair]:
        """Metropolis steps of one chain's hyperparameters, all rates held."""

        def log_target(x: Pair) -> Scalar:
            return self._log_conditional(model, x, seen)

        scale = jnp.exp(state.log_scale)
        if self.block:
            root = scale[0] * jnp.linalg.cholesky(state.covariance)
            moves = root[None]
        else:
            moves = jnp.eye(2, dtype=scale.dtype)[:, :, None] * jnp.diag(scale)

        def metropolis(
            i: Int[Array, ""], carry: tuple[Pair, Scalar, Pair]
        ) -> tuple[Pair, Scalar, Pair]:
            x, current, accepted = carry
            for j, move in enumerate(moves):
                key_propose, key_accept = jax.random.split(
                    jax.random.fold_in(key, len(moves) * i + j)
                )
                proposal = x + move @ jax.random.normal(key_propose, (2,), x.dtype)
                proposed = log_target(proposal)
                ratio = jnp.exp(jnp.minimum(proposed - current, 0.0))
                take = jax.random.uniform(key_accept, dtype=x.dtype) < ratio
                x = jnp.where(take, proposal, x)
                current = jnp.where(take, proposed, current)
                accepted = accepted.at[j].add(ratio)
            return x, current, accepted

        x = self._to_coordinates(state.eta)
        start = (x, log_target(x), jnp.zeros_like(x))
        x, _, accepted = jax.lax.fori_loop(0, self.metropolis_steps, metropolis, start)
        acceptance = accepted / self.metropolis_steps
        return self._from_coordinates(x), acceptance.at[1].set(acceptance[0 if self.block else 1])

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
        self, state: GibbsState, eta: Pair, acceptance: Pair, index: Int[Array, ""]
    ) -> GibbsState:
        """Robbins-Monro steps of the scales towards the target acceptance, and of the moments."""
        # The first gain is below one: one point makes no covariance.
        gain = (index.astype(eta.dtype) + 2) ** -0.6
        target = _TARGET_BLOCK if self.block else _TARGET_ONE
        x = self._to_coordinates(eta)
        away = x - state.center
        spread = state.covariance + gain * (jnp.outer(away, away) - state.covariance)
        return GibbsState(
            state.eta,
            state.log_scale + gain * (acceptance - target),
            state.center + gain * away,
            spread + _RIDGE * jnp.diag(state.covariance.diagonal()),
        )

    def _data(self, problem: Problem) -> GibbsData:
        check_proper(problem.model.hyperprior, Tally.of(problem.counts).interior)
        units = problem.units()
        model, tally = jax.tree.map(jnp.asarray, (problem.model, problem.tally()))
        successes, trials = jnp.asarray(units.successes), jnp.asarray(units.trials)
        return GibbsData(model, tally, successes, trials - successes)

    def compile(self, problem: Problem) -> None:
        """Compiles what `run` will need, as another method runs."""
        steps = self.warmup + self.draws * self.thinning
        compile_ahead(self, self._data(problem), problem, steps, self.chunk)

    def run(self, problem: Problem) -> Result:
        """Samples and judges the draws; see `Gibbs`."""
        data, steps = self._data(problem), self.warmup + self.draws * self.thinning
        with Stopwatch() as watch:
            outputs = sample(self, data, problem, steps, self.chunk)
        kept = {
            name: np.swapaxes(values[self.warmup :: self.thinning], 0, 1)
            for name, values in outputs.items()
        }
        status, message, diagnostics = judge_draws(kept["eta"])
        info = {
            "acceptance": kept["acceptance"].mean(axis=1),
            "proposal_scales": kept["scale"][:, -1],
            "per_draw": {"acceptance_rate": kept["acceptance"].mean(axis=-1)},
            **diagnostics,
        }
        posterior = HyperPosterior.from_draws(jnp.asarray(kept["eta"]))
        return Result(
            None if status is Status.FAILED else posterior,
            status,
            message,
            draws=kept["eta"],
            unit_draws=kept.get("theta"),
            info=info,
            seconds=watch.seconds,
        )
