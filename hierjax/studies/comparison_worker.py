"""The process that measures one method on one platform in one precision.

    python -m hierjax.studies.comparison_worker FOLDER

It reads what to do from the folder, and leaves there what it found. Being a process of its own, it
compiles everything itself, and its memory is nobody else's.
"""

import json
import os
import pickle
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from hierjax.errors import ConfigError, HierjaxError
from hierjax.inference import Method
from hierjax.model import Model

__all__ = ["ANSWERS", "FOUND", "JOB", "Job", "hardware", "measured", "peak_megabytes"]

#: Names of the files in the folder.
JOB, FOUND, ANSWERS = "job.pickle", "found.json", "answers.npz"
# Seconds of a run that is not repeated, and until which a shorter one is, at most so often.
_LONG, _ENOUGH, _REPEATS = 20.0, 2.0, 5


@dataclass(frozen=True)
class Job:
    """What a process is to do.

    Attributes:
        platform: `cpu` or `gpu`.
        counts: Successes, trials and sizes of the data sets.
        model: Family and hyperprior.
        method: Settings of the method.
        key: Data of the random key, and its implementation; None without one.
        options: What else `fit_batch` is given.
    """

    platform: Literal["cpu", "gpu"]
    counts: tuple[Int[np.ndarray, "batch units"], Int[np.ndarray, "batch units"], np.ndarray]
    model: bytes
    method: Method
    key: tuple[np.ndarray, str] | None
    options: dict[str, Any]


def measured(fit: Callable[[], Any]) -> tuple[Any, float, float]:
    """What a fit finds, the seconds that its first call compiles, and those that a run takes.

    A run of less than 20 s is timed by further calls: the fastest of up to five, within 2 s.

    Args:
        fit: Does it, from host arrays to host arrays.

    Returns:
        What it found, and both times.

    Example:
        >>> found, compiling, running = measured(lambda: "answers")
        >>> found, compiling, running < 1
        ('answers', 0.0, True)
    """
    from hierjax.inference.stopwatch import Stopwatch

    with Stopwatch() as first:
        found = fit()
    if first.seconds["run"] > _LONG:
        return found, first.seconds["compile"], first.seconds["run"]
    times: list[float] = []
    while not times or (sum(times) < _ENOUGH and len(times) < _REPEATS):
        with Stopwatch() as again:
            found = fit()
        times.append(sum(again.seconds.values()))
    return found, first.seconds["compile"], min(times)


def peak_megabytes() -> float:
    """The most memory that this process has had, itself; NaN where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    # A process that another one started begins with the other's peak; this is for want of better.
    with suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
    return float("nan")


def hardware() -> str:
    """What the batch is done on."""
    import jax

    devices = jax.devices()
    if devices[0].platform == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return f"{cores} cores, {platform.machine()}"
    count = f"{len(devices)} x " if len(devices) > 1 else ""
    return f"{count}{devices[0].device_kind}"


def _device_megabytes() -> float:
    import jax

    statistics = [device.memory_stats() or {} for device in jax.devices()]
    return sum(each.get("peak_bytes_in_use", float("nan")) for each in statistics) / 1e6


def _work(folder: Path, job: Job) -> dict[str, Any]:
    import jax

    from hierjax.batch import DataSets, fit_batch
    from hierjax.batch.plan import SAMPLERS

    key = None
    if job.key:
        key = jax.random.wrap_key_data(jax.numpy.asarray(job.key[0]), impl=job.key[1])
    data_sets = DataSets(*job.counts)
    model: Model = pickle.loads(job.model)
    fit = partial(fit_batch, data_sets, model, job.method, key=key, **job.options)
    fits, compiling, running = measured(fit)
    np.savez(folder / ANSWERS, mean=fits.mean, sd=fits.sd, status=fits.status)
    drawn = effective = np.nan
    if isinstance(job.method, SAMPLERS):
        drawn = job.method.chains * job.method.draws * len(data_sets)
        effective = float(np.nansum(fits.ess.min(axis=1)))
    return {
        "hardware": hardware(),
        "data_sets": len(data_sets),
        "failed": int(np.sum(fits.status == "failed")),
        "data_sets_per_second": len(data_sets) / running,
        "draws_per_second": drawn / running,
        "ess_per_second": effective / running,
        "compile_seconds": compiling,
        "run_seconds": running,
        "peak_megabytes": peak_megabytes(),
        "device_megabytes": np.nan if job.platform == "cpu" else _device_megabytes(),
    }


def main(folder: Path) -> None:
    """Does the folder's job; what cannot be done is said in the file of what was found."""
    from hierjax.experiment.runtime import prepare_jax, silence

    silence()
    job: Job = pickle.loads((folder / JOB).read_bytes())
    try:
        prepare_jax(job.platform)
    except ConfigError:
        found = {"missing": "no GPU that JAX can use; hierjax[gpu] brings what it needs"}
    else:
        import jax

        # What was compiled earlier would not be compiled again.
        jax.config.update("jax_enable_compilation_cache", False)
        try:
            found = _work(folder, job)
        except HierjaxError as error:
            found = {"error": str(error)}
    (folder / FOUND).write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
