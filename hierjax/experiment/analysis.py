"""An analysis from its configuration to its directory: fits, answers, figures and report."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hierjax.experiment.answers import answer
from hierjax.experiment.config import resolved
from hierjax.experiment.found import Stages, write_draws
from hierjax.experiment.manifest import data_summary, environment
from hierjax.experiment.questions import judge
from hierjax.experiment.record import RunRecord
from hierjax.experiment.run_directory import RunDirectory
from hierjax.experiment.runner import Prepared, Watch, fit_all

__all__ = ["changed_versions", "run"]

_NEEDED_LATER = ("arviz", "hierjax.plots", "hierjax.experiment.report")


def run(prepared: Prepared, path: Path, watch: Watch, resume: bool = False) -> RunRecord | None:
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
    directory, plain = RunDirectory(path), resolved(config)
    data = data_summary(prepared.counts)
    if directory.claim(plain, data, resume):
        directory.clean()
        return None
    manifest = {
        "name": config.name,
        "state": "unfinished",
        "seed": config.seed,
        "precision": config.precision,
        "data": data,
        **environment(),
    }
    changed = changed_versions(directory.manifest(), manifest)
    directory.begin(plain, manifest)
    try:
        found = fit_all(
            prepared, watch, directory.checkpoint, _NEEDED_LATER, partial(judge, prepared)
        )
        with stages.time("answers"), watch("answers") as progress:
            record = answer(prepared, found, progress=progress)
        manifest |= {"state": "finished", "methods": found.endings(timed=True)}
        record = dataclasses.replace(
            record,
            seconds={},
            warnings=(*record.warnings, *changed),
            manifest={**manifest, "methods": found.endings(timed=False)},
        )
        with watch("figures and report"):
            _write(directory, record, stages)
        manifest |= {"warnings": list(record.warnings), "seconds": dict(stages)}
        directory.finish(manifest)
    finally:
        directory.release()
    return dataclasses.replace(record, seconds=found.seconds, manifest=manifest)


def _write(directory: RunDirectory, record: RunRecord, stages: Stages) -> None:
    """Writes all files but the manifest."""
    tables = {
        "hyper.csv": record.hyper,
        "units.csv": record.units,
        "new_units.csv": record.predictions,
        "agreement.csv": record.agreement,
        "loo.csv": record.loo,
        "exceedance.csv": record.exceedance,
        "ranks.csv": record.ranks,
        "contrasts.csv": record.contrasts,
        "predictions.csv": record.next_counts,
        "checks.csv": record.checks,
        "influence.csv": record.influence,
        "later.csv": None if record.later is None else record.later.scores,
        "later_units.csv": None if record.later is None else record.later.units,
    }
    for name, table in tables.items():
        if table is not None:
            directory.stage(name, table.to_csv())
    with stages.time("draws"):
        for name, fit in record.fits.items():
            if fit.draws is not None:
                write_draws(fit.to_arviz(), directory.staging / "draws" / f"{name}.nc")
    from hierjax.experiment.report import write_report
    from hierjax.plots import write_figures

    with stages.time("figures"):
        write_figures(directory.staging, record)
    with stages.time("report"):
        write_report(directory.staging, record)
    directory.publish()


def changed_versions(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was when a run was begun that is now resumed.

    Args:
        before: The manifest of the run when it was begun; empty if there is none.
        now: The manifest now.

    Returns:
        A warning, if there is need for one.
    """
    old, new = before.get("versions", {}), now["versions"]
    changed = [
        f"{name} {old[name]} (now {new.get(name)})" for name in old if old[name] != new.get(name)
    ]
    if not changed:
        return []
    return [f"begun with {', '.join(changed)}: an uninterrupted run may give other draws"]
