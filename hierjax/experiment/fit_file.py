"""Fitting one method to a table in a file, the answers written into a copy of that table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierjax.experiment import table_file
from hierjax.reading import TableColumns

if TYPE_CHECKING:
    from hierjax.experiment.record import RunRecord
    from hierjax.experiment.table_file import UserTable

__all__ = ["fit_to_file"]


def fit_to_file(
    path: str,
    columns: TableColumns,
    given: Mapping[str, Any],
    changes: Sequence[str],
    out: Path,
    show: Callable[["RunRecord", "UserTable"], None],
) -> None:
    """Fits a method to a table, prints its answers, and writes the table with them.

    Args:
        path: The file, or a pattern of files.
        columns: Which of its columns hold what.
        given: The run's configuration.
        changes: Changes to it, as ``seed=2``.
        out: The file to write, CSV or Parquet; it must not be there.
        show: Prints the answers; what it raises keeps the file from being written.

    Raises:
        HierjaxError: If the input is wrong or the file cannot be written.
    """
    table_file.check_target(out)
    with table_file.opened(path, columns, out) as table:
        from hierjax.experiment.answers import answer, as_asked
        from hierjax.experiment.config import validated
        from hierjax.experiment.runner import fit_all, prepare
        from hierjax.experiment.terminal import watch

        config = validated(dict(given), "hierjax fit", changes)
        # Samplers of the units' rates have no use for weights.
        expanded = any(entry.is_sampler for entry in config.methods)
        prepared = prepare(config, (table.counts(expanded), table.warnings))
        record = answer(prepared, fit_all(prepared, watch), compare=False)
        show(record, table)
        for found in record.fits.values():
            successes, trials = table.pairs
            telling = as_asked(found, config)
            answers = telling.predict(
                successes, trials, level=config.level, interval=config.interval
            )
            kept = {name: answers[name] for name in answers if name not in _IN_THE_TABLE}
            table.write(out, kept)


_IN_THE_TABLE = ("label", "successes", "trials")
