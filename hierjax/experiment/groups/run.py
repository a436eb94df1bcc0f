"""A run of three levels from its configuration to its directory."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from hierjax.experiment.analysis import changed_versions
from hierjax.experiment.config import resolved
from hierjax.experiment.found import Stages, write_draws
from hierjax.experiment.groups.record import GroupsRecord
from hierjax.experiment.groups.runner import PreparedGroups, answer_groups, fit_all_groups
from hierjax.experiment.manifest import data_summary, environment
from hierjax.experiment.run_directory import RunDirectory
from hierjax.experiment.runner import Watch
from hierjax.inference.convergence import arviz_of
from hierjax.levels import GroupFit
from hierjax.levels.model import TOP

__all__ = ["OWN", "run_groups"]

OWN = (
    "config.yaml",
    "manifest.json",
    "hyper.csv",
    "groups.csv",
    "units.csv",
    "new_units.csv",
    "evidence.csv",
    "agreement.csv",
    "draws",
    "figures",
    "report.html",
)


def run_groups(
    prepared: PreparedGroups, path: Path, watch: Watch, resume: bool = False
) -> GroupsRecord | None:
    """Runs a configuration and writes its directory.

    The same configuration on the same machine writes the same files, the manifest's seconds
    excepted. Everything that can be wrong with the input is found before anything is written.

    Args:
        prepared: Data, model and configuration, checked.
        path: The run's directory.
        watch: Is told of each method's progress, and of other stages.
        resume: Whether to go on with a run that was cut short, to the same files.

    Returns:
        The record, or None if `resume` found the run finished.

    Raises:
        ConfigError: If the directory cannot be this run's.
        OSError: If the directory cannot be written.
    """
    config, stages = prepared.config, Stages()
    directory, plain = RunDirectory(path, OWN), resolved(config)
    data = data_summary(prepared.data)
    if directory.claim(plain, data, resume):
        directory.clean()
        return None
    manifest: dict[str, Any] = {"name": config.name, "state": "unfinished", "seed": config.seed}
    manifest |= {"precision": config.precision, "data": data, **environment()}
    changed = changed_versions(directory.manifest(), manifest)
    directory.begin(plain, manifest)
    try:
        found = fit_all_groups(prepared, watch, directory.checkpoint)
        with stages.time("answers"), watch("answers"):
            record = answer_groups(prepared, found)
        manifest |= {"state": "finished", "methods": found.endings(timed=False)}
        record = dataclasses.replace(
            record, seconds={}, warnings=(*record.warnings, *changed), manifest=dict(manifest)
        )
        with watch("figures and report"):
            _write(directory, record, stages)
        manifest |= {"methods": found.endings(timed=True)}
        manifest |= {"warnings": list(record.warnings), "seconds": dict(stages)}
        directory.finish(manifest)
    finally:
        directory.release()
    return dataclasses.replace(record, seconds=found.seconds, manifest=manifest)


def _write(directory: RunDirectory, record: GroupsRecord, stages: Stages) -> None:
    """Writes all files but the manifest."""
    tables = {
        "hyper.csv": record.hyper,
        "groups.csv": record.groups,
        "units.csv": record.units,
        "new_units.csv": record.predictions,
        "evidence.csv": record.evidence,
        "agreement.csv": record.agreement,
    }
    for name, table in tables.items():
        if table is not None:
            directory.stage(name, table.to_csv())
    with stages.time("draws"):
        for name, fit in record.fits.items():
            if fit.result.draws is not None:
                write_draws(_to_arviz(fit), directory.staging / "draws" / f"{name}.nc")
    from hierjax.experiment.groups.report import write_groups_report
    from hierjax.plots.figures import write_pictures
    from hierjax.plots.group_pictures import group_pictures

    with stages.time("figures"):
        write_pictures(directory.staging, group_pictures(record))
    with stages.time("report"):
        write_groups_report(directory.staging, record)
    directory.publish()


def _to_arviz(fit: GroupFit) -> Any:
    """The draws of what is above the units, as ArviZ's container."""
    result = fit.result
    assert result.draws is not None
    assert result.lab_draws is not None
    posterior = {name: result.draws[..., i] for i, name in enumerate(TOP)}
    named = ("group_location", "group_log_concentration")
    posterior |= {name: np.asarray(result.lab_draws[..., i]) for i, name in enumerate(named)}
    dims = {name: ["group"] for name in named}
    return arviz_of({"posterior": posterior}, {"group": fit.labs.names.tolist()}, dims)
