"""`fit_batch`: hyperparameters and units of many data sets, by any deterministic method."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from hierjax.asked import among, of_kind, probability, whole_number
from hierjax.batch.data_sets import DataSets
from hierjax.batch.inferred import STATUSES, BatchMethod, Inferred, batch_method, infer
from hierjax.fitted import DTYPES, Precision
from hierjax.inference import Method, Quadrature
from hierjax.inference.result import Progress, Status
from hierjax.model import Model
from hierjax.table import Table
from hierjax.tally import TallyArrays, batch_lengths, tally_batch
from hierjax.units.row_mixture import UnitSummary, unit_summary

__all__ = ["BatchFit", "fit_batch"]

# Exact to some 1e-5 posterior standard deviations where the error estimate is below its tolerance.
_LEAN = Quadrature(rows=24, columns=16, tolerance=0.03)
# Data sets in one call of compiled code, and at once in its innermost loop; on accelerators all.
_CHUNK, _TOGETHER = 256, 4
# With fewer units than this the posterior along a row is far from normal.
_FEW = 20
# Nodes of a unit's density then, and otherwise.
_FINE, _COARSE = 128, 40
# Bytes that a unit of a data set takes on an accelerator, where a chunk is done at once.
_UNIT_BYTES, _SHARE = 1 << 17, 0.5
_COLUMNS = ("mean", "sd", "low", "median", "high")


@dataclass(frozen=True, eq=False, repr=False)
class BatchFit:
    """Fits of many data sets by one method: arrays with a leading batch axis.

    Where a method failed, numbers are NaN; so they are beyond a data set's units.

    Attributes:
        data_sets: The counts.
        model: Family and hyperprior.
        method: Settings of the method.
        level: Probability of the units' intervals.
        status: How far each data set's numbers may be trusted.
        coordinates: Posterior means of (logit_mean, log_concentration), or the point estimate.
        coordinate_sd: Their standard deviations, or standard errors.
        log_evidence: Log of the evidence; of point estimates, the log-likelihood.
        error: Quadrature's error estimates.
        mean: Units' posterior means.
        sd: Units' posterior standard deviations.
        low: Lower ends of units' equal-tailed intervals.
        median: Units' posterior medians.
        high: Upper ends.
    """

    data_sets: DataSets
    model: Model
    method: Method
    level: float
    status: Shaped[np.ndarray, "batch"]
    coordinates: Float[np.ndarray, "batch 2"]
    coordinate_sd: Float[np.ndarray, "batch 2"]
    log_evidence: Float[np.ndarray, "batch"]
    error: Float[np.ndarray, "batch"]
    mean: Float[np.ndarray, "batch units"]
    sd: Float[np.ndarray, "batch units"]
    low: Float[np.ndarray, "batch units"]
    median: Float[np.ndarray, "batch units"]
    high: Float[np.ndarray, "batch units"]

    def __repr__(self) -> str:
        statuses, counts = np.unique(self.status, return_counts=True)
        found = ", ".join(f"{n} {status}" for status, n in zip(statuses, counts, strict=True))
        return f"BatchFit({self.method.name}, data_sets={len(self.data_sets)}: {found})"

    def hyperparameters(self) -> Table:
        """One row a data set and working coordinate."""
        batch, names = len(self.data_sets), self.model.family.coordinates
        return Table(
            {
                "data_set": np.repeat(np.arange(batch), 2),
                "parameter": np.tile(names, batch),
                "mean": self.coordinates.ravel(),
                "sd": self.coordinate_sd.ravel(),
                "status": np.repeat(self.status, 2),
            }
        )

    def units(self) -> Table:
        """One row a unit, data set by data set."""
        present, y, n = self.data_sets.present, self.data_sets.successes, self.data_sets.trials
        data_set, unit = np.nonzero(present)
        with np.errstate(invalid="ignore"):
            raw = y[present] / n[present]
        answers = {name: getattr(self, name)[present] for name in _COLUMNS}
        return Table(
            {
                "data_set": data_set,
                "unit": unit,
                "successes": y[present],
                "trials": n[present],
                "raw_rate": raw,
                **answers,
            }
        )


def fit_batch(
    data_sets: DataSets,
    model: Model | None = None,
    method: Method | None = None,
    *,
    level: float = 0.9,
    precision: Precision = "float64",
    chunk: int | None = None,
    progress: Progress | None = None,
) -> BatchFit:
    """Fits every data set of a batch, alike and in one compiled program.

    Args:
        data_sets: Their counts, of any sizes.
        model: Family and hyperprior; by default beta-binomial under (alpha + beta)^(-5/2).
        method: Moments, Type2MLE or Quadrature; by default quadrature on a lean lattice, which is
            refined where its error estimate asks for it.
        level: Probability of the units' equal-tailed intervals.
        precision: Floating type to compute in; JAX's own setting is left as it is.
        chunk: Data sets to do in one call, which bounds memory; by default 256, and on an
            accelerator as many as half of its memory holds.
        progress: Called with data sets done and data sets in all.

    Returns:
        The fits. Look at `status`: trouble is reported there, not raised.

    Raises:
        ConfigError: If the level is not inside (0, 1), the chunk not a whole number above 0, or
            the precision unknown.
        ModelError: If the method does no batches.
        DataError: If the precision has too few digits for the counts.

    Example:
        >>> import numpy as np
        >>> import hierjax as hj
        >>> rats = hj.datasets.rat_tumors()
        >>> y = np.random.default_rng(0).binomial(rats.trials, 0.15, (20, 70))
        >>> fits = hj.fit_batch(hj.DataSets(y, np.tile(rats.trials, (20, 1))), method=hj.Moments())
        >>> fits.mean.shape, set(fits.status) <= {"converged", "boundary"}
        ((20, 70), True)
    """
    of_kind("data_sets", data_sets, DataSets, "DataSets")
    of_kind("model", model or Model(), Model, "a Model")
    model, method = model or Model(), batch_method(method or _LEAN)
    among("precision", precision, tuple(DTYPES))
    tails = (1 - probability("level", level)) / 2
    size = _chunk_size(data_sets) if chunk is None else whole_number("chunk", chunk)
    dtype = DTYPES[precision]
    work = _Work(model, method, dtype, np.array([tails, 0.5, 1 - tails], dtype), size)
    with jax.enable_x64(precision == "float64"):
        inferred, summary = work.run(data_sets, progress)
    status = np.array([str(status) for status in STATUSES])[inferred.status]
    failed = status == Status.FAILED

    def told(values: Float[np.ndarray, "batch *rest"]) -> Float[np.ndarray, "batch *rest"]:
        values = values.astype(np.float64)
        values[failed] = np.nan
        return values

    units = (summary.mean, summary.sd, *np.moveaxis(summary.quantiles, -1, 0))
    present = data_sets.present
    answers = {
        name: np.where(present, told(values), np.nan)
        for name, values in zip(_COLUMNS, units, strict=True)
    }
    return BatchFit(
        data_sets,
        model,
        method,
        float(level),
        status,
        told(inferred.mean),
        told(inferred.sd),
        told(inferred.log_evidence),
        told(inferred.error),
        **answers,
    )


def _chunk_size(data_sets: DataSets) -> int:
    device = jax.devices()[0]
    if device.platform == "cpu":
        return min(_CHUNK, len(data_sets))
    free = (device.memory_stats() or {}).get("bytes_limit", 1 << 33) * _SHARE
    return int(np.clip(free // (_UNIT_BYTES * data_sets.trials.shape[1]), 1, len(data_sets)))


@dataclass(frozen=True)
class _Work:
    """How the data sets of a batch are done, chunk by chunk."""

    model: Model
    method: BatchMethod
    dtype: type
    levels: Float[np.ndarray, "levels"]
    chunk: int

    def run(self, data_sets: DataSets, progress: Progress | None) -> tuple[Inferred, UnitSummary]:
        """All data sets, refining quadrature for those that need it."""
        if not isinstance(self.method, Quadrature):
            return self._pass(data_sets, (0, 0), progress)
        rows, columns = self.method.rows, self.method.columns
        found = self._pass(data_sets, (rows, columns), progress)
        status = found[0].status
        status[self._improper(data_sets)] = STATUSES.index(Status.FAILED)
        for refinement in range(1, self.method.max_refinements + 1):
            again = np.flatnonzero(status == STATUSES.index(Status.NOT_CONVERGED))
            if not again.size:
                break
            size = (rows << refinement, columns << refinement)
            finer = self._pass(data_sets.select(again), size, None)
            for old, new in zip(*map(jax.tree.leaves, (found, finer)), strict=True):
                old[again] = new
        return found

    def _improper(self, data_sets: DataSets) -> Bool[np.ndarray, "batch"]:
        y, n = data_sets.successes, data_sets.trials
        interior = ((y > 0) & (y < n)).sum(axis=1)
        prior = self.model.hyperprior
        return np.isin(interior, [k for k in np.unique(interior) if prior.impropriety(float(k))])

    def _pass(
        self, data_sets: DataSets, size: tuple[int, int], progress: Progress | None
    ) -> tuple[Inferred, UnitSummary]:
        lengths = batch_lengths(data_sets.successes, data_sets.trials)
        starts, x64 = range(0, len(data_sets), self.chunk), self.dtype == np.float64
        few = isinstance(self.method, Quadrature) and bool(data_sets.sizes.min() < _FEW)
        together = _TOGETHER if jax.default_backend() == "cpu" else self.chunk

        pairs = data_sets.distinct()
        units = (pairs.successes, pairs.trials, pairs.multiplicity)

        def one(start: int) -> tuple[Inferred, UnitSummary]:
            rows = np.arange(start, start + self.chunk)
            # The last chunk is filled up by repeating a data set.
            rows = np.where(rows < len(data_sets), rows, start)
            counts = (data_sets.successes[rows], data_sets.trials[rows])
            tally = tally_batch(*counts, self.dtype, lengths)
            with jax.enable_x64(x64):  # a thread has a setting of its own
                arrays = (tally, *(x[rows].astype(self.dtype) for x in units))
                found = _chunk(self.method, size, few, together, self.model, *arrays, self.levels)
                return jax.tree.map(lambda x: np.asarray(x)[: len(data_sets) - start], found)

        parts = []
        with ThreadPoolExecutor(os.cpu_count() if together == _TOGETHER else 1) as pool:
            for done, part in enumerate(pool.map(one, starts), 1):
                parts.append(part)
                if progress:
                    progress(min(done * self.chunk, len(data_sets)), len(data_sets))
        inferred, summary = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        at = np.arange(len(data_sets))[:, None], pairs.position
        return inferred, jax.tree.map(lambda values: values[at], summary)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _chunk(
    method: BatchMethod,
    size: tuple[int, int],
    by_columns: bool,
    together: int,
    model: Model,
    tally: TallyArrays,
    successes: Float[Array, "batch pairs"],
    trials: Float[Array, "batch pairs"],
    multiplicity: Float[Array, "batch pairs"],
    levels: Float[Array, "levels"],
) -> tuple[Inferred, UnitSummary]:
    def one(data: tuple[TallyArrays, Array, Array, Array]) -> tuple[Inferred, UnitSummary]:
        rows, inferred = infer(method, size, by_columns, model, *data)
        return inferred, unit_summary(
            model.family, rows, *data[1:3], levels, _FINE if by_columns else _COARSE
        )

    data = jax.tree.map(jnp.asarray, (tally, successes, trials, multiplicity))
    return jax.lax.map(one, data, batch_size=together)
