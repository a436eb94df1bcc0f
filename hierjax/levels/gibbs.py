"""Gibbs-within-Metropolis up and down three levels.

A sweep draws every unit from its conjugate conditional, moves every lab's coordinates by Metropolis
steps given the sufficient statistics of its units, draws the means above the labs from their normal
conditionals, and moves their standard deviations, once with the labs held and once with the labs'
standardised coordinates held (Yu & Meng 2011, "To center or not to center").
"""

import time
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings

from hierjax.families import AnyFamily
from hierjax.inference.convergence import after_warmup
from hierjax.inference.metropolis import metropolis
from hierjax.inference.sampling import sample, side_by_side
from hierjax.levels.methods import GroupProblem
from hierjax.levels.nuts import JointData, joint_data, log_top, sampled_result, standardization
from hierjax.levels.result import GroupResult

__all__ = ["GroupGibbs"]

Scalar = Float[Array, ""]
Tops = Float[Array, "chains 4"]
Etas = Float[Array, "chains groups 2"]
_Positive = Annotated[int, Field(gt=0, strict=True)]
_TARGET = 0.35
_STEPS = 3


class _Data(NamedTuple):
    """The joint's data, its units by lab.

    Attributes:
        joint: As all samplers have it.
        values: Of each lab's units; filled up with the first.
        sizes: Likewise.
        present: One; zero for what fills up.
    """

    joint: JointData
    values: Float[Array, "groups units"]
    sizes: Float[Array, "groups units"]
    present: Float[Array, "groups units"]


class _State(NamedTuple):
    """What the next sweep needs; chains in lockstep share their proposals.

    Attributes:
        top: Means and logarithms of standard deviations.
        eta: Labs' coordinates.
        log_scale: Of the labs' proposals; of those of means and standard deviations with the
            labs held, and with their standardised coordinates held.
    """

    top: Tops
    eta: Etas
    log_scale: Float[Array, "3"]


@settings(frozen=True, config=ConfigDict(extra="forbid"))
class GroupGibbs:
    """Gibbs-within-Metropolis sampling of all units, all labs and what is above them.

    Args:
        chains: Chains, run in lockstep.
        warmup: Sweeps dropped at the start of every chain; proposals adapt only in them.
        draws: Draws kept of every chain.
        thinning: Sweeps for each draw kept.
        chunk: Sweeps between progress reports; does not affect the draws.
    """

    chains: _Positive = 4
    warmup: _Positive = 2000
    draws: _Positive = 4000
    thinning: _Positive = 5
    chunk: _Positive = 1000

    name: ClassVar[str] = "group_gibbs"

    def run(self, problem: GroupProblem) -> GroupResult:
        """Samples and judges the draws."""
        begin = time.perf_counter()
        steps = self.warmup + self.draws * self.thinning
        kernel = _Kernel(problem.family, self.chains, self.warmup)
        data = _padded(problem)
        outputs = sample(kernel, data, problem, steps, self.chunk, side_by_side(self.chains))
        kept = after_warmup(outputs, self.warmup, self.thinning)
        info = {"acceptance": kept["acceptance"].mean(axis=1)}
        seconds = {"total": time.perf_counter() - begin}
        return sampled_result(problem, kept["top"], kept["labs"], info, seconds)


def _padded(problem: GroupProblem) -> _Data:
    joint, labs = joint_data(problem), problem.labs
    most = max(map(len, labs.units))
    places = np.stack([np.pad(at, (0, most - len(at)), constant_values=at[0]) for at in labs.units])
    present = np.arange(most) < np.array([len(at) for at in labs.units])[:, None]
    values, sizes = (np.asarray(x, problem.dtype)[places] for x in (joint.values, joint.sizes))
    return _Data(joint, *map(jnp.asarray, (values, sizes, present.astype(problem.dtype))))


