"""Partially collapsed Gibbs sampling: the hyperparameters with all units integrated out.

A sweep moves the hyperparameters by Metropolis-Hastings given the data alone, and then draws the
units given them, where they are asked for (van Dyk & Park 2008, "Partially collapsed Gibbs
samplers", sec. 3). The units never feed back, so nothing slows the hyperparameters down, and a
step costs what the tally's log-marginal costs, whatever the number of units.
"""

from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hierjax.inference.convergence import after_warmup, result_of_draws
from hierjax.inference.gibbs import GibbsData, draw_places
from hierjax.inference.result import Problem, Result, UnitData
from hierjax.inference.sampling import (
    OVERDISPERSION,
    compile_ahead,
    overdispersed_starts,
    sample,
    side_by_side,
)
from hierjax.inference.stopwatch import Stopwatch

__all__ = ["CollapsedGibbs", "CollapsedState"]

# Of the proposals for all chains' next draws: degrees of freedom, and the largest share of its
# slope by which the map of log-concentration may bend.
_FREEDOM, _MOST_BEND = 5.0, 0.85
# Random-walk proposals among all, in warm-up and after it.
_LOCAL_WARMUP, _LOCAL = 0.5, 0.1
# Acceptance rate that mixes fastest for two normal coordinates (Gelman, Roberts & Gilks 1996).
_TARGET = 0.35
_LEVELS = (0.16, 0.5, 0.84)
_RIDGE = 1e-6

Pairs = Float[Array, "chains 2"]


class CollapsedState(NamedTuple):
    """What the next sweep needs. Chains in lockstep share their proposals.

    Attributes:
        eta: Working coordinates.
        log_density: Their log-posterior density.
        log_scale: Log of the random walk's scale, relative to the covariance's root.
        center: Running mean of the working coordinates.
        covariance: Their running covariance.
        quantiles: Running quantiles of log-concentration.
    """

    eta: Pairs
    log_density: Float[Array, "chains"]
    log_scale: Float[Array, ""]
    center: Float[Array, "2"]
    covariance: Float[Array, "2 2"]
    quantiles: Float[Array, "3"]


class Proposal(NamedTuple):
    r"""The density that proposals independent of the chains' places are drawn from.

    With (x, z) of the bivariate t distribution,

    .. math:: w = c + a z + b \left(\sqrt{1 + z^2} - 1\right), \qquad
        u = d + e (w - c) + s x, \qquad |b| < a

    so that both tails of w are heavier than any exponential, with scales a - b and a + b: the
    posterior's right tail falls slowly, like exp(-w / 2), where units are few.
    """

    middle: Float[Array, ""]
    slope: Float[Array, ""]
    bend: Float[Array, ""]
    logit_mean: Float[Array, ""]
    regression: Float[Array, ""]
    scale: Float[Array, ""]

    @classmethod
    def of(cls, state: CollapsedState) -> "Proposal":
        """From running moments of both coordinates and quantiles of log-concentration."""
        low, middle, high = state.quantiles
        slope = jnp.maximum(0.5 * (high - low), 1e-6)
        # At z = -1 and 1 the map then takes the outer quantiles' values.
        bend = (0.5 * (low + high) - middle) / (2**0.5 - 1)
        bend = jnp.clip(bend, -_MOST_BEND * slope, _MOST_BEND * slope)
        variance, covariance = state.covariance[1, 1], state.covariance[0, 1]
        regression = covariance / variance
        residual = state.covariance[0, 0] - regression * covariance
        logit_mean = state.center[0] + regression * (middle - state.center[1])
        return cls(middle, slope, bend, logit_mean, regression, jnp.sqrt(residual))

    def place(self, standard: Pairs) -> Pairs:
        """Working coordinates of standard bivariate t draws."""
        x, z = standard[:, 0], standard[:, 1]
        w = self.middle + self.slope * z + self.bend * (jnp.sqrt(1 + z * z) - 1)
        return jnp.stack([self._center(w) + self.scale * x, w], axis=-1)

    def log_density(self, eta: Pairs) -> Float[Array, "chains"]:
        """Log-density at working coordinates, up to a constant."""
        a, b = self.slope, self.bend
        x = (eta[:, 0] - self._center(eta[:, 1])) / self.scale
        bent = eta[:, 1] - self.middle + b
        z = (a * bent - b * jnp.sqrt(bent * bent + a * a - b * b)) / (a * a - b * b)
        log_t = -0.5 * (_FREEDOM + 2) * jnp.log1p((x * x + z * z) / _FREEDOM)
        return log_t - jnp.log(a + b * z * jax.lax.rsqrt(1 + z * z))

    def _center(self, log_concentration: Float[Array, "chains"]) -> Float[Array, "chains"]:
        return self.logit_mean + self.regression * (log_concentration - self.middle)


