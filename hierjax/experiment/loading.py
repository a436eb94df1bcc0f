"""Data and what is odd about them, read before anything heavy is imported."""

import warnings
from collections.abc import Callable

from hierjax.counts import Counts
from hierjax.errors import DataWarning

__all__ = ["with_warnings"]


def with_warnings(read: Callable[[], Counts]) -> tuple[Counts, tuple[str, ...]]:
    """Reads counts and keeps their warnings.

    Args:
        read: Reads the counts.

    Returns:
        The counts, and the text of each `DataWarning` about them.

    Examples:
        >>> _, warnings = with_warnings(lambda: Counts([0, 1], [9, 9], labels=["a", "a"]))
        >>> len(warnings)
        1
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", DataWarning)
        counts = read()
    return counts, tuple(str(warning.message) for warning in caught)
