"""Data and what is odd about them, read before anything heavy is imported."""

import warnings
from collections.abc import Callable
from typing import TypeVar

from hierjax.errors import DataWarning
from hierjax.observations import Observations

__all__ = ["with_warnings"]

Read = TypeVar("Read", bound=Observations)


def with_warnings(read: Callable[[], Read]) -> tuple[Read, tuple[str, ...]]:
    """Reads data and keeps their warnings.

    Args:
        read: Reads the data.

    Returns:
        The data, and the text of each `DataWarning` about them.

    Examples:
        >>> from hierjax.counts import Counts
        >>> _, warnings = with_warnings(lambda: Counts([0, 1], [9, 9], labels=["a", "a"]))
        >>> len(warnings)
        1
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", DataWarning)
        data = read()
    return data, tuple(str(warning.message) for warning in caught)
