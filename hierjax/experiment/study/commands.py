"""What ``hierjax run`` does with a study."""

from pathlib import Path

import typer

from hierjax.experiment import terminal
from hierjax.experiment.study.run import run_study
from hierjax.experiment.study.runner import prepare_study
from hierjax.experiment.study.schema import StudyConfig
from hierjax.experiment.study.terminal import overview

__all__ = ["run_and_print"]


def run_and_print(config: StudyConfig, out: Path, resume: bool) -> None:
    """Runs a study, prints an overview and says where its report is.

    Args:
        config: The configuration, checked.
        out: The study's directory.
        resume: Whether to go on with a study that was cut short.

    Raises:
        HierjaxError: If the input is wrong.
        typer.Exit: If every method failed.
    """
    record = run_study(prepare_study(config), out, terminal.watch, resume)
    if record is None:
        print(f"this run is finished already\nreport: {out / 'report.html'}")
        return
    overview(record, terminal.console())
    terminal.warn(record.warnings, terminal.console(stderr=True))
    print(f"report: {out / 'report.html'}")
    if record.outcome.found_nothing:
        raise typer.Exit(1)
