"""From a study's configuration to fits: every method on the same data sets of every setting."""

import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hierjax.batch import BatchFit, SizeClass, fit_batch
from hierjax.batch.work import prepared as prepared_batch
from hierjax.counts import Counts
from hierjax.errors import ConfigError, DataError, HierjaxError, InferenceError, ModelError
from hierjax.experiment.config import load_counts
from hierjax.experiment.distributions import build_model
from hierjax.experiment.loading import with_warnings
from hierjax.experiment.runner import Watch
from hierjax.experiment.runtime import prepare_jax
from hierjax.experiment.study.limits import require_draws, require_memory
from hierjax.experiment.study.schema import (
    CalibrationConfig,
    FittedStudyConfig,
    StudyConfig,
    StudyEntry,
)
from hierjax.experiment.study.settings import Setting, like_setting, settings_of
from hierjax.fitting import fit
from hierjax.inference import NUTS, Type2MLE
from hierjax.inference.result import Progress
from hierjax.model import Model
from hierjax.studies.simulation import Simulated
from hierjax.table import Table

__all__ = ["PreparedStudy", "SettingFits", "first_of", "fit_settings", "prepare_study"]


# Units that a study's data sets may have, when all are filled up, to share their programs.
_MOST_FILLED_UP = 100_000


@dataclass(frozen=True)
class PreparedStudy:
    """A study with all that could be wrong with its input checked.

    Attributes:
        config: The configuration.
        model: The model that methods infer, its distributions in the study's precision.
        settings: What is simulated.
        counts: The data that data sets are like; None where they are simulated.
        warnings: What is odd about those data.
    """

    config: StudyConfig
    model: Model
    settings: tuple[Setting, ...]
    counts: Counts | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SettingFits:
    """What the methods found in the data sets of one setting.

    Attributes:
        setting: The setting.
        simulated: Its data sets, and the truth.
        fits: Of each method that did not fail altogether, by its display name.
        failures: Why each other method did.
        ahead: Seconds in which methods were compiled before they ran.
    """

    setting: Setting
    simulated: Simulated
    fits: dict[str, BatchFit] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    ahead: dict[str, float] = field(default_factory=dict)

    def seconds(self) -> Table:
        """Wall seconds, one row a method: compiling, and running."""
        rows = list(self.fits.items())
        ahead = np.array([self.ahead.get(name, 0.0) for name, _ in rows])
        return Table(
            {
                "setting": [self.setting.name] * len(rows),
                "method": [name for name, _ in rows],
                "data_sets": np.array([len(fits.status) for _, fits in rows], int),
                "compile": ahead + [_seconds(fits, "compile") for _, fits in rows],
                "run": np.array([_seconds(fits, "run") for _, fits in rows], float),
            }
        )


def _seconds(fits: BatchFit, stage: str) -> float:
    return float(fits.seconds.get(stage, np.nan))


def prepare_study(config: StudyConfig) -> PreparedStudy:
    """Sets JAX up, builds the model and the settings; simulates and writes nothing.

    Args:
        config: A checked configuration.

    Returns:
        What `fit_settings` needs.

    Raises:
        ConfigError: If the device is not there, a distribution is wrong, a method cannot do what
            is asked, or memory cannot hold the study.
        DataError: If the data to be like break a rule.
        InferenceError: If no population fits them.
    """
    like = getattr(config, "like", None)
    counts, odd = with_warnings(lambda: _counts(config)) if like else (None, ())
    prepare_jax(config.device)
    double = getattr(config, "precision", "float64") != "float32"
    with jax.enable_x64(double):
        model = build_model(config.model)
    if counts is None:
        settings = settings_of(config, model)
    else:
        settings = (like_setting(config.seed, counts, _fitted(counts)),)
    require_draws(config)
    require_memory(config, settings)
    return PreparedStudy(config, model, settings, counts, odd)


def _counts(config: StudyConfig) -> Counts:
    """The data that data sets are to be like."""
    found = load_counts(config)
    if not isinstance(found, Counts):
        raise ConfigError(
            "like: expected counts of successes among trials, as studies know no other family, "
            f"found those of {found.family}"
        )
    return found


def _fitted(counts: Counts) -> np.ndarray:
    """Working coordinates of the population by Type-2 maximum likelihood."""
    if counts.weights is not None:
        raise DataError("like: expected units without weights")
    found = fit(counts, method=Type2MLE())
    if found.status == "failed":
        raise InferenceError(f"like: expected a population that fits the data; {found.message}")
    return np.asarray(found.posterior.points, np.float64).reshape(2)


