"""From a checked configuration to answers: every method on the same data, under one model."""

import threading
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array, Key

from hierjax.experiment.config import check_questions, load_counts
from hierjax.experiment.distributions import build_model
from hierjax.experiment.found import MethodFits
from hierjax.experiment.later import load_later
from hierjax.experiment.loading import with_warnings
from hierjax.experiment.map_file import load_map
from hierjax.experiment.runtime import prepare_jax
from hierjax.experiment.schema import Config
from hierjax.fitted import DTYPES
from hierjax.fitting import Fit, fit, rehearse, require_family
from hierjax.inference import Quadrature
from hierjax.inference.result import Problem, Progress
from hierjax.model import Model
from hierjax.observations import Observations
from hierjax.regions import Regions

__all__ = [
    "Prepared",
    "Watch",
    "fit_all",
    "method_key",
    "prepare",
]

# Given a method's name, what reports its progress for as long as it runs.
Watch = Callable[[str], AbstractContextManager[Progress | None]]


@dataclass(frozen=True)
class Prepared:
    """A run with all that could be wrong with its input checked.

    Attributes:
        config: The configuration.
        counts: The data.
        model: The model, its distributions in the run's precision.
        warnings: What is odd about the data.
        later: What came of the units later, to be predicted.
        regions: Outlines of the units, for a map.
    """

    config: Config
    counts: Any
    model: Model
    warnings: tuple[str, ...] = ()
    later: Observations | None = None
    regions: Regions | None = None


def prepare(config: Config, loaded: tuple[Observations, tuple[str, ...]] | None = None) -> Prepared:
    """Loads the data, sets JAX up and builds the model; writes nothing.

    Args:
        config: A checked configuration.
        loaded: Its data and their warnings, if they have been read already.

    Returns:
        What `fit_all` needs.

    Raises:
        ConfigError: If the device is not there or a distribution is wrong.
        DataError: If the data break a rule, or the precision cannot hold them.
        ModelError: If the posterior would be improper.
    """
    counts, odd = loaded or with_warnings(lambda: load_counts(config))
    check_questions(config.questions, counts)
    later = load_later(config)
    regions, without = load_map(config, counts)
    prepare_jax(config.device)
    with jax.enable_x64(config.precision == "float64"):
        model = build_model(config.model)
        require_family(model, counts)
        problem = Problem(model, counts, DTYPES[config.precision])
        problem.proper_tally()
    return Prepared(config, counts, problem.model, (*odd, *without), later, regions)


def method_key(seed: int, name: str) -> Key[Array, ""]:
    """The random key of a method: its draws depend on no other method of the run.

    Args:
        seed: The run's seed.
        name: The method's display name.

    Returns:
        The seed's key, with a checksum of the name folded in.

    Examples:
        >>> jax.random.key_data(method_key(1, "gibbs")).tolist()
        [1249314559, 2956370732]
    """
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def fit_all(
    prepared: Prepared,
    watch: Watch,
    checkpoint: Callable[[str], Path] | None = None,
    needed_later: Sequence[str] = (),
    rehearsal: Callable[[Fit], object] | None = None,
    with_units: bool = True,
) -> MethodFits[Fit]:
    """Runs every method of a configuration; one that fails does not stop the others.

    Args:
        prepared: Data and model.
        watch: Is told of each method's progress.
        checkpoint: Where a sampler keeps its draws so far, and goes on from, given its name.
        needed_later: Modules to import while a sampler runs.
        rehearsal: What will be asked of the fit by quadrature: asked once for nothing as other
            methods work, so that it is compiled by then.
        with_units: Whether anything will be asked about units: what answers that is then compiled
            as quadrature is.

    Returns:
        What the methods found.
    """
    config = prepared.config
    found, ahead = MethodFits[Fit](), _Ahead(needed_later)
    with closing(_Compiling(prepared, with_units)) as compiling:
        for entry in config.methods:
            name = entry.display_name
            with watch(name) as progress, found.attempt(name):
                compiling.wait(name)
                result = fit(
                    prepared.counts,
                    prepared.model,
                    entry.settings(),
                    key=method_key(config.seed, name) if entry.is_sampler else None,
                    precision=config.precision,
                    progress=ahead.while_running(progress),
                    checkpoint=checkpoint and checkpoint(name),
                )
                if found.add(name, result) and isinstance(result.method, Quadrature) and rehearsal:
                    compiling.ahead(rehearsal, result)
    return found


class _Compiling:
    """Compiles samplers, and what quadrature will be asked, in a thread as other methods work.

    Seconds spent waiting for it count as the sampler's own, and as compilation.
    """

    def __init__(self, prepared: Prepared, with_units: bool):
        entries = prepared.config.methods
        samplers = [entry for entry in entries if entry.is_sampler]
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="compile")
        self._done = {
            entry.display_name: self._pool.submit(self._compile, prepared, entry)
            for entry in samplers
        }
        for entry in entries:
            if with_units and isinstance(settings := entry.settings(), Quadrature):
                self._pool.submit(self._rehearse, prepared, settings)

    def ahead(self, work: Callable[[Fit], object], fit: Fit) -> None:
        """Asks a fit for answers, to have them compiled."""

        def ask() -> None:
            with suppress(Exception):
                work(fit)

        self._pool.submit(ask)

    def close(self) -> None:
        """Lets the thread end when it has done what it was given."""
        self._pool.shutdown(wait=False)

    @staticmethod
    def _rehearse(prepared: Prepared, settings: Quadrature) -> None:
        with suppress(Exception):
            rehearse(prepared.model, settings, prepared.config.precision)

    @staticmethod
    def _compile(prepared: Prepared, entry: Any) -> None:
        config = prepared.config
        # What is wrong is found again, and reported, by the run itself.
        with suppress(Exception), jax.enable_x64(config.precision == "float64"):
            key = method_key(config.seed, entry.display_name)
            problem = Problem(prepared.model, prepared.counts, DTYPES[config.precision], key)
            entry.settings().compile(problem)

    def wait(self, name: str) -> None:
        """Returns when a method's code is compiled, at once if there is nothing to wait for."""
        if name in self._done:
            self._done[name].result()


class _Ahead:
    """Imports modules in a thread, from the time when compiled code leaves Python idle."""

    def __init__(self, modules: Sequence[str]):
        self._modules = list(modules)

    def while_running(self, progress: Progress | None) -> Progress:
        """A callback that passes progress on, and starts the imports when first called."""

        def report(done: int, total: int) -> None:
            if self._modules:
                modules, self._modules = self._modules, []
                threading.Thread(target=_import_all, args=(modules,)).start()
            if progress is not None:
                progress(done, total)

        return report


def _import_all(modules: Sequence[str]) -> None:
    # What cannot be imported fails again, and with its reason, where it is needed.
    with suppress(Exception):
        for module in modules:
            import_module(module)
