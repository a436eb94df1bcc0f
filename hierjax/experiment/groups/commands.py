"""What the commands of ``hierjax`` do with units in groups."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hierjax.errors import ConfigError
from hierjax.experiment.table_file import check_target, is_table_file, opened

if TYPE_CHECKING:
    from hierjax.experiment.groups.record import GroupsRecord
    from hierjax.experiment.groups.schema import GroupsConfig
    from hierjax.table_columns import TableColumns

__all__ = ["fit_and_print", "refuse_for_groups", "run_and_print"]


def refuse_for_groups(
    questions: Mapping[str, Any], out: Path | None, hyper_only: bool, resume: bool
) -> None:
    """Refuses options of ``hierjax fit`` that three levels have no answer to.

    Args:
        questions: What is asked of the units, by the option's name.
        out: Where to write.
        hyper_only: Whether units are to be left out.
        resume: Whether to go on with a run.

    Raises:
        ConfigError: If there is one.
    """
    for name in questions:
        raise ConfigError(
            f"--{name}: expected no --group, as units in groups have no such answer yet; without "
            "--group all units are of one population"
        )
    if hyper_only:
        raise ConfigError("--hyper-only: expected no --group, as groups take all units' data")
    if resume and (out is None or is_table_file(out)):
        raise ConfigError(f"--resume: expected a run's directory with --out, found {out or 'none'}")


def run_and_print(config: "GroupsConfig", out: Path, resume: bool) -> None:
    """Runs a configuration, prints an overview and says where its report is.

    Args:
        config: The configuration, checked.
        out: The run's directory.
        resume: Whether to go on with a run that was cut short.

    Raises:
        HierjaxError: If the input is wrong.
        typer.Exit: If every method failed.
    """
    from hierjax.experiment import terminal
    from hierjax.experiment.groups.run import run_groups
    from hierjax.experiment.groups.runner import prepare_groups
    from hierjax.experiment.groups.terminal import overview

    record = run_groups(prepare_groups(config), out, terminal.watch, resume)
    if record is None:
        print(f"this run is finished already\nreport: {out / 'report.html'}")
        return
    overview(record, terminal.console())
    _conclude(record, out)


def fit_and_print(
    file: str,
    columns: "TableColumns",
    given: Mapping[str, Any],
    changes: Sequence[str],
    out: Path | None,
    resume: bool,
) -> None:
    """Fits three levels to the units in a file and prints the answers.

    Args:
        file: The file, or a pattern of files.
        columns: Which of its columns hold what.
        given: The configuration as plain data.
        changes: Changes to it, as ``seed=2``.
        out: The run's directory, or a file for the table with the units' answers as further
            columns; None to write nothing.
        resume: Whether to go on with a run that was cut short.

    Raises:
        HierjaxError: If the input is wrong.
        typer.Exit: If every method failed.
    """
    from hierjax.experiment.loading import with_warnings
    from hierjax.reading import read_table

    target = out if out is not None and is_table_file(out) else None
    if target is not None:
        check_target(target)
    loaded = with_warnings(lambda: read_table(file, columns))
    from hierjax.experiment import terminal
    from hierjax.experiment.config import validated
    from hierjax.experiment.groups.run import run_groups
    from hierjax.experiment.groups.runner import answer_groups, fit_all_groups, prepare_groups
    from hierjax.experiment.groups.schema import GroupsConfig
    from hierjax.experiment.groups.terminal import fitted

    config = validated(dict(given), "hierjax fit", changes)
    if not isinstance(config, GroupsConfig):
        raise ConfigError("--group: expected no --set that makes this no fit of groups, found one")
    prepared = prepare_groups(config, loaded)
    if out is None or target is not None:
        found = fit_all_groups(prepared, terminal.watch)
        with terminal.watch("answers"):
            record: GroupsRecord | None = answer_groups(prepared, found)
    else:
        record = run_groups(prepared, out, terminal.watch, resume)
    if record is None:
        print(f"this run is finished already\nreport: {out}/report.html")
        return
    terminal.size(record.data, len(record.data), [*record.data.totals().values()] or [0, 0])
    fitted(record, terminal.console())
    _conclude(record, out if target is None else None)
    if target is not None and record.leading is not None:
        units = record.of_method(record.units, record.leading)
        answers = {name: units[name] for name in [*units][[*units].index("raw_rate") :]}
        with opened(file, columns) as table:
            table.write(target, answers, rowwise=True)
        print(f"table: {target}")


def _conclude(record: "GroupsRecord", out: Path | None) -> None:
    """Warnings, where the results are, and an exit code that tells of total failure."""
    from hierjax.experiment import terminal

    terminal.warn(record.warnings, terminal.console(stderr=True))
    if out is not None:
        print(f"report: {out / 'report.html'}")
    if not record.fits:
        raise typer.Exit(1)
