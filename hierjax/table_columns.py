"""Which columns of a table hold what: of units of some family, or of events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hierjax.containers import CONTAINERS
from hierjax.errors import ConfigError
from hierjax.validation import require_own_columns

__all__ = ["TableColumns", "family_of", "table_columns"]

_SHARED = {"label": "labels", "group": "groups", "weight": "weights"}
_OF_EVENTS = {"success_column": "success", "unit": "unit"}
_COUNTS = "beta_binomial"


@dataclass(frozen=True)
class TableColumns:
    """Which columns of a table hold what: of units, or of events.

    Attributes:
        fields: The column of each field of the family's container; of events, of ``success`` and
            ``unit``.
        events: Whether a row is an event.
        family: The family that the units are for.
    """

    fields: Mapping[str, str]
    events: bool = False
    family: str = _COUNTS


def family_of(keys: Sequence[str]) -> str | None:
    """The family whose columns are named, if any is; of several the first.

    Args:
        keys: What configurations call the columns.

    Returns:
        The family's name, or None.

    Examples:
        >>> family_of(["label", "events", "exposure"])
        'gamma_poisson'
    """
    if _OF_EVENTS.keys() & set(keys):
        return _COUNTS
    owners = {key: family for family, kind in CONTAINERS.items() for key in kind.keys}
    return next((owners[key] for key in keys if key in owners), None)


def table_columns(family: str | None = None, **columns: str | None) -> TableColumns:
    """Checks that columns are named for one kind of table.

    Args:
        family: The family that the units are for; by default the one whose columns are named.
        **columns: Names of columns by what configurations call them: those of the family
            (``successes`` and ``trials``, ``events`` and ``exposure``, ``values`` and ``errors``),
            ``label``, ``group`` and ``weight``; of a table of events, ``success_column`` and
            ``unit``.

    Returns:
        The column of each field.

    Raises:
        ConfigError: If they are not.

    Examples:
        >>> table_columns(success_column="sold", unit="page").fields
        {'success': 'sold', 'unit': 'page'}
        >>> table_columns(events="failures", exposure="hours").fields
        {'events': 'failures', 'exposures': 'hours'}
    """
    given = {key: name for key, name in columns.items() if name is not None}
    family = family or family_of(list(given)) or _COUNTS
    container = CONTAINERS[family]
    of_units = dict(zip(container.keys, container.columns, strict=True)) | _SHARED
    expected, fields = " and ".join(container.keys), of_units
    if family == _COUNTS:
        expected += ", or success_column and unit"
        if given.keys() & _OF_EVENTS.keys():
            fields = _OF_EVENTS
    for key, name in given.items():
        if key not in fields:
            odd = f"column {name!r} of units beside them" if fields is _OF_EVENTS else key
            raise ConfigError(f"columns: expected {expected}, found {odd}")
    required = list(fields)[:2]
    if missing := [key for key in required if key not in given]:
        found = " and no ".join(missing)
        raise ConfigError(f"columns: expected {expected}, found no {found}")
    named = {field: given[key] for key, field in fields.items() if key in given}
    require_own_columns(named)
    return TableColumns(named, fields is _OF_EVENTS, family)
