"""What a study simulates: one setting for every combination of populations, units and trials."""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from hierjax.counts import Counts
from hierjax.datasets.population import Population
from hierjax.datasets.trials import TrialsDistribution
from hierjax.experiment.runner import method_key
from hierjax.experiment.study.schema import CalibrationConfig, StudyConfig
from hierjax.experiment.study.simulation_schema import PartConfig, listed
from hierjax.model import Model
from hierjax.studies.simulation import (
    Simulated,
    simulate_batch,
    simulate_like,
    simulate_prior,
)
from hierjax.table import Table

__all__ = ["Setting", "like_setting", "settings_of", "settings_table"]


@dataclass(frozen=True)
class Setting:
    """One way of simulating data sets.

    Attributes:
        name: What tables and figures call it.
        units: Units of every data set.
        population: Where rates come from, in words.
        trials: How many trials units have, in words.
        mean: Mean of a unit's rate; NaN where it differs between data sets, as of the next.
        sd: Standard deviation of a unit's rate.
        seed: Seed of the study.
        identity: All that makes the setting what it is.
        draw: Simulates so many data sets from a key.
    """

    name: str
    units: int
    population: str
    trials: str
    mean: float
    sd: float
    seed: int
    identity: str
    draw: Callable[[Key[Array, ""], int], Simulated]

    def simulate(self, data_sets: int) -> Simulated:
        """The data sets; they depend on no other setting, and the first not on how many."""
        return self.draw(self.key("simulate"), data_sets)

    def key(self, name: str) -> Key[Array, ""]:
        """The key of what is done to this setting, as of a method by its name."""
        return jax.random.fold_in(method_key(self.seed, name), zlib.crc32(self.identity.encode()))


def settings_of(config: StudyConfig, model: Model) -> tuple[Setting, ...]:
    """The settings of a study that simulates.

    Args:
        config: The configuration.
        model: The model, from whose hyperprior a calibration draws.

    Returns:
        Every combination, units changing fastest.
    """
    if isinstance(config, CalibrationConfig):
        return (_prior_setting(config, model),)
    grid: Any = config.simulate  # type: ignore[attr-defined]
    axes = [listed(value) for value in (grid.population, grid.trials, grid.units)]
    names = _axis_names(axes[0], "population"), _axis_names(axes[1], "trials")
    sizes_differ = len(axes[2]) > 1
    found = []
    for population, population_name in zip(axes[0], names[0], strict=True):
        for trials, trials_name in zip(axes[1], names[1], strict=True):
            for units in axes[2]:
                parts = [population_name, f"{units:,} units" if sizes_differ else "", trials_name]
                name = ", ".join(part for part in parts if part) or f"{units:,} units"
                found.append(_population_setting(config.seed, name, population, units, trials))
    return tuple(found)


def _axis_names(parts: Sequence[PartConfig], word: str) -> list[str]:
    """Names that tell parts apart: none of one, kinds of several, parameters where they must."""
    if len(parts) == 1:
        return [""]
    kinds = [part.kind.replace("_", " ") for part in parts]
    if word == "trials":
        kinds = [f"{kind} trials" for kind in kinds]
    twice = {kind for kind in kinds if kinds.count(kind) > 1}
    return [
        _in_words(part) + (" trials" if word == "trials" else "") if kind in twice else kind
        for part, kind in zip(parts, kinds, strict=True)
    ]


def _in_words(part: PartConfig) -> str:
    """A part's kind and parameters."""
    given = part.model_dump(exclude={"kind"}).items()
    shown = (f"{name} {_value_in_words(value)}" for name, value in given)
    return f"{part.kind} ({', '.join(shown)})".replace("_", " ")


def _value_in_words(value: float | int | list[int]) -> str:
    if not isinstance(value, list):
        return f"{value:g}"
    shown = " ".join(f"{each:g}" for each in value[:5])
    return shown if len(value) <= 5 else f"{shown} ... {len(value)} in all"


def _identity(**parts: Any) -> str:
    return json.dumps(parts, sort_keys=True)


def _population_setting(
    seed: int, name: str, population: PartConfig, units: int, trials: PartConfig
) -> Setting:
    rates: Population = population.build()
    distribution: TrialsDistribution = trials.build()
    mean, variance = rates.moments(distribution)

    def draw(key: Key[Array, ""], data_sets: int) -> Simulated:
        return simulate_batch(key, rates, units=units, trials=distribution, data_sets=data_sets)

    parts = {"population": population.model_dump(), "trials": trials.model_dump()}
    return Setting(
        name,
        units,
        _in_words(population),
        _in_words(trials),
        mean,
        float(np.sqrt(variance)),
        seed,
        _identity(units=units, **parts),
        draw,
    )


def _prior_setting(config: CalibrationConfig, model: Model) -> Setting:
    units, trials = config.simulate.units, config.simulate.trials
    distribution = trials.build()

    def draw(key: Key[Array, ""], data_sets: int) -> Simulated:
        return simulate_prior(
            key, model.hyperprior, units=units, trials=distribution, data_sets=data_sets
        )

    identity = _identity(
        units=units, trials=trials.model_dump(), prior=config.model.hyperprior.model_dump()
    )
    return Setting(
        f"{units:,} units",
        units,
        "Beta, drawn from the hyperprior",
        _in_words(trials),
        np.nan,
        np.nan,
        config.seed,
        identity,
        draw,
    )


def like_setting(seed: int, counts: Counts, coordinates: Float[np.ndarray, "2"]) -> Setting:
    """Data sets like given ones: their trials, and rates from the population fitted to them.

    Args:
        seed: The study's seed.
        counts: The data.
        coordinates: Logit mean and log concentration of the fitted population.

    Returns:
        The setting.
    """
    logit_mean, log_concentration = map(float, coordinates)
    mean = 1 / (1 + np.exp(-logit_mean))
    concentration = np.exp(log_concentration)
    alpha, beta = mean * concentration, (1 - mean) * concentration
    fitted = f"beta (alpha {alpha:.4g}, beta {beta:.4g})"
    fewest, most = int(counts.trials.min()), int(counts.trials.max())

    def draw(key: Key[Array, ""], data_sets: int) -> Simulated:
        return simulate_like(key, counts, coordinates, data_sets)

    return Setting(
        f"{len(counts):,} units",
        len(counts),
        fitted if np.isfinite(concentration) else f"all rates {mean:.4g}",
        f"those of the data ({fewest:,} to {most:,})",
        mean,
        float(np.sqrt(mean * (1 - mean) / (1 + concentration))),
        seed,
        _identity(trials=counts.trials.tolist()),
        draw,
    )


def settings_table(settings: Sequence[Setting], data_sets: int) -> Table:
    """One row a setting.

    Args:
        settings: The settings.
        data_sets: Data sets of each.

    Returns:
        Columns ``setting, population, units, trials, mean, sd, data_sets``.
    """
    names = ("population", "units", "trials", "mean", "sd")
    columns = {name: [getattr(setting, name) for setting in settings] for name in names}
    return Table(
        {
            "setting": [setting.name for setting in settings],
            **columns,
            "data_sets": [data_sets] * len(settings),
        }
    )
