"""Units that are asked about beside the data: arguments by any name, and their checks."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

from hierjax.containers import CONTAINERS
from hierjax.entries import ArrayLike, Number, Source
from hierjax.errors import ConfigError
from hierjax.families.protocol import AnyFamily

__all__ = ["checked_size", "checked_units", "given", "one_unit"]

Column = Shaped[np.ndarray, "units"]


def given(names: Sequence[str], values: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """Arguments by position, or by the names that their family has for them.

    Args:
        names: The family's names of the arguments.
        values: What was given by position, None where nothing was.
        named: What was given by name.

    Returns:
        The arguments in order, None where nothing was given.

    Raises:
        ConfigError: If a name is not one of them, or an argument was given twice.

    Example:
        >>> given(("events", "exposures"), (None, None), {"exposures": 2.5, "events": 4})
        [4, 2.5]
    """
    places = dict(zip(names, values, strict=True))
    for name, value in named.items():
        if name not in places:
            raise ConfigError(f"expected {' and '.join(names)}, found {name!r}")
        if places[name] is not None:
            raise ConfigError(f"{name}: expected once, found it twice")
        places[name] = value
    return list(places.values())


def checked_units(
    family: AnyFamily, value: ArrayLike, size: ArrayLike, source: Source
) -> tuple[Column, Column]:
    """Checks units that stand alone, of which some may have no data.

    A unit without data has no trials, an exposure of 0, or an infinite error.

    Args:
        family: Conjugate family.
        value: Observed values, shape ``(units,)``.
        size: Their sizes.
        source: How errors name rows and columns.

    Returns:
        Both as new arrays.

    Raises:
        DataError: If they break a rule of the family's data.
    """
    container, nothing = CONTAINERS[family.name], family.on_host.nothing
    blank = _equal(size, nothing[1]) & (_equal(value, nothing[0]) if nothing[1] == 0 else True)
    if container.family == "beta_binomial" or not np.any(blank):
        return container.pairs(value, size, source)
    stand_in = np.where(blank, 1.0, np.asarray(size, object))
    y, n = container.pairs(value, stand_in, source)
    return y, np.where(blank, nothing[1], n)


def one_unit(family: AnyFamily, value: Any, size: Any, named: Mapping[str, Any]) -> tuple[Any, Any]:
    """Checks value and size of one unit so far; by default it has no data.

    Args:
        family: Conjugate family.
        value: Its value, or None.
        size: Its size, or None.
        named: Both by their family's names.

    Returns:
        NumPy's numbers.

    Raises:
        DataError: If they break a rule of the family's data.
        ConfigError: If a name is not one of them, or an argument was given twice.
    """
    pair = given(family.columns, (value, size), named)
    nothing = family.on_host.nothing
    asked = [[d if x is None else x] for x, d in zip(pair, nothing, strict=True)]
    y, n = checked_units(family, asked[0], asked[1], _the_unit(family))
    return y[0], n[0]


def _the_unit(family: AnyFamily) -> Source:
    size = family.columns[1]
    named = {size: f"its {size} so far, the argument {size}"}
    return Source("the unit", lambda _: "the unit", named)


def checked_size(family: AnyFamily, name: str, size: Any) -> Number:
    """Checks the size of a value that is not there yet.

    Args:
        family: Conjugate family.
        name: What errors call it.
        size: Number of trials, an exposure or an error.

    Returns:
        The size.

    Raises:
        DataError: If it is none.
    """
    container = CONTAINERS[family.name]
    rule = container.rules[container.columns[1]]
    found: Number = rule([size], name, _the_unit(family))[0].item()
    return found


def _equal(values: ArrayLike, number: Number) -> Bool[np.ndarray, "units"]:
    each = np.atleast_1d(np.asarray(values, object))
    return np.array([isinstance(x, Real) and x == number for x in each], bool)
