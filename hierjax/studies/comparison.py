"""The same batch on every platform, in every precision: speed, memory and agreement."""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np
from jaxtyping import Array, Key

import hierjax
from hierjax.asked import among, counts_model, of_kind, probability, whole_number
from hierjax.batch import DataSets
from hierjax.batch.plan import SAMPLERS, check_draws
from hierjax.errors import ConfigError
from hierjax.fitted import Precision
from hierjax.inference import Method
from hierjax.inference.result import Progress
from hierjax.keys import require_key
from hierjax.model import Model
from hierjax.studies.comparison_worker import ANSWERS, FOUND, JOB, Job
from hierjax.table import Table

__all__ = ["COLUMNS", "Compared", "Comparison", "Platform", "compare"]

Platform = Literal["cpu", "gpu"]

#: Columns of a comparison's table.
COLUMNS = (
    "device",
    "precision",
    "method",
    "data_sets",
    "failed",
    "data_sets_per_second",
    "draws_per_second",
    "ess_per_second",
    "compile_seconds",
    "run_seconds",
    "peak_megabytes",
    "device_megabytes",
    "largest_difference",
    "other_status",
)
_REFERENCE = ("cpu", "float64")


@dataclass(frozen=True)
class Compared:
    """A method that is compared.

    Attributes:
        method: Its settings.
        data_sets: How many of the data sets it is given, from the first; by default all.
        empirical_bayes: Whether a point estimate's error is carried into answers about units.
    """

    method: Method
    data_sets: int | None = None
    empirical_bayes: Literal["plug_in", "corrected"] = "plug_in"


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        table: One row a method, device and precision: device, precision, method, data_sets, failed
            (of them), data_sets_per_second, draws_per_second and ess_per_second (of samplers, over
            all data sets, warm-up included in the time), compile_seconds, run_seconds,
            peak_megabytes (of the process), device_megabytes (of an accelerator's memory),
            largest_difference (between unit means and those of the same method on the CPU in double
            precision, in posterior standard deviations, where the data set has the same status
            in both and is not at the boundary; of samplers it holds their Monte Carlo error too)
            and other_status (how many data sets have a status other than there).
        missing: What could not be measured, and why; a line each.
        hardware: What each platform is.
    """

    table: Table
    missing: tuple[str, ...]
    hardware: dict[str, str]


@dataclass
class _Found:
    """What has been found so far."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    hardware: dict[str, str] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)


def compare(
    data_sets: DataSets,
    methods: Mapping[str, Method | Compared],
    model: Model | None = None,
    *,
    key: Key[Array, ""] | None = None,
    platforms: Sequence[Platform] = ("cpu", "gpu"),
    precisions: Sequence[Precision] = ("float64", "float32"),
    level: float = 0.9,
    chunk: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Fits the same batch by several methods, on every platform and in every precision.

    Each of these fits is made in a process of its own, one after another, so that it compiles
    everything itself and its memory is its own. Seconds of a run are those of a further call, from
    host arrays to host arrays: the fastest of up to five, if the first took less than 20 s.

    Args:
        data_sets: The batch.
        methods: The methods, by name.
        model: Family and hyperprior; by default beta-binomial under (alpha + beta)^(-5/2).
        key: Typed key, for samplers.
        platforms: `cpu`, `gpu` or both. A platform that is not there is reported as missing.
        precisions: `float64`, `float32` or both.
        level: Probability of all intervals.
        chunk: Data sets to do in one call, as of `fit_batch`.
        progress: Called with fits done and fits in all.

    Returns:
        The table, what is missing from it, and what the platforms are.

    Raises:
        ConfigError: If the level, a platform, a precision or a method is not one, or there are
            fewer data sets than a method is to be given.
        TypeError: If a sampler is given no typed key.

    Example:
        >>> import hierjax as hj
        >>> rats = hj.datasets.rat_tumors()
        >>> batch = hj.DataSets.of([rats] * 20)
        >>> found = compare(
        ...     batch, {"moments": hj.Moments()}, platforms=["cpu"], precisions=["float64"]
        ... )
        >>> found.table["largest_difference"].tolist(), found.missing
        ([0.0], ())
    """
    asked = _checked(data_sets, methods, platforms, precisions, level, key)
    model = model or Model()
    counts_model(model, "studies")
    packed = pickle.dumps(model)
    keyed = None if key is None else _key_data(key)
    combinations = list(product(asked.items(), platforms, precisions))
    found = _Found()
    answers: dict[str, dict[str, np.ndarray]] = {}
    for done, ((name, each), platform, precision) in enumerate(combinations):
        if progress:
            progress(done, len(combinations))
        if platform in found.absent:
            continue
        chosen = data_sets.select(slice(each.data_sets))
        counts = (chosen.successes, chosen.trials, chosen.sizes)
        options = {
            "level": level,
            "precision": precision,
            "chunk": chunk,
            "empirical_bayes": each.empirical_bayes,
        }
        job = Job(platform, counts, packed, each.method, keyed, options)
        row = {"device": platform, "precision": precision, "method": name}
        _measure(job, row, found, answers)
    if progress:
        progress(len(combinations), len(combinations))
    table = Table({column: [row[column] for row in found.rows] for column in COLUMNS})
    return Comparison(table, tuple(found.missing), found.hardware)


def _checked(
    data_sets: DataSets,
    methods: Mapping[str, Method | Compared],
    platforms: Sequence[str],
    precisions: Sequence[str],
    level: float,
    key: Any,
) -> dict[str, Compared]:
    """The methods, after everything that can be wrong has been looked at."""
    of_kind("data_sets", data_sets, DataSets, "DataSets")
    probability("level", level)
    for platform in platforms:
        among("platforms", platform, get_args(Platform))
    for precision in precisions:
        among("precisions", precision, get_args(Precision))
    if not (methods and platforms and precisions):
        raise ConfigError("compare: expected at least one method, platform and precision")
    asked = {}
    for name, each in methods.items():
        entry = each if isinstance(each, Compared) else Compared(each)
        of_kind(f"methods[{name!r}]", entry.method, Method, "a method's settings, such as Gibbs()")
        if entry.data_sets is not None:
            whole_number(f"methods[{name!r}].data_sets", entry.data_sets, most=len(data_sets))
        check_draws(entry.method, entry.empirical_bayes == "corrected", 0)
        if isinstance(entry.method, SAMPLERS):
            require_key(key)
        asked[name] = entry
    return asked


def _measure(
    job: Job,
    row: dict[str, Any],
    found: _Found,
    answers: dict[str, dict[str, np.ndarray]],
) -> None:
    """Adds the row of one fit to what was found, or says why there is none."""
    place, name = (row["device"], row["precision"]), row["method"]
    told, own = _in_process(job)
    if missing := told.get("missing"):
        found.absent.add(job.platform)
        found.missing.append(f"{job.platform}: {missing}")
    elif own is None:
        found.missing.append(f"{name} on {place[0]} in {place[1]}: {told['error']}")
    else:
        if place == _REFERENCE:
            answers[name] = own
        found.hardware[job.platform] = told.pop("hardware")
        found.rows.append(row | told | _differences(own, answers.get(name)))


def _in_process(job: Job) -> tuple[dict[str, Any], dict[str, np.ndarray] | None]:
    """What a process of its own tells of the job, and its answers if it has any."""
    root = str(Path(hierjax.__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryDirectory(prefix="hierjax-") as scratch:
        folder = Path(scratch)
        (folder / JOB).write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", "hierjax.studies.comparison_worker", scratch]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode or not (folder / FOUND).exists():
            return {"error": _ending(done.returncode, done.stderr)}, None
        told = json.loads((folder / FOUND).read_text())
        if not (folder / ANSWERS).exists():
            return told, None
        with np.load(folder / ANSWERS) as file:
            return told, dict(file)


def _ending(code: int, said: str) -> str:
    """How a process ended that found nothing."""
    if code == -signal.SIGKILL:
        return "its process was killed, as happens where memory runs out"
    last = (said.strip().splitlines() or ["nothing"])[-1]
    return f"its process ended with status {code} and said {last}"


def _differences(
    own: dict[str, np.ndarray], reference: dict[str, np.ndarray] | None
) -> dict[str, Any]:
    """How far answers are from those of the reference; NaN without one."""
    if reference is None:
        return {"largest_difference": np.nan, "other_status": np.nan}
    same = own["status"] == reference["status"]
    used = same & ~np.isin(own["status"], ("boundary", "failed"))
    away = np.abs(own["mean"] - reference["mean"])[used] / reference["sd"][used]
    largest = np.nanmax(away) if np.isfinite(away).any() else np.nan
    return {"largest_difference": float(largest), "other_status": int(np.sum(~same))}


def _key_data(key: Key[Array, ""]) -> tuple[np.ndarray, str]:
    require_key(key)
    return np.asarray(jax.random.key_data(key)), str(jax.random.key_impl(key))
