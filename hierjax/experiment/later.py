"""A later period of the same units: which columns hold it, and its data."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import model_validator

from hierjax import datasets
from hierjax.containers import CONTAINERS
from hierjax.experiment.schema_base import DataConfig, PairColumns
from hierjax.observations import Observations
from hierjax.reading import read_table
from hierjax.table_columns import family_of, table_columns

if TYPE_CHECKING:
    from hierjax.experiment.schema import Config

__all__ = ["LaterConfig", "load_later", "unsuited_later"]


class LaterConfig(PairColumns):
    """Columns of the data's table with what came of the same units later, to be predicted."""

    @model_validator(mode="after")
    def _one_family(self) -> "LaterConfig":
        given = list(self.model_dump(exclude_none=True))
        choices = [container.keys for container in CONTAINERS.values()]
        if set(given) not in map(set, choices):
            family = family_of(given)
            expected = [CONTAINERS[family].keys] if family else choices
            words = ", or ".join(" and ".join(keys) for keys in expected)
            found = ", ".join(given) or "nothing"
            raise ValueError(f"expected {words}, found {found}")
        return self


def unsuited_later(
    later: LaterConfig | None, data: DataConfig, family: str
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What a later period does not share with the data.

    Args:
        later: Its columns, if there is one.
        data: Where the data come from.
        family: Of which family they are.

    Yields:
        Paths of keys, each with what was expected and found.
    """
    if later is None:
        return
    named, keys = later.model_dump(exclude_none=True), CONTAINERS[family].keys
    if set(named) != set(keys):
        yield ("later",), f"expected {' and '.join(keys)}, as of {family}, found {', '.join(named)}"
        return
    held = data.model_dump(exclude_none=True)
    if not set(keys) <= set(held):
        found = f"dataset {data.dataset}" if data.dataset else "one event a row"
        yield ("later",), f"expected data from a table with columns of units, found {found}"
    elif named[keys[0]] == held[keys[0]]:
        yield (
            ("later", keys[0]),
            f"expected another column than data.{keys[0]}, found {named[keys[0]]!r} in both",
        )


def load_later(config: "Config") -> Observations | None:
    """The later period's data, if a configuration names columns for it.

    Raises:
        DataError: If the table lacks a column, or the data break a rule.
    """
    if config.later is None:
        return None
    named = config.later.model_dump(exclude_none=True)
    columns = table_columns(config.model.family, label=config.data.label, **named)
    if config.data.path is None:
        return datasets.load(config.data.dataset or "", columns)
    return read_table(config.data.path, columns)
