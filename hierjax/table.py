"""Table: a few named columns of equal length, in order."""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["Table"]


class Table(Mapping[str, np.ndarray]):
    """Named columns of equal length. NaN marks a number that is missing or does not exist.

    Args:
        columns: Column names and values.

    Raises:
        ValueError: If the columns differ in length.

    Example:
        >>> table = Table({"label": ["a", "b"], "mean": [0.25, float("nan")]})
        >>> table["mean"][0].item()
        0.25
        >>> print(table.to_csv(), end="")
        label,mean
        a,0.25
        b,
    """

    def __init__(self, columns: Mapping[str, Any]):
        self._columns = {name: np.asarray(values) for name, values in columns.items()}
        lengths = {name: len(values) for name, values in self._columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns: expected equal lengths, found {lengths}")

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self._columns.values()), ()))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, as dictionaries of Python values."""
        names = list(self._columns)
        for values in zip(*(column.tolist() for column in self._columns.values()), strict=True):
            yield dict(zip(names, values, strict=True))

    def with_columns(self, **columns: Any) -> "Table":
        """A table with columns of one value each put in front."""
        front = {name: np.repeat(np.asarray(value), len(self)) for name, value in columns.items()}
        return Table({**front, **self._columns})

    @classmethod
    def stack(cls, tables: list["Table"]) -> "Table":
        """The rows of several tables with the same columns, one after the other."""
        return cls({name: np.concatenate([table[name] for table in tables]) for name in tables[0]})

    def to_csv(self) -> str:
        """Comma-separated text; NaN is an empty cell, and floats read back exactly."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self._columns)
        writer.writerows([_cell(value) for value in row.values()] for row in self.rows())
        return text.getvalue()

    def __repr__(self) -> str:
        shown = [list(self._columns)]
        shown += [[_short(value) for value in row.values()] for row in self.rows()]
        if len(shown) > 21:
            shown = [*shown[:11], ["..."] * len(self._columns), *shown[-10:]]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        text = [
            column.dtype.kind in "US" if column.size else True for column in self._columns.values()
        ]
        lines = [
            "  ".join(
                cell.ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(row, widths, text, strict=True)
            ).rstrip()
            for row in shown
        ]
        return "\n".join(lines)


def _cell(value: Any) -> Any:
    return "" if isinstance(value, float) and math.isnan(value) else value


def _short(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.5g}"
    return str(value)
