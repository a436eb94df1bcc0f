"""Fitting to a table in a file by its distinct pairs of value and size, however many rows it has.

The answers go into a copy of that table, or hyperparameters are all that is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierjax.experiment import table_file
from hierjax.table_columns import TableColumns

if TYPE_CHECKING:
    from hierjax.experiment.record import RunRecord
    from hierjax.experiment.runner import Prepared
    from hierjax.experiment.table_file import UserTable

__all__ = ["FileFit"]


@dataclass(frozen=True)
class FileFit:
    """What is to be fitted to which table.

    Attributes:
        path: The file, or a pattern of files.
        columns: Which of its columns hold what.
        given: The run's configuration.
        changes: Changes to it, as ``seed=2``.
        show: Prints the answers; what it raises keeps a file from being written.
    """

    path: str
    columns: TableColumns
    given: Mapping[str, Any]
    changes: Sequence[str]
    show: Callable[["RunRecord", "UserTable"], None]

    def to_file(self, out: Path) -> None:
        """Fits a method, prints its answers, and writes the table with them.

        Args:
            out: The file to write, CSV or Parquet; it must not be there.

        Raises:
            HierjaxError: If the input is wrong or the file cannot be written.
        """
        table_file.check_target(out)
        with table_file.opened(self.path, self.columns) as table:
            prepared, record = self._fitted(table)
            self.show(record, table)
            from hierjax.experiment.answers import as_asked

            config = prepared.config
            for found in record.fits.values():
                values, sizes = table.pairs
                answers = as_asked(found, config).predict(
                    values, sizes, level=config.level, interval=config.interval
                )
                table.write(out, table_file.answers_in(answers))

    def hyperparameters(self) -> None:
        """Fits methods and prints their hyperparameters; the table's units are only tallied.

        Raises:
            HierjaxError: If the input is wrong.
        """
        with table_file.opened(self.path, self.columns, pairs_only=True) as table:
            pass
        _, record = self._fitted(table, with_units=bool(self.given["new_units"]))
        self.show(record, table)

    def _fitted(
        self, table: "UserTable", with_units: bool = True
    ) -> tuple["Prepared", "RunRecord"]:
        """What the methods find in a table, with no answers about its units."""
        from hierjax.experiment.answers import answer
        from hierjax.experiment.config import analysis, validated
        from hierjax.experiment.runner import fit_all, prepare
        from hierjax.experiment.terminal import watch

        config = analysis(validated(dict(self.given), "hierjax fit", self.changes))
        # Samplers of the units' rates have no use for weights.
        expanded = any(entry.is_sampler for entry in config.methods)
        prepared = prepare(config, (table.observations(expanded), table.warnings))
        found = fit_all(prepared, watch, with_units=with_units)
        return prepared, answer(prepared, found, compare=False, with_units=False)
