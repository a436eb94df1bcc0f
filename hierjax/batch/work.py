"""How a batch of data sets is done: its compiled program, chunk by chunk over all devices."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Key

from hierjax.asked import among, counts_model, of_kind, probability, whole_number
from hierjax.batch.data_sets import DataSets, DistinctPairs, SizeClass
from hierjax.batch.devices import AXIS, Places, places
from hierjax.batch.drawn import Chains, chains_of
from hierjax.batch.inferred import STATUSES, Inferred, infer
from hierjax.batch.judging import Judged, judge
from hierjax.batch.parts import Parts, digest
from hierjax.batch.plan import SAMPLERS, DataSetArrays, Plan, check_draws
from hierjax.errors import ConfigError
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.fitted import DTYPES, Precision
from hierjax.inference import CollapsedGibbs, Method, Quadrature
from hierjax.inference.result import Progress, Status
from hierjax.keys import require_key
from hierjax.model import Model
from hierjax.tally import tally_batch
from hierjax.units.row_mixture import UnitSummary, unit_summary

__all__ = ["Found", "Work", "prepared"]

# Exact to some 1e-5 posterior standard deviations where the error estimate is below its tolerance.
_LEAN = Quadrature(rows=24, columns=16, tolerance=0.03)

Found = tuple[Inferred, Judged, UnitSummary]


@dataclass(frozen=True)
class Work:
    """How the data sets of a batch are done, chunk by chunk.

    Attributes:
        plan: What is done to each data set.
        model: Family and hyperprior.
        key: Typed key, which each data set's position is folded into.
        dtype: Floating type to compute in.
        levels: Probabilities of the quantiles.
        rates: Positions of units whose rates are drawn.
        places: Devices, and how many data sets they do at once.
        size_class: How large the arrays are.
        pairs: Distinct pairs of every data set.
    """

    plan: Plan
    model: Model
    key: Key[Array, ""]
    dtype: type
    levels: Float[np.ndarray, "levels"]
    rates: tuple[int, ...]
    places: Places
    size_class: SizeClass
    pairs: DistinctPairs

    def run(self, data_sets: DataSets, progress: Progress | None, checkpoint: Path | None) -> Found:
        """All data sets, refining quadrature for those that need it."""
        parts = Parts(checkpoint, self._identity(data_sets)) if checkpoint else None
        method, everything = self.plan.method, np.arange(len(data_sets))
        found = self._pass(data_sets, everything, self._first(), parts, "all", progress)
        if not isinstance(method, Quadrature):
            return found
        status = found[0].status
        status[self._improper(data_sets)] = STATUSES.index(Status.FAILED)
        for refinement in range(1, method.max_refinements + 1):
            again = np.flatnonzero(status == STATUSES.index(Status.NOT_CONVERGED))
            if not again.size:
                break
            rows, columns = method.rows << refinement, method.columns << refinement
            plan = replace(self.plan, rows=rows, columns=columns)
            try:
                work = self._finer(plan, data_sets)
            except ConfigError:
                # No memory for it: they stay as they are, and their status says so.
                break
            name = f"finer{refinement}_{work.places.chunk}"
            finer = work._pass(data_sets, again, plan, parts, name, None)
            for old, new in zip(*map(jax.tree.leaves, (found, finer)), strict=True):
                old[again] = new
        return found

    def compile(self, data_sets: DataSets) -> float:
        """Compiles what the first pass runs; several threads may do so side by side.

        Args:
            data_sets: The data sets.

        Returns:
            Wall seconds that it took.
        """
        began = time.perf_counter()
        with self.precision():
            rows = np.arange(self.places.chunk) % len(data_sets)
            model, arrays = self._arguments(data_sets, rows)
            _chunk.lower(self._first(), self.places, model, arrays, self.levels).compile()
        return time.perf_counter() - began

    def precision(self) -> Any:
        """Within it, what JAX computes is in the batch's precision; each thread enters its own."""
        return jax.enable_x64(self.dtype == np.float64)

    def _first(self) -> Plan:
        """What is done to every data set, before any is refined."""
        method = self.plan.method
        if not isinstance(method, Quadrature):
            return self.plan
        return replace(self.plan, rows=method.rows, columns=method.columns)

    def _finer(self, plan: Plan, data_sets: DataSets) -> "Work":
        """The same where each data set takes more memory: no more of them at once than fit."""
        fitting = places(plan, data_sets, None, self.size_class)
        chunk = min(self.places.chunk, fitting.chunk)
        if fitting.together >= self.places.together and fitting.threads >= self.places.threads:
            return self
        return replace(self, places=places(plan, data_sets, chunk, self.size_class))

    def _identity(self, data_sets: DataSets) -> str:
        data = (data_sets.successes, data_sets.trials, data_sets.sizes)
        places = (self.places.chunk, self.places.together, self.places.answered)
        settings = (self.plan, self.rates, places, self.size_class)
        return digest(settings, self.dtype.__name__, self.levels, self.model, self.key, data)

    def _improper(self, data_sets: DataSets) -> Bool[np.ndarray, "batch"]:
        y, n = data_sets.successes, data_sets.trials
        interior = ((y > 0) & (y < n)).sum(axis=1)
        prior = self.model.hyperprior
        return np.isin(interior, [k for k in np.unique(interior) if prior.impropriety(float(k))])

    def _pass(
        self,
        data_sets: DataSets,
        chosen: Int[np.ndarray, "chosen"],
        plan: Plan,
        parts: Parts | None,
        name: str,
        progress: Progress | None,
    ) -> Found:
        """Some of the data sets, chunk by chunk, those that are done already left out."""
        size = self.places.chunk

        def one(start: int) -> Found:
            rows = chosen[start : start + size]
            part = f"{name}_{start:09d}"
            if parts and (done := parts.load(part, _EMPTY)) is not None:
                return done
            # The last chunk is filled up by repeating a data set.
            padded = np.pad(rows, (0, size - len(rows)), mode="edge")
            with self.precision():
                model, arrays = self._arguments(data_sets, padded)
                found = _chunk(plan, self.places, model, arrays, self.levels)
                inferred, summary = jax.tree.map(lambda x: np.asarray(x)[: len(rows)], found)
            judged = judge(plan.method, inferred)
            none = np.zeros((len(rows), 0, 0, 2), inferred.chains.dtype)
            found = inferred._replace(chains=none, status=judged.status), judged, summary
            if parts:
                parts.save(part, found)
            return found

        finished = []
        with ThreadPoolExecutor(self.places.threads) as pool:
            for done, part in enumerate(pool.map(one, range(0, len(chosen), size)), 1):
                finished.append(part)
                if progress:
                    progress(min(done * size, len(chosen)), len(chosen))
        inferred, judged, summary = jax.tree.map(lambda *leaves: np.concatenate(leaves), *finished)
        at = np.arange(len(chosen))[:, None], self.pairs.position[chosen]
        return inferred, judged, jax.tree.map(lambda values: values[at], summary)

    def _arguments(
        self,
        data_sets: DataSets,
        rows: Int[np.ndarray, "batch"],
    ) -> tuple[Model, DataSetArrays]:
        """The model and data sets as compiled code takes them."""
        successes, trials = data_sets.successes[rows], data_sets.trials[rows]
        chosen = (successes[:, self.rates], trials[:, self.rates])
        needs_units = isinstance(self.plan.method, SAMPLERS) and not isinstance(
            self.plan.method, CollapsedGibbs
        )
        filled = ((0, 0), (0, self.size_class.units - successes.shape[1]))
        units = tuple(
            np.pad(x, filled) if needs_units else x[:, :0]
            for x in (successes, trials, data_sets.present[rows])
        )
        distinct = (x[rows] for x in self.pairs[:3])
        tally = tally_batch(successes, trials, self.dtype, self.size_class.lengths)
        floats: Any = [x.astype(self.dtype) for x in (*distinct, *units, *chosen)]
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(self.key, jnp.asarray(rows))
        model = jax.tree.map(partial(np.asarray, dtype=self.dtype), self.model)
        return model, DataSetArrays(tally, *floats, key=keys)  # type: ignore[misc]


