"""NUTS on the full joint of three levels: units' parameters, labs' coordinates, what is above."""

import time
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings

from hierjax.errors import ModelError
from hierjax.families import AnyFamily
from hierjax.inference.convergence import after_warmup, judge_draws
from hierjax.inference.result import Status
from hierjax.inference.sampling import sample, side_by_side
from hierjax.keys import require_key
from hierjax.levels.methods import GroupProblem
from hierjax.levels.result import GroupResult
from hierjax.levels.top import Level, ascend

__all__ = ["GroupNUTS", "JointData", "joint_data", "log_top", "sampled_result", "standardization"]

Scalar = Float[Array, ""]
Parametrization = Literal["standardized", "centered", "non_centered"]
# Of labs' likelihoods, which only place the coordinates here.
_ROWS, _COLUMNS = 24, 24
_Positive = Annotated[int, Field(gt=0, strict=True)]


class JointData(NamedTuple):
    """Data and hyperprior, as a kernel is given them.

    Attributes:
        values: Of every unit.
        sizes: Likewise.
        lab: Position of its lab.
        centers: Of the normal densities of both means.
        sds: Their standard deviations.
        scales: Of the half-normal densities of both standard deviations.
        mode: Where each lab's likelihood is largest.
        spread: Standard deviations there, by its curvature.
        start: Of what is above the labs.
    """

    values: Float[Array, "units"]
    sizes: Float[Array, "units"]
    lab: Int[Array, "units"]
    centers: Float[Array, "2"]
    sds: Float[Array, "2"]
    scales: Float[Array, "2"]
    mode: Float[Array, "groups 2"]
    spread: Float[Array, "groups 2"]
    start: Float[Array, "4"]


def joint_data(problem: GroupProblem) -> JointData:
    """Data for samplers of the full joint.

    Raises:
        ModelError: If units are weighted: a weight has no meaning for a sampled parameter.
    """
    data, family, prior = problem.labs.data, problem.family, problem.prior()
    if data.weights is not None and not np.all(data.weights == 1):
        raise ModelError("weights: samplers of every unit need weights of 1; use GroupQuadrature")
    tallies = problem.labs.tallies(family, np.float64)
    level = Level.of(family, tallies, _ROWS, _COLUMNS, np.float64)
    with jax.enable_x64(True):
        top = ascend(level, prior, posterior=True).top
    start = top.copy()
    start[1::2] = np.log(np.maximum(np.abs(top[1::2]), 0.2 * prior.scales))
    found = level.every
    arrays = (*map(np.asarray, (data.values, data.sizes)), problem.labs.group, *prior)
    given = (*arrays, found.mode, found.spread, start)
    return JointData(
        *(jnp.asarray(x) if x.dtype.kind == "i" else jnp.asarray(x, problem.dtype) for x in given)
    )


def log_top(data: JointData, top: Float[Array, "4"]) -> Scalar:
    """Log-density of the means and of the logarithms of the standard deviations."""
    mean, log_sd = top[0::2], top[1::2]
    wide = jnp.exp(log_sd) / data.scales
    away = (mean - data.centers) / data.sds
    return jnp.sum(log_sd - 0.5 * (away * away + wide * wide))


def standardization(
    data: JointData, top: Float[Array, "4"], how: Parametrization
) -> tuple[Float[Array, "groups 2"], Float[Array, "groups 2"]]:
    """Center and scale of the labs' coordinates that a sampler moves in.

    `standardized` takes both from the normal approximation of a lab's likelihood and its
    population, and is close to either of the others where one of these says little.
    """
    mean, sd = top[0::2], jnp.exp(top[1::2])
    if how == "centered":
        return data.mode, data.spread
    if how == "non_centered":
        one = jnp.ones_like(data.mode)
        return mean * one, sd * one
    precise = 1 / data.spread**2
    share = precise * sd**2 / (1 + precise * sd**2)
    return mean + share * (data.mode - mean), jnp.sqrt(share) * data.spread


def labs_of(
    data: JointData, position: dict[str, Array], how: Parametrization
) -> tuple[Float[Array, "groups 2"], Scalar]:
    """Labs' coordinates from a sampler's, and the log-Jacobian."""
    center, scale = standardization(data, position["top"], how)
    return center + scale * position["labs"], jnp.sum(jnp.log(scale))


def _potential(family: AnyFamily, how: Parametrization) -> Any:
    def generate(data: JointData) -> Any:
        def potential(position: dict[str, Array]) -> Scalar:
            top = position["top"]
            eta, log_jacobian = labs_of(data, position, how)
            standard = (eta - top[0::2]) * jnp.exp(-top[1::2])
            log_labs = -0.5 * jnp.sum(standard**2) - len(eta) * jnp.sum(top[1::2])
            population = jax.tree.map(lambda x: x[data.lab], jax.vmap(family.constrain)(eta))
            center, scale = family.place(data.values, data.sizes, population)
            place = center + scale * position["units"]
            log_units = jax.vmap(family.log_prior_unconstrained)(place, population)
            likelihood = jax.vmap(family.log_likelihood_kernel)(data.values, data.sizes, place)
            units = jnp.sum(log_units + likelihood + jnp.log(scale))
            return -(log_top(data, top) + log_labs + log_jacobian + units)

        return potential

    return generate


