"""NUTS: NumPyro's no-U-turn sampler on the full joint of all units and both hyperparameters."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hierjax.inference.convergence import after_warmup, result_of_draws
from hierjax.inference.result import Problem, Result, UnitData
from hierjax.inference.sampling import (
    compile_ahead,
    overdispersed_starts,
    sample,
    side_by_side,
)
from hierjax.inference.stopwatch import Stopwatch
from hierjax.model import Model

__all__ = ["NUTS"]

Scalar = Float[Array, ""]


class NutsData(NamedTuple):
    """The model and its data, as a kernel is given them.

    Attributes:
        model: Family and hyperprior.
        tally: The units' tally.
        values: What is observed of every unit.
        sizes: What is known of it.
        present: One; zero for what fills a smaller data set up, whose coordinates are standard
            normal and seen by nothing else.
    """

    model: Model
    tally: Any
    values: Float[Array, "units"]
    sizes: Float[Array, "units"]
    present: Float[Array, "units"]

    @classmethod
    def of(cls, model: Model, tally: Any, units: UnitData) -> "NutsData":
        """Of one data set."""
        arrays = units.values, units.sizes, np.ones_like(units.sizes)
        return cls(*jax.tree.map(jnp.asarray, (model, tally, *arrays)))


def _working(data: NutsData, standard: Float[Array, "2"]) -> Float[Array, "2"]:
    """Working coordinates from the sampler's, which are of the order of one."""
    frame = data.model.family.frame(data.tally)
    return jnp.stack([frame.location + frame.scale * standard[0], standard[1]])


def _places(
    data: NutsData, eta: Float[Array, "2"], standard: Float[Array, "units"]
) -> tuple[Float[Array, "units"], Float[Array, "units"]]:
    r"""Units' places from coordinates that are nearly standard normal, and their scales.

    The conjugate posterior of the unit gives location and scale, of log-odds for example

    .. math:: \mathrm{logit}\,\theta = \mathrm{logit}\frac{\alpha + y}{\alpha + \beta + n}
        + z \sqrt{\frac{1}{\alpha + y} + \frac{1}{\beta + n - y}}

    so the sampler meets no funnel between the units and the concentration.
    """
    family = data.model.family
    center, scale = family.place(data.values, data.sizes, family.constrain(eta))
    return center + scale * standard, scale


def _potential(data: NutsData) -> Any:
    """Minus the log-joint of all units and hyperparameters, in the sampler's coordinates."""
    model, family = data.model, data.model.family

    def potential(position: dict[str, Array]) -> Scalar:
        eta, present = _working(data, position["eta"]), data.present
        places, scales = _places(data, eta, position["units"])
        likelihood = jax.vmap(family.log_likelihood_kernel)(data.values, data.sizes, places)
        seen = family.seen(places, present)
        absent = jnp.sum((1 - present) * position["units"] ** 2)
        return 0.5 * absent - (
            jnp.sum(present * (likelihood + jnp.log(scales)))
            + family.log_prior_units(seen, family.constrain(eta))
            + model.hyperprior.log_density(eta)
        )

    return potential