def prepared(
    data_sets: DataSets,
    model: Model | None,
    method: Method | None,
    *,
    key: Key[Array, ""] | None = None,
    level: float = 0.9,
    empirical_bayes: str = "plug_in",
    draws: int = 0,
    rates: Sequence[int] = (),
    precision: Precision = "float64",
    chunk: int | None = None,
    size_class: SizeClass | None = None,
) -> Work:
    """How `fit_batch` does what it is asked; its arguments are checked, its errors raised."""
    model, method = model or Model(), method or _LEAN
    of_kind("data_sets", data_sets, DataSets, "DataSets")
    of_kind("model", model, Model, "a Model")
    counts_model(model, "batches")
    of_kind("method", method, Method, "a method's settings, such as Gibbs()")
    among("precision", precision, tuple(DTYPES))
    among("empirical_bayes", empirical_bayes, ("plug_in", "corrected"))
    corrected, kept = empirical_bayes == "corrected", whole_number("draws", draws, 0)
    check_draws(method, corrected, kept)
    tails, dtype = (1 - probability("level", level)) / 2, DTYPES[precision]
    if isinstance(method, SAMPLERS) or kept:
        key = require_key(key)
    if size_class is not None:
        of_kind("size_class", size_class, SizeClass, "a SizeClass")
    pairs = data_sets.distinct(1 if size_class is None else size_class.pairs)
    own = SizeClass.of(data_sets, pairs)
    size_class = own if size_class is None else own.joined(size_class)
    plan = Plan(method, corrected, few=size_class.few, draws=kept)
    return Work(
        plan,
        model,
        jax.random.key(0) if key is None else key,
        dtype,
        np.array([tails, 0.5, 1 - tails], dtype),
        _positions(rates, data_sets),
        places(plan, data_sets, chunk, size_class),
        size_class,
        pairs,
    )