def fit_settings(
    prepared: PreparedStudy, watch: Watch, folder: Callable[[str], Path]
) -> Iterator[SettingFits]:
    """Simulates each setting and runs every method on it; one that fails does not stop the others.

    Args:
        prepared: The study.
        watch: Is told of each method's progress.
        folder: Where a method keeps the parts that it has finished, by a name.

    Yields:
        One setting's fits after the other, so that only one setting's need be kept.
    """
    config, methods = prepared.config, prepared.config.methods
    alone, size_class = len(prepared.settings) == 1, _common_class(prepared)
    for index, setting in enumerate(prepared.settings):
        ending = "" if alone else f", {setting.name}"
        with watch(f"data sets{ending}"):
            found = SettingFits(setting, setting.simulate(config.data_sets))
        kept = {entry.display_name: folder(f"{index}-{entry.display_name}") for entry in methods}
        with watch(f"compiling{ending}") as progress:
            begun = {name for name, path in kept.items() if path.exists()}
            found.ahead.update(_compile(prepared, found, size_class, begun, progress))
        for entry in methods:
            name = entry.display_name
            with watch(f"{name}{ending}") as progress:
                try:
                    found.fits[name] = fit_batch(
                        **_asked(prepared, entry, found, size_class),
                        progress=progress,
                        checkpoint=kept[name],
                    )
                except (ModelError, jax.errors.JaxRuntimeError) as error:
                    found.failures[name] = str(error).partition("\n")[0]
        yield found


def _common_class(prepared: PreparedStudy) -> SizeClass | None:
    """That of all settings, if filling data sets up takes less time than to compile once more."""
    settings, data_sets = prepared.settings, prepared.config.data_sets
    filled_up = data_sets * len(settings) * max(setting.units for setting in settings)
    if len(settings) == 1 or filled_up > _MOST_FILLED_UP:
        return None
    classes = [SizeClass.of(setting.simulate(data_sets).data_sets) for setting in settings]
    # Pairs of very many trials are no counts of counts, which are far faster.
    if len({all(each.lengths) for each in classes}) > 1:
        return None
    return reduce(SizeClass.joined, classes)


def _compile(
    prepared: PreparedStudy,
    found: SettingFits,
    size_class: SizeClass | None,
    begun: Collection[str],
    progress: Progress | None,
) -> dict[str, float]:
    """Compiles methods side by side, so that none is timed while another is being compiled.

    Those that an interrupted study has begun may be finished, and are left to compile themselves.
    """
    entries = [each for each in prepared.config.methods if each.display_name not in begun]
    # What takes longest goes first, not to be waited for alone.
    entries.sort(key=lambda entry: not isinstance(entry.settings(), NUTS))
    seconds: dict[str, float] = {}

    def one(entry: StudyEntry) -> None:
        # What is wrong is found again, and reported, by the method itself.
        with suppress(HierjaxError, jax.errors.JaxRuntimeError):
            asked = _asked(prepared, entry, found, size_class)
            seconds[entry.display_name] = prepared_batch(**asked).compile(asked["data_sets"])

    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="compile") as pool:
        waiting = [pool.submit(one, entry) for entry in entries]
        try:
            for done, each in enumerate(as_completed(waiting), 1):
                each.result()
                if progress:
                    progress(done, len(entries))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return seconds


def _asked(
    prepared: PreparedStudy, entry: StudyEntry, found: SettingFits, size_class: SizeClass | None
) -> dict[str, Any]:
    """What `fit_batch` is asked for a method."""
    config = prepared.config
    assert isinstance(config, FittedStudyConfig)
    asked = {
        "data_sets": first_of(found.simulated, entry.size(config.data_sets)).data_sets,
        "model": prepared.model,
        "method": entry.settings(),
        "key": found.setting.key(entry.display_name),
        "level": getattr(config, "level", 0.9),
        "empirical_bayes": entry.correction,
        "precision": config.precision,
        "chunk": config.chunk,
        "size_class": size_class,
    }
    if isinstance(config, CalibrationConfig):
        asked |= {"draws": config.draws, "rates": tuple(config.rates)}
    return asked


def first_of(simulated: Simulated, size: int) -> Simulated:
    """The first of the data sets, without a copy where they are all."""
    return simulated if size == len(simulated) else simulated.first(size)
