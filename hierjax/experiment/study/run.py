"""A study from its configuration to its directory: fits, tables, figures and report."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hierjax.experiment.analysis import changed_versions
from hierjax.experiment.config import resolved
from hierjax.experiment.found import Stages
from hierjax.experiment.manifest import data_summary, environment
from hierjax.experiment.run_directory import RunDirectory
from hierjax.experiment.runner import Watch
from hierjax.experiment.study.calibration import calibration_outcome
from hierjax.experiment.study.comparison import comparison_outcome
from hierjax.experiment.study.coverage import coverage_outcome
from hierjax.experiment.study.record import Outcome, StudyRecord
from hierjax.experiment.study.runner import PreparedStudy
from hierjax.experiment.study.settings import settings_table

__all__ = ["OUTCOMES", "run_study"]

Judge = Callable[[PreparedStudy, Watch, Callable[[str], Path]], Outcome]

#: What is made of the data sets, by the kind of study.
OUTCOMES: dict[str, Judge] = {
    "calibration": calibration_outcome,
    "coverage": coverage_outcome,
    "misspecification": coverage_outcome,
    "comparison": comparison_outcome,
}

OWN = (
    "config.yaml",
    "manifest.json",
    "settings.csv",
    "coverage.csv",
    "sizes.csv",
    "hyper.csv",
    "top.csv",
    "statuses.csv",
    "p_values.csv",
    "ranks.csv",
    "comparison.csv",
    "seconds.csv",
    "figures",
    "report.html",
)


def run_study(
    prepared: PreparedStudy, path: Path, watch: Watch, resume: bool = False
) -> StudyRecord | None:
    """Runs a study and writes its directory.

    The same configuration on the same machine writes the same files, but for the seconds in the
    manifest, ``seconds.csv`` and ``comparison.csv``, whether or not it was interrupted.

    Args:
        prepared: The study, checked.
        path: Its directory.
        watch: Is told of each method's progress, and of other stages.
        resume: Whether to go on with a study that was cut short, to the same files.

    Returns:
        The record, or None if `resume` found the study finished.

    Raises:
        ConfigError: If the directory cannot be this study's.
        OSError: If the directory cannot be written.
    """
    config, stages = prepared.config, Stages()
    directory, plain = RunDirectory(path, OWN), resolved(config)
    data = {} if prepared.counts is None else data_summary(prepared.counts)
    if directory.claim(plain, data, resume):
        directory.clean()
        return None
    manifest: dict[str, Any] = {"name": config.name, "kind": config.kind, "state": "unfinished"}
    manifest |= {"seed": config.seed, "data": data, **environment()}
    changed = changed_versions(directory.manifest(), manifest)
    directory.begin(plain, manifest)
    try:
        with stages.time("methods"):
            outcome = OUTCOMES[config.kind](prepared, watch, lambda name: directory.parts / name)
        manifest |= {"state": "finished", "methods": dict(outcome.methods)}
        record = StudyRecord(
            config.name,
            plain,
            prepared.model,
            settings_table(prepared.settings, config.data_sets),
            outcome,
            (*prepared.warnings, *outcome.warnings, *changed),
            manifest,
        )
        with watch("figures and report"):
            _write(directory, record, stages)
        manifest |= {"warnings": list(record.warnings), "seconds": dict(stages)}
        directory.finish(manifest)
    finally:
        directory.release()
    return dataclasses.replace(record, manifest=manifest)


def _write(directory: RunDirectory, record: StudyRecord, stages: Stages) -> None:
    """Writes all files but the manifest."""
    tables: Mapping[str, Any] = {
        "settings": record.settings,
        **record.outcome.tables,
        "seconds": record.outcome.seconds,
    }
    for name, table in tables.items():
        if table is not None:
            directory.stage(f"{name}.csv", table.to_csv())
    from hierjax.experiment.study.report import write_study_report
    from hierjax.plots.figures import write_pictures

    with stages.time("figures"):
        write_pictures(directory.staging, record.outcome.pictures)
    with stages.time("report"):
        write_study_report(directory.staging, record)
    directory.publish()