def _positions(rates: Sequence[int], data_sets: DataSets) -> tuple[int, ...]:
    """The units whose rates are drawn, which every data set must have."""
    positions = tuple(whole_number(f"rates[{i}]", unit, 0) for i, unit in enumerate(rates))
    fewest = int(data_sets.sizes.min())
    for i, unit in enumerate(positions):
        if unit >= fewest:
            raise ConfigError(
                f"rates[{i}]: expected at most {fewest - 1}, as there is a data set of {fewest} "
                f"units, found {unit}"
            )
    return positions


# The structure of what is kept of a part.
_EMPTY: Any = (Inferred(*range(9)), Judged(*range(3)), UnitSummary(*range(3)))  # type: ignore


@partial(jax.jit, static_argnums=(0, 1))
def _chunk(
    plan: Plan,
    places: Places,
    model: Model,
    data: DataSetArrays,
    levels: Float[Array, "levels"],
) -> tuple[Inferred, UnitSummary]:
    """Data sets spread over devices; on each, few at a time."""

    def one(
        model: Model, levels: Float[Array, "levels"], data: DataSetArrays, chains: Chains | None
    ) -> tuple[Inferred, UnitSummary]:
        rows, inferred = infer(plan, model, data, levels, chains)
        family = cast(BetaBinomial, model.family)
        return inferred, unit_summary(family, rows, data.successes, data.trials, levels, plan.nodes)

    def share(
        model: Model, levels: Float[Array, "levels"], data: DataSetArrays
    ) -> tuple[Inferred, UnitSummary]:
        def answers(each: tuple[DataSetArrays, Chains | None]) -> tuple[Inferred, UnitSummary]:
            return jax.vmap(partial(one, model, levels))(*each)

        def block(data: DataSetArrays) -> tuple[Inferred, UnitSummary]:
            # Without barriers a single block is compiled into what is around it, and rounds in
            # another way than one of several in a loop.
            data = jax.lax.optimization_barrier(data)
            chains = None
            if isinstance(plan.method, SAMPLERS):
                chains = chains_of(plan.method, model, data)
            found = _in_turns(answers, places.answered, (data, chains))
            return jax.lax.optimization_barrier(found)

        return _in_turns(block, places.together, data)

    if len(places.devices) > 1:
        whole, spread = PartitionSpec(), PartitionSpec(AXIS)
        share = jax.shard_map(
            share,
            mesh=places.mesh,
            in_specs=(whole, whole, spread),
            out_specs=spread,
            check_vma=False,
        )
    return share(model, levels, data)


def _in_turns(each: Callable[[Any], Any], size: int, data: Any) -> Any:
    """What is found of so many at once, turn by turn."""
    turns = len(jax.tree.leaves(data)[0]) // size
    if turns == 1:
        return each(data)
    parts = jax.tree.map(lambda x: x.reshape(turns, size, *x.shape[1:]), data)
    found = jax.lax.map(each, parts)
    return jax.tree.map(lambda x: x.reshape(turns * size, *x.shape[2:]), found)
