"""From a checked configuration of units in groups to answers: every method on the same data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hierjax.errors import ConfigError, did_you_mean
from hierjax.experiment.config import load_counts, new_units, resolved
from hierjax.experiment.found import AGREEMENT, HYPER, MethodFits, disagreements, stacked
from hierjax.experiment.groups.record import GroupsRecord
from hierjax.experiment.groups.schema import GroupsConfig
from hierjax.experiment.loading import with_warnings
from hierjax.experiment.runner import Watch, method_key
from hierjax.experiment.runtime import prepare_jax
from hierjax.inference.convergence import mean_error
from hierjax.levels import GroupFit, GroupModel, fit_groups
from hierjax.levels.model import TOP
from hierjax.observations import Observations
from hierjax.table import Table

__all__ = ["PreparedGroups", "answer_groups", "fit_all_groups", "prepare_groups"]

_ESTIMATES = "mean,sd,low,median,high"
# Whole numbers beyond this are rounded in float32.
_EXACT = 2**24


@dataclass(frozen=True)
class PreparedGroups:
    """A run with all that could be wrong with its input checked.

    Attributes:
        config: The configuration.
        data: The units, and their groups.
        model: The model.
        warnings: What is odd about the data.
    """

    config: GroupsConfig
    data: Observations
    model: GroupModel
    warnings: tuple[str, ...] = ()


def prepare_groups(
    config: GroupsConfig, loaded: tuple[Observations, tuple[str, ...]] | None = None
) -> PreparedGroups:
    """Loads the data, sets JAX up and builds the model; writes nothing.

    Args:
        config: A checked configuration.
        loaded: Its data and their warnings, if they have been read already.

    Returns:
        What `fit_all_groups` needs.

    Raises:
        ConfigError: If the device is not there, there is one group alone, a new unit is of a group
            that is not there, or a method cannot take these data.
        DataError: If the data break a rule.
    """
    data, odd = loaded or with_warnings(lambda: load_counts(config))
    model = config.model.model()
    _check(config, data)
    prepare_jax(config.device)
    return PreparedGroups(config, data, model, odd)


def _check(config: GroupsConfig, data: Observations) -> None:
    assert data.groups is not None
    names = np.unique(data.groups).tolist()
    if len(names) == 1:
        raise ConfigError(
            f"data.group: expected two groups or more in column {config.data.group!r}, found one "
            f"({names[0]!r}); without data.group its units are fitted as one population"
        )
    for index, unit in enumerate(config.new_units):
        group = unit.group
        if group is not None and group not in names:
            few = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            raise ConfigError(
                f"new_units[{index}].group: expected one of {few}, or none for a new group, found "
                f"{group!r}{did_you_mean(group, names)}"
            )
    weighted = data.weights is not None and bool(np.any(data.weights != 1))
    large = config.precision == "float32" and data.family != "normal_normal"
    large = large and any(np.any(np.asarray(x) > _EXACT) for x in data.pair)
    for index, entry in enumerate(config.methods):
        if entry.is_sampler and weighted:
            raise ConfigError(
                f"methods[{index}].method: expected quadrature or type2_mle, as units have weights "
                f"other than 1, found {entry.settings_class.name}"  # type: ignore[attr-defined]
            )
        if entry.is_sampler and large:
            raise ConfigError(
                f"precision: expected float64, as methods[{index}] draws from counts above "
                f"{_EXACT:,}, found float32"
            )


def fit_all_groups(
    prepared: PreparedGroups, watch: Watch, checkpoint: Callable[[str], Path] | None = None
) -> MethodFits[GroupFit]:
    """Runs every method of a configuration; one that fails does not stop the others.

    Args:
        prepared: Data and model.
        watch: Is told of each method's progress.
        checkpoint: Where a sampler keeps its draws so far, and goes on from, given its name.

    Returns:
        What the methods found.
    """
    config, found = prepared.config, MethodFits[GroupFit]()
    for entry in config.methods:
        name = entry.display_name
        with watch(name) as progress, found.attempt(name):
            result = fit_groups(
                prepared.data,
                prepared.model,
                entry.settings(),
                key=method_key(config.seed, name) if entry.is_sampler else None,
                precision=config.precision,
                progress=progress,
                checkpoint=checkpoint and checkpoint(name),
            )
            assert isinstance(result, GroupFit)
            found.add(name, result)
    return found


def answer_groups(prepared: PreparedGroups, found: MethodFits[GroupFit]) -> GroupsRecord:
    """Everything that is asked of the fits.

    Args:
        prepared: Data, model and configuration.
        found: What the methods found.

    Returns:
        The record of the run.
    """
    config, fits, level = prepared.config, found.fits, prepared.config.level
    pair = ",".join(prepared.data.columns)
    groups = f"method,group,units,raw,{_ESTIMATES}"
    units = f"method,label,group,{pair},raw_rate,{_ESTIMATES},shrinkage"
    judged = {name: fit.evidence for name, fit in fits.items() if _has_evidence(fit)}
    compared = _agreement(fits)
    asked = _predictions(prepared, fits) if config.new_units else {}
    return GroupsRecord(
        name=config.name,
        config=resolved(config),
        data=prepared.data,
        fits=fits,
        failures=found.failures,
        level=level,
        hyper=stacked({name: fit.summary(level) for name, fit in fits.items()}, HYPER),
        groups=stacked({name: fit.groups(level) for name, fit in fits.items()}, groups),
        units=stacked({name: fit.units(level) for name, fit in fits.items()}, units),
        predictions=stacked(asked, units),
        evidence=stacked(judged, "method,model,log_evidence,log_bayes_factor"),
        agreement=compared,
        warnings=(*prepared.warnings, *found.notes(), *disagreements(compared)),
        seconds=found.seconds,
    )


def _has_evidence(fit: GroupFit) -> bool:
    return "log_bayes_factor" in fit.result.info


def _predictions(prepared: PreparedGroups, fits: Mapping[str, GroupFit]) -> dict[str, Table]:
    """What each method says of the units asked about, each in its own group."""
    config = prepared.config
    asked = new_units(config)
    rows = list(zip(asked.labels, asked.values, asked.sizes, config.new_units, strict=True))
    return {
        name: Table.stack(
            [
                fit.predict(value, size, unit.group, config.level, label)
                for label, value, size, unit in rows
            ]
        )
        for name, fit in fits.items()
    }


def _agreement(fits: Mapping[str, GroupFit]) -> Table | None:
    """Means above the groups by every sampler, less quadrature's, in standard errors."""
    exact = next((f for f in fits.values() if _has_evidence(f) and f.status == "converged"), None)
    sampled = {name: fit for name, fit in fits.items() if fit.result.draws is not None}
    if exact is None or not sampled:
        return None
    reference = exact.summary()["mean"]
    tables: dict[str, Table] = {}
    for name, fit in sampled.items():
        draws: Any = fit.result.draws
        error = np.array([mean_error(draws[..., i]) for i in range(len(TOP))])
        value = fit.summary()["mean"]
        columns = {"quantity": np.array(TOP), "value": value, "reference": reference}
        tables[name] = Table({**columns, "mcse": error, "z": (value - reference) / error})
    return stacked(tables, AGREEMENT)