def bivariate_t_draws(key: Key[Array, ""], draws: int, dtype: jnp.dtype) -> Float[Array, "draws 2"]:
    """Standard bivariate t draws: a radius whose distribution is inverted, and an angle.

    Bailey (1994), "Polar generation of random variates with the t-distribution", Mathematics of
    Computation 62(206), pp. 779-781.
    """
    key_radius, key_angle = jax.random.split(key)
    tail = jax.random.exponential(key_radius, (draws,), dtype)
    radius = jnp.sqrt(_FREEDOM * jnp.expm1(2 / _FREEDOM * tail))
    angle = jax.random.uniform(key_angle, (draws,), dtype, maxval=2 * np.pi)
    return radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CollapsedGibbs:
    """Gibbs sampling with all units integrated out of the hyperparameters' steps.

    Proposals do not depend on where a chain is, but for one in ten, which is a random walk's. What
    they are drawn from is fitted to all chains in warm-up.

    Args:
        chains: Chains, run in lockstep.
        warmup: Sweeps dropped at the start of every chain; proposals adapt only in them.
        draws: Draws kept of every chain.
        thinning: Sweeps for each draw kept.
        store_units: Whether to draw every unit's parameter, too, and to keep them.
        chunk: Sweeps between progress reports and checkpoints; does not affect the draws.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> method = hj.CollapsedGibbs(chains=16, warmup=500, draws=1500, store_units=True)
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=method, key=jax.random.key(0))
        >>> fit.draws.shape, fit.unit_draws.shape
        ((16, 1500, 2), (16, 1500, 70))
    """

    chains: Annotated[int, Field(gt=0, strict=True)] = 32
    warmup: Annotated[int, Field(ge=0, strict=True)] = 500
    draws: Annotated[int, Field(gt=0, strict=True)] = 1000
    thinning: Annotated[int, Field(gt=0, strict=True)] = 1
    store_units: bool = False
    chunk: Annotated[int, Field(gt=0, strict=True)] = 500

    name: ClassVar[str] = "collapsed_gibbs"

    def init(self, data: GibbsData, key: Key[Array, ""]) -> CollapsedState:
        """Overdispersed starts, and proposals as wide as they tell the posterior to be."""
        eta = overdispersed_starts(data.model, data.tally, key, self.chains)
        center = eta.mean(axis=0)
        unit = data.model.family.frame(data.tally).scale
        alone = jnp.stack([unit * unit, jnp.ones_like(unit)])
        variance = eta.var(axis=0) / OVERDISPERSION**2 if self.chains > 1 else alone
        return CollapsedState(
            eta,
            self._log_density(data, eta),
            jnp.zeros((), eta.dtype),
            center,
            jnp.diag(variance),
            center[1] + jnp.sqrt(variance[1]) * jnp.arange(-1, 2).astype(eta.dtype),
        )

    def step(
        self, data: GibbsData, key: Key[Array, ""], state: CollapsedState, index: Int[Array, ""]
    ) -> tuple[CollapsedState, dict[str, Array]]:
        """One sweep of every chain: the hyperparameters, then the rates where asked for."""
        key_kind, key_propose, key_accept, key_rates = jax.random.split(key, 4)
        chains, dtype = self.chains, state.eta.dtype
        warming = index < self.warmup
        local = jax.random.uniform(key_kind, (chains,), dtype) < jnp.where(
            warming, _LOCAL_WARMUP, _LOCAL
        )
        standard = bivariate_t_draws(key_propose, chains, dtype)
        fitted, root = Proposal.of(state), jnp.linalg.cholesky(state.covariance)
        walk = state.eta + jnp.exp(state.log_scale) * standard @ root.T
        proposal = jnp.where(local[:, None], walk, fitted.place(standard))
        proposed = self._log_density(data, proposal)
        # A random walk is symmetric; the others owe the ratio of their own densities.
        correction = fitted.log_density(state.eta) - fitted.log_density(proposal)
        gain = proposed - state.log_density + jnp.where(local, 0.0, correction)
        take = gain >= -jax.random.exponential(key_accept, (chains,), dtype)
        moved = state._replace(
            eta=jnp.where(take[:, None], proposal, state.eta),
            log_density=jnp.where(take, proposed, state.log_density),
        )
        acceptance = jnp.exp(jnp.minimum(gain, 0.0))
        adapted = self._adapt(moved, acceptance, local, index)
        state = jax.tree.map(lambda new, old: jnp.where(warming, new, old), adapted, moved)
        output = {"eta": state.eta, "acceptance": acceptance}
        if self.store_units:
            places = draw_places(data, key_rates, state.eta)
            output["theta"] = data.model.family.parameter_at(places)
        return state, output

    @staticmethod
    def _log_density(data: GibbsData, eta: Pairs) -> Float[Array, "chains"]:
        """Log-posterior density of the hyperparameters, all rates integrated out."""
        values = jax.vmap(data.model.log_posterior, in_axes=(None, 0))(data.tally, eta)
        return jnp.where(jnp.isnan(values), -jnp.inf, values)

    @staticmethod
    def _adapt(
        state: CollapsedState,
        acceptance: Float[Array, "chains"],
        local: Bool[Array, "chains"],
        index: Int[Array, ""],
    ) -> CollapsedState:
        """Robbins-Monro steps of the walk's scale, the moments and the quantiles."""
        gain = (index.astype(acceptance.dtype) + 2) ** -0.6
        away = state.eta - state.center
        spread = state.covariance + gain * (away.T @ away / len(away) - state.covariance)
        excess = jnp.mean(jnp.where(local, acceptance - _TARGET, 0.0))
        below = jnp.mean(state.eta[:, 1:] < state.quantiles[None], axis=0, dtype=gain.dtype)
        missing = jnp.asarray(_LEVELS, gain.dtype) - below
        step = 3 * gain * jnp.sqrt(state.covariance[1, 1])
        return state._replace(
            log_scale=state.log_scale + gain * excess,
            center=state.center + gain * away.mean(axis=0),
            covariance=spread + _RIDGE * jnp.diag(state.covariance.diagonal()),
            quantiles=state.quantiles + step * missing,
        )

    def _data(self, problem: Problem) -> GibbsData:
        none: np.ndarray = np.zeros(0, problem.dtype)
        units = problem.units() if self.store_units else UnitData(none, none)
        return GibbsData.of(problem.model, problem.proper_tally(), units)

    def compile(self, problem: Problem) -> None:
        """Compiles what `run` will need, as another method runs."""
        steps, groups = self.warmup + self.draws * self.thinning, side_by_side(self.chains)
        compile_ahead(self, self._data(problem), problem, steps, self.chunk, groups)

    def run(self, problem: Problem) -> Result:
        """Samples and judges the draws; see `CollapsedGibbs`."""
        steps, groups = self.warmup + self.draws * self.thinning, side_by_side(self.chains)
        with Stopwatch() as watch:
            outputs = sample(self, self._data(problem), problem, steps, self.chunk, groups)
        kept = after_warmup(outputs, self.warmup, self.thinning)
        info = {
            "acceptance": kept["acceptance"].mean(axis=1),
            "per_draw": {"acceptance_rate": kept["acceptance"]},
        }
        return result_of_draws(kept, info, watch.seconds)
