"""Counts of counts: how many units have more than k, as families' tallies keep them."""

import numpy as np
from jaxtyping import Int, Shaped

__all__ = ["LARGEST_DENSE", "SMALLEST_DENSE", "above", "dense_length", "size_class"]

SMALLEST_DENSE = 16
LARGEST_DENSE = 512
# Logarithms taken per entry of the counts of counts, and per pair by the family's log-marginal;
# and what it is worth to do without pairs, whose formula takes longer to compile.
_COST_DENSE, _COST_PAIR, _COST_PAIRS = 3, 25, 1000


def size_class(size: int, smallest: int) -> int:
    """Next power of two, so that one compilation serves many data sets; 0 stays 0."""
    return max(smallest, 1 << (size - 1).bit_length()) if size else 0


def above(
    values: Int[np.ndarray, "units"], multiplicity: Shaped[np.ndarray, "units"], length: int
) -> Shaped[np.ndarray, "counts"]:
    """Weight of units whose value exceeds k, for k = 0 .. length - 1.

    Example:
        >>> above(np.array([0, 2, 1]), np.array([1.0, 1.0, 3.0]), 3).tolist()
        [4.0, 1.0, 0.0]
    """
    histogram = np.bincount(values, multiplicity, minlength=length + 1)
    return histogram[::-1].cumsum()[::-1][1:]


def dense_length(counts: Shaped[np.ndarray, "pairs"]) -> int:
    """Length of the counts of counts that makes one evaluation cheapest.

    Args:
        counts: The largest count of every distinct pair; those beyond the length stay pairs.

    Returns:
        The length, 0 if all are better kept as pairs.

    Example:
        >>> dense_length(np.array([3, 10, 14]))
        16
    """
    lengths = [0]
    while (length := max(SMALLEST_DENSE, 2 * lengths[-1])) <= LARGEST_DENSE:
        lengths.append(length)

    def cost(length: int) -> int:
        pairs = int(np.sum(counts > length))
        return _COST_DENSE * length + _COST_PAIR * pairs + _COST_PAIRS * (pairs > 0)

    return min(lengths, key=cost)