@settings(frozen=True, config=ConfigDict(extra="forbid"))
class GroupNUTS:
    """No-U-turn sampling of all units, all labs and what is above them.

    Units' places are standardised by their conjugate posteriors, so that the sampler meets no
    funnel between units and their lab.

    Args:
        chains: Chains, run in lockstep.
        warmup: Steps dropped at the start of every chain.
        draws: Draws kept of every chain.
        target_acceptance: Acceptance probability that the step size is adapted to.
        max_tree_depth: Most doublings of a trajectory.
        parametrization: Of the labs: `standardized` by their own likelihoods' and the population's
            normal approximations, `centered` or `non_centered`.
        chunk: Steps between progress reports; does not affect the draws.
    """

    chains: _Positive = 4
    warmup: _Positive = 1000
    draws: _Positive = 1000
    target_acceptance: Annotated[float, Field(gt=0, lt=1)] = 0.9
    max_tree_depth: Annotated[int, Field(gt=0, le=20, strict=True)] = 10
    parametrization: Parametrization = "standardized"
    chunk: _Positive = 250

    name: ClassVar[str] = "group_nuts"

    def run(self, problem: GroupProblem) -> GroupResult:
        """Samples and judges the draws."""
        begin = time.perf_counter()
        data, steps = joint_data(problem), self.warmup + self.draws
        kernel = _Kernel(self, problem.family, self.chains)
        outputs = sample(kernel, data, problem, steps, self.chunk, side_by_side(self.chains))
        kept = after_warmup(outputs, self.warmup)
        divergences = int(kept["divergent"].sum())
        info = {
            "divergences": divergences,
            "acceptance": kept["acceptance"].mean(axis=1),
            "steps": kept["steps"].mean(axis=1),
        }
        trouble = f"{divergences} divergent trajectories" if divergences else ""
        seconds = {"total": time.perf_counter() - begin}
        return sampled_result(problem, kept["top"], kept["labs"], info, seconds, trouble)


@dataclass(frozen=True)
class _Kernel:
    """The sampler as `hierjax.inference.sampling` runs it."""

    method: GroupNUTS
    family: AnyFamily
    chains: int

    def _kernel(self) -> tuple[Any, Any]:
        from numpyro.infer.hmc import hmc

        how = self.method.parametrization
        return hmc(potential_fn_gen=_potential(self.family, how), algo="NUTS")

    def _begin(self, start: Any, data: JointData, key: Key[Array, ""], position: PyTree) -> Any:
        return start(
            position,
            self.method.warmup,
            target_accept_prob=self.method.target_acceptance,
            max_tree_depth=self.method.max_tree_depth,
            dense_mass=[("top",)],
            trajectory_length=None,
            model_args=(data,),
            rng_key=key,
        )

    def init(self, data: JointData, key: Key[Array, ""]) -> PyTree:
        """Starts spread about the maximum of the labs' posterior."""
        key_top, key_labs, key_units, key_chains = jax.random.split(key, 4)
        dtype, count = data.start.dtype, self.chains
        unit = jnp.stack([data.scales[0], 1.0, data.scales[1], 1.0]).astype(dtype)
        position = {
            "top": data.start + 0.5 * unit * jax.random.normal(key_top, (count, 4), dtype),
            "labs": 0.5 * jax.random.normal(key_labs, (count, *data.mode.shape), dtype),
            "units": jax.random.normal(key_units, (count, len(data.values)), dtype),
        }
        start, _ = self._kernel()
        keys = jax.random.split(key_chains, count)
        return jax.vmap(lambda k, z: self._begin(start, data, k, z))(keys, position)

    def step(
        self, data: JointData, key: Key[Array, ""], state: PyTree, index: Int[Array, ""]
    ) -> tuple[PyTree, dict[str, Array]]:
        """One trajectory of every chain. NumPyro keeps the chains' keys in its state."""
        start, advance = self._kernel()
        one = jax.tree.map(lambda leaf: leaf[0], state)
        # The kernel learns its settings when it is started; nothing of this is executed.
        jax.eval_shape(lambda k, z: self._begin(start, data, k, z), one.rng_key, one.z)
        state = jax.vmap(lambda s: advance(s, (data,), {}))(state)
        how = self.method.parametrization
        labs, _ = jax.vmap(lambda z: labs_of(data, z, how))(state.z)
        return state, {
            "top": state.z["top"],
            "labs": labs,
            "acceptance": state.accept_prob,
            "divergent": state.diverging,
            "steps": state.num_steps,
        }


def sampled_result(
    problem: GroupProblem,
    top: Float[np.ndarray, "chains draws 4"],
    labs: Float[np.ndarray, "chains draws groups 2"],
    info: dict[str, Any],
    seconds: dict[str, float],
    trouble: str = "",
) -> GroupResult:
    """A sampler's draws, judged.

    Args:
        problem: For its key.
        top: Means and logarithms of standard deviations.
        labs: Labs' coordinates.
        info: The sampler's own diagnostics.
        seconds: Time.
        trouble: What keeps the draws from being trusted, whatever they look like.
    """
    halves = [judge_draws(np.asarray(top[..., at])) for at in (slice(0, 2), slice(2, 4))]
    order = (Status.CONVERGED, Status.NOT_CONVERGED, Status.FAILED)
    status, message, _ = max(halves, key=lambda half: order.index(half[0]))
    first, second = (half[2] for half in halves)
    diagnostics = {name: [*first[name], *second[name]] for name in first if name in second}
    if trouble:
        message = f"{trouble}; {message}" if message else trouble
        status = status if status is Status.FAILED else Status.NOT_CONVERGED
    draws = np.asarray(top, np.float64).copy()
    draws[..., 1::2] = np.exp(draws[..., 1::2])
    key = jax.random.fold_in(require_key(problem.key), 1)
    normal = np.asarray(jax.random.normal(key, (*draws.shape[:2], 2)), np.float64)
    return GroupResult(
        status,
        message,
        draws=draws,
        lab_draws=labs,
        new_draws=draws[..., 0::2] + draws[..., 1::2] * normal,
        info={**info, **diagnostics},
        seconds=seconds,
    )
