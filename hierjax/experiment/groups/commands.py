"""What the commands of ``hierjax`` do with units in groups."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hierjax.errors import ConfigError
from hierjax.experiment.table_file import is_table_file

if TYPE_CHECKING:
    from hierjax.experiment.groups.record import GroupsRecord
    from hierjax.experiment.groups.runner import PreparedGroups
    from hierjax.experiment.groups.schema import GroupsConfig
    from hierjax.table_columns import TableColumns

__all__ = ["fit_and_print", "fit_to_file", "refuse_for_groups", "run_and_print"]


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
        out: The run's directory; None to write nothing.
        resume: Whether to go on with a run that was cut short.

    Raises:
        HierjaxError: If the input is wrong.
        typer.Exit: If every method failed.
    """
    prepared = _prepared(file, columns, given, changes)
    from hierjax.experiment.groups.run import run_groups
    from hierjax.experiment.terminal import watch

    record = _answered(prepared) if out is None else run_groups(prepared, out, watch, resume)
    if record is None:
        print(f"this run is finished already\nreport: {out}/report.html")
        return
    _show(record, out)


def fit_to_file(
    file: str, columns: "TableColumns", given: Mapping[str, Any], changes: Sequence[str], out: Path
) -> None:
    """As `fit_and_print`, with the table and its answers written to a file of CSV or Parquet.

    Args:
        file: As there, and so are columns, given and changes.
        columns: Of the file.
        given: Plain data.
        changes: To it.
        out: The file to write; it must not be there.

    Raises:
        HierjaxError: Likewise, or if the file cannot be written or the table has changed meanwhile.
        typer.Exit: If every method failed.
    """
    from hierjax.experiment import table_file

    table_file.check_target(out)
    with table_file.opened(file, columns) as table:
        record = _answered(_prepared(file, columns, given, changes))
        _show(record, None)
        assert record.leading is not None
        answers = table_file.answers_in(record.of_method(record.units, record.leading))
        table.write(out, answers, rowwise=True)
    print(f"table: {out}")


def _prepared(
    file: str, columns: "TableColumns", given: Mapping[str, Any], changes: Sequence[str]
) -> "PreparedGroups":
    """A table and a model, checked; the table first, before anything heavy is imported."""
    from hierjax.experiment.loading import with_warnings
    from hierjax.reading import read_table

    loaded = with_warnings(lambda: read_table(file, columns))
    from hierjax.experiment.config import validated
    from hierjax.experiment.groups.runner import prepare_groups
    from hierjax.experiment.groups.schema import GroupsConfig

    config = validated(dict(given), "hierjax fit", changes)
    if not isinstance(config, GroupsConfig):
        raise ConfigError("--group: expected no --set that makes this no fit of groups, found one")
    return prepare_groups(config, loaded)


def _answered(prepared: "PreparedGroups") -> "GroupsRecord":
    from hierjax.experiment.groups.runner import answer_groups, fit_all_groups
    from hierjax.experiment.terminal import watch

    found = fit_all_groups(prepared, watch)
    with watch("answers"):
        return answer_groups(prepared, found)


def _show(record: "GroupsRecord", out: Path | None) -> None:
    """Prints every level, and concludes."""
    from hierjax.experiment import terminal
    from hierjax.experiment.groups.terminal import fitted

    terminal.size(record.data, len(record.data), [*record.data.totals().values()] or [0, 0])
    fitted(record, terminal.console())
    _conclude(record, out)


def _conclude(record: "GroupsRecord", out: Path | None) -> None:
    """Warnings, where the results are, and an exit code that tells of total failure."""
    from hierjax.experiment import terminal

    terminal.warn(record.warnings, terminal.console(stderr=True))
    if out is not None:
        print(f"report: {out / 'report.html'}")
    if not record.fits:
        raise typer.Exit(1)