@dataclass(frozen=True)
class _Kernel:
    """The sampler as `hierjax.inference.sampling` runs it."""

    family: AnyFamily
    chains: int
    warmup: int

    def init(self, data: _Data, key: Key[Array, ""]) -> _State:
        """Starts spread about the maximum of the labs' posterior."""
        key_top, key_labs = jax.random.split(key)
        joint, dtype = data.joint, data.joint.start.dtype
        unit = jnp.stack([joint.scales[0], 1.0, joint.scales[1], 1.0]).astype(dtype)
        top = joint.start + 0.5 * unit * jax.random.normal(key_top, (self.chains, 4), dtype)
        center, scale = jax.vmap(lambda x: standardization(joint, x, "standardized"))(top)
        eta = center + scale * jax.random.normal(key_labs, center.shape, dtype)
        return _State(top, eta, jnp.zeros(3, dtype))

    def step(
        self, data: _Data, key: Key[Array, ""], state: _State, index: Int[Array, ""]
    ) -> tuple[_State, dict[str, Array]]:
        """One sweep of every chain, from the units up."""
        keys = jax.random.split(key, 5)
        population = jax.vmap(jax.vmap(self.family.constrain))(state.eta)
        population = jax.tree.map(lambda x: x[..., None], population)
        places = self.family.draw(keys[0], self.family.update(data.values, data.sizes, population))
        seen = jax.vmap(jax.vmap(self.family.seen), in_axes=(0, None))(places, data.present)
        eta, first = self._labs(data.joint, keys[1], state, seen)
        state = state._replace(eta=eta)
        state, second = self._held(data.joint, keys[2], state)
        state, third = self._carried(data.joint, keys[3], state, seen)
        state = state._replace(top=self._means(data.joint, keys[4], state))
        acceptance = jnp.stack([first, second, third])
        gain = (index.astype(eta.dtype) + 2) ** -0.6
        adapted = state.log_scale + gain * (acceptance - _TARGET)
        state = state._replace(log_scale=jnp.where(index < self.warmup, adapted, state.log_scale))
        shown = jnp.broadcast_to(acceptance, (self.chains, 3))
        return state, {"top": state.top, "labs": state.eta, "acceptance": shown}

    def _log_units(self, seen: Any, eta: Etas) -> Float[Array, "chains groups"]:
        def one(seen: Any, eta: Float[Array, "2"]) -> Scalar:
            return self.family.log_prior_units(seen, self.family.constrain(eta))

        return jax.vmap(jax.vmap(one))(seen, eta)

    def _labs(
        self, joint: JointData, key: Key[Array, ""], state: _State, seen: Any
    ) -> tuple[Etas, Scalar]:
        """Metropolis steps of all labs, in coordinates that what is above them standardises."""
        center, scale = jax.vmap(lambda x: standardization(joint, x, "standardized"))(state.top)
        mean, sd = state.top[:, None, 0::2], jnp.exp(state.top[:, None, 1::2])

        def log_target(x: Float[Array, "both 2"]) -> Float[Array, "both"]:
            eta = center + scale * x.reshape(center.shape)
            prior = -0.5 * jnp.sum(((eta - mean) / sd) ** 2, axis=-1)
            return (self._log_units(seen, eta) + prior).ravel()

        one = jnp.eye(2, dtype=center.dtype)
        moves = jnp.exp(state.log_scale[0]) * jnp.stack([one, 0.3 * one])
        x = ((state.eta - center) / scale).reshape(-1, 2)
        x, accepted = metropolis(key, x, log_target, moves, _STEPS)
        return center + scale * x.reshape(center.shape), accepted[:, 0].mean()

    def _held(self, joint: JointData, key: Key[Array, ""], state: _State) -> tuple[_State, Scalar]:
        """Metropolis steps of both standard deviations, the labs held."""
        away = jnp.sum((state.eta - state.top[:, None, 0::2]) ** 2, axis=1)

        def log_target(log_sd: Float[Array, "chains 2"]) -> Float[Array, "chains"]:
            top = state.top.at[:, 1::2].set(log_sd)
            prior = jax.vmap(lambda x: log_top(joint, x))(top)
            labs = -0.5 * away * jnp.exp(-2 * log_sd) - state.eta.shape[1] * log_sd
            return prior + jnp.sum(labs, axis=1)

        size = jnp.exp(state.log_scale[1]) / jnp.sqrt(1.0 * state.eta.shape[1])
        moves = size * _axes(state.top.dtype)
        log_sd, accepted = metropolis(key, state.top[:, 1::2], log_target, moves, _STEPS)
        return state._replace(top=state.top.at[:, 1::2].set(log_sd)), accepted.mean()

    def _carried(
        self, joint: JointData, key: Key[Array, ""], state: _State, seen: Any
    ) -> tuple[_State, Scalar]:
        """Metropolis steps that hold the labs' standardised coordinates, one block at a time."""
        accepted = []
        for block, each in enumerate(jax.random.split(key)):
            state, taken = self._carried_block(joint, each, state, seen, block)
            accepted.append(taken)
        return state, jnp.stack(accepted).mean()

    def _carried_block(
        self, joint: JointData, key: Key[Array, ""], state: _State, seen: Any, block: int
    ) -> tuple[_State, Scalar]:
        top, eta, at = state.top, state.eta, slice(2 * block, 2 * block + 2)
        away = eta[..., block] - top[:, None, 2 * block]
        standard = away * jnp.exp(-top[:, None, 2 * block + 1])

        def carried(x: Float[Array, "chains 2"]) -> Etas:
            return eta.at[..., block].set(x[:, :1] + jnp.exp(x[:, 1:]) * standard)

        def log_target(x: Float[Array, "chains 2"]) -> Float[Array, "chains"]:
            prior = jax.vmap(lambda x: log_top(joint, x))(top.at[:, at].set(x))
            return prior + jnp.sum(self._log_units(seen, carried(x)), axis=1)

        unit = jnp.stack([joint.scales[block], jnp.ones_like(joint.scales[block])])
        size = jnp.exp(state.log_scale[2]) / jnp.sqrt(1.0 * eta.shape[1])
        x, taken = metropolis(
            key, top[:, at], log_target, size * _axes(top.dtype) * unit[:, None], _STEPS
        )
        return state._replace(top=top.at[:, at].set(x), eta=carried(x)), taken.mean()

    def _means(self, joint: JointData, key: Key[Array, ""], state: _State) -> Tops:
        """Both means from their normal conditionals."""
        precise = jnp.exp(-2 * state.top[:, 1::2])
        precision = state.eta.shape[1] * precise + joint.sds**-2
        center = precise * jnp.sum(state.eta, axis=1) + joint.centers * joint.sds**-2
        normal = jax.random.normal(key, center.shape, center.dtype)
        drawn = center / precision + normal / jnp.sqrt(precision)
        return state.top.at[:, 0::2].set(drawn)


def _axes(dtype: Any) -> Float[Array, "2 2 2"]:
    """Moves along each axis in turn."""
    one = jnp.eye(2, dtype=dtype)
    return one[:, :, None] * one[:, None]