def _of_chains(advance: Callable[[PyTree, PyTree], PyTree]) -> Any:
    """Advances all chains of a data set; chains of several data sets along one axis.

    Loops within loops are traced some times over for each axis that is mapped over.
    """

    @jax.custom_batching.custom_vmap
    def chains(data: PyTree, state: PyTree) -> PyTree:
        return jax.vmap(advance, in_axes=(None, 0))(data, state)

    @chains.def_vmap
    def _(size: int, mapped: PyTree, data: PyTree, state: PyTree) -> tuple[PyTree, PyTree]:
        def whole(leaf: Array, each: bool) -> Array:
            return leaf if each else jnp.broadcast_to(leaf, (size, *leaf.shape))

        state = jax.tree.map(whole, state, mapped[1])
        number = jax.tree.leaves(state)[0].shape[1]
        leaves, structure = jax.tree.flatten(data)
        is_mapped = jax.tree.leaves(mapped[0])
        leaves = [
            jnp.repeat(leaf, number, axis=0) if each else leaf
            for leaf, each in zip(leaves, is_mapped, strict=True)
        ]

        def one(leaves: list[Array], state: PyTree) -> PyTree:
            return advance(jax.tree.unflatten(structure, leaves), state)

        pairs = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), state)
        axes = [0 if each else None for each in is_mapped]
        found = jax.vmap(one, in_axes=(axes, 0))(leaves, pairs)
        found = jax.tree.map(lambda leaf: leaf.reshape(size, number, *leaf.shape[1:]), found)
        return found, jax.tree.map(lambda _: True, found)

    return chains


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class NUTS:
    """No-U-turn sampling of all units' parameters and both hyperparameters.

    Args:
        chains: Chains, run in lockstep.
        warmup: Steps dropped at the start of every chain; step size and mass matrix adapt in them.
        draws: Draws kept of every chain.
        target_acceptance: Acceptance probability that the step size is adapted to.
        max_tree_depth: Most doublings of a trajectory.
        store_units: Whether to keep the draws of every unit's parameter.
        chunk: Steps between progress reports and checkpoints; does not affect the draws.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> method = hj.NUTS(warmup=400, draws=600, store_units=True, chunk=500)
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=method, key=jax.random.key(0))
        >>> fit.draws.shape, fit.unit_draws.shape
        ((4, 600, 2), (4, 600, 70))
    """

    chains: Annotated[int, Field(gt=0, strict=True)] = 4
    warmup: Annotated[int, Field(gt=0, strict=True)] = 1000
    draws: Annotated[int, Field(gt=0, strict=True)] = 1000
    target_acceptance: Annotated[float, Field(gt=0, lt=1)] = 0.8
    max_tree_depth: Annotated[int, Field(gt=0, le=20, strict=True)] = 10
    store_units: bool = False
    chunk: Annotated[int, Field(gt=0, strict=True)] = 250

    name: ClassVar[str] = "nuts"

    def _kernel(self) -> tuple[Any, Any]:
        from numpyro.infer.hmc import hmc

        return hmc(potential_fn_gen=_potential, algo="NUTS")

    def _begin(self, start: Any, data: NutsData, key: Key[Array, ""], position: PyTree) -> Any:
        return start(
            position,
            self.warmup,
            target_accept_prob=self.target_acceptance,
            max_tree_depth=self.max_tree_depth,
            dense_mass=[("eta",)],
            trajectory_length=None,
            model_args=(data,),
            rng_key=key,
        )

    def init(self, data: NutsData, key: Key[Array, ""]) -> PyTree:
        """Overdispersed hyperparameters, units from their conditionals' normal approximation."""
        key_eta, key_units, key_chains = jax.random.split(key, 3)
        eta = overdispersed_starts(data.model, data.tally, key_eta, self.chains)
        frame, shape = data.model.family.frame(data.tally), (self.chains, data.sizes.shape[0])
        standard = jnp.stack([(eta[:, 0] - frame.location) / frame.scale, eta[:, 1]], axis=-1)
        position = {"eta": standard, "units": jax.random.normal(key_units, shape, eta.dtype)}
        start, _ = self._kernel()
        keys = jax.random.split(key_chains, self.chains)
        return jax.vmap(lambda k, z: self._begin(start, data, k, z))(keys, position)

    def step(
        self, data: NutsData, key: Key[Array, ""], state: PyTree, index: Int[Array, ""]
    ) -> tuple[PyTree, dict[str, Array]]:
        """One trajectory of every chain. NumPyro keeps the chains' keys in its state."""
        start, advance = self._kernel()
        first = jax.tree.map(lambda leaf: leaf[0], state)
        # The kernel learns its settings when it is started; nothing of this is executed.
        jax.eval_shape(lambda k, z: self._begin(start, data, k, z), first.rng_key, first.z)
        state = _of_chains(lambda data, state: advance(state, (data,), {}))(data, state)
        output = {
            "eta": jax.vmap(partial(_working, data))(state.z["eta"]),
            "acceptance": state.accept_prob,
            "divergent": state.diverging,
            "steps": state.num_steps,
            "step_size": state.adapt_state.step_size,
        }
        if self.store_units:
            output["theta"] = self._parameters(data, state.z)
        return state, output

    @staticmethod
    def _parameters(data: NutsData, position: dict[str, Array]) -> Float[Array, "chains units"]:
        def chain(
            standard: Float[Array, "2"], units: Float[Array, "units"]
        ) -> Float[Array, "units"]:
            return _places(data, _working(data, standard), units)[0]

        places = jax.vmap(chain)(position["eta"], position["units"])
        return data.model.family.parameter_at(places)

    def _data(self, problem: Problem) -> NutsData:
        tally = problem.proper_tally()
        return NutsData.of(problem.model, tally, problem.units())

    def compile(self, problem: Problem) -> None:
        """Compiles what `run` will need, as another method runs."""
        steps, groups = self.warmup + self.draws, side_by_side(self.chains)
        compile_ahead(self, self._data(problem), problem, steps, self.chunk, groups)

    def run(self, problem: Problem) -> Result:
        """Samples and judges the draws; see `NUTS`."""
        data, steps = self._data(problem), self.warmup + self.draws
        with Stopwatch() as watch:
            outputs = sample(self, data, problem, steps, self.chunk, side_by_side(self.chains))
        kept = after_warmup(outputs, self.warmup)
        divergences = int(kept["divergent"].sum())
        info = {
            "acceptance": kept["acceptance"].mean(axis=1),
            "divergences": divergences,
            "step_size": kept["step_size"][:, -1],
            "per_draw": {
                "acceptance_rate": kept["acceptance"],
                "diverging": kept["divergent"],
                "n_steps": kept["steps"],
                "tree_depth": np.log2(kept["steps"]).astype(int) + 1,
            },
        }
        trouble = f"{divergences} divergent trajectories" if divergences else ""
        return result_of_draws(kept, info, watch.seconds, trouble)
