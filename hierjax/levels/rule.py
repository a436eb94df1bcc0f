r"""Nodes for the mean and standard deviation of one of the labs' coordinates.

Rows are standard deviations tau = s sinh(x) of evenly spaced x, beginning at 0 where the posterior
reaches that far: it is even in tau, so that the first row counts by half and the rule has the
accuracy of the trapezoidal one on the whole line. Columns are means, evenly spaced about each row's
own center.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["Block", "Placement", "first_placement", "next_placement"]

# How many standard deviations columns reach, and by how many nats density falls at the last row.
_REACH, _FALL = 5.5, 15.0
_SMALL = 1e-4
# Columns that end with more than this share of the weight did not reach far enough.
_EDGE = 1e-4
# A row whose weight is narrower than so many steps may have been missed.
_NARROW = 0.4


@dataclass(frozen=True)
class Placement:
    """Where nodes are to be put.

    Attributes:
        scale: s.
        low: First x; 0 for a standard deviation of 0.
        high: Last x.
        known: Values of x at which centers and widths are given.
        center: Means' centers there.
        width: Their standard deviations.
    """

    scale: float
    low: float
    high: float
    known: Float[np.ndarray, "known"]
    center: Float[np.ndarray, "known"]
    width: Float[np.ndarray, "known"]

    def block(self, rows: int, columns: int) -> "Block":
        """Nodes, so many rows and columns of them."""
        x = np.linspace(self.low, self.high, rows)
        center = np.interp(x, self.known, self.center)
        width = np.exp(np.interp(x, self.known, np.log(self.width)))
        across = np.linspace(-_REACH, _REACH, columns)
        mean = center[:, None] + width[:, None] * across
        sd = self.scale * np.sinh(x)
        steps = (x[1] - x[0]) * width * (across[1] - across[0])
        log_weight = np.log(steps * self.scale * np.cosh(x))
        log_weight[0] -= np.log(2) if self.low == 0 else 0.0
        spread = np.broadcast_to(sd[:, None], mean.shape)
        return Block(
            x,
            np.stack([mean, spread], axis=-1),
            np.broadcast_to(log_weight[:, None], mean.shape),
            self.scale,
            width * (across[1] - across[0]),
        )


@dataclass(frozen=True)
class Block:
    """Nodes of one coordinate.

    Attributes:
        x: Of the rows.
        points: Mean and standard deviation.
        log_weight: Logarithm of the rule's weights.
        scale: s.
        step: Between the means of each row.
    """

    x: Float[np.ndarray, "rows"]
    points: Float[np.ndarray, "rows columns 2"]
    log_weight: Float[np.ndarray, "rows columns"]
    scale: float
    step: Float[np.ndarray, "rows"]

    @classmethod
    def at(cls, mean: float, sd: float, unit: float) -> "Block":
        """A single node; a standard deviation of 0 is one of a small part of the unit."""
        points = np.array([[[mean, sd]]])
        step = np.array([_SMALL * unit])
        return cls(np.array([0.0]), points, np.zeros((1, 1)), 1.0, step)

    @property
    def nodes(self) -> Float[np.ndarray, "nodes 2"]:
        """All nodes."""
        return self.points.reshape(-1, 2)


def first_placement(
    maximum: Float[np.ndarray, "2"],
    error: Float[np.ndarray, "2"],
    mode: Float[np.ndarray, "labs"],
    spread: Float[np.ndarray, "labs"],
) -> Placement:
    """Nodes about a maximum, as wide as curvature tells.

    Given the labs' standard deviation tau, their mean is placed as normal likelihoods would have
    it: by all labs' modes, each with the precision 1 / (spread^2 + tau^2).

    Args:
        maximum: Mean and standard deviation of the labs' coordinates.
        error: Standard errors of both.
        mode: Of each lab's likelihood.
        spread: Its standard deviation. Two labs tell standard deviations from 0 that are larger
            than both of theirs.
    """
    (mean, sd), (mean_error, sd_error) = map(float, maximum), map(float, error)
    scale = min(max(abs(sd), sd_error), float(np.sort(spread)[:2][-1]))
    x = float(np.arcsinh(abs(sd) / scale))
    wide = min(sd_error / (scale * float(np.cosh(x))), 1.5)
    low, high = max(0.0, x - 6 * wide), x + 7 * wide
    low = 0.0 if low < 0.5 * wide else low
    known = np.linspace(0.0, high + 3.0, 24)
    tau = np.append(scale * np.sinh(known), sd)
    precision = 1 / (spread**2 + tau[:, None] ** 2)
    total = precision.sum(axis=1)
    center = precision @ mode / total
    # At the maximum itself both are known.
    ratio = np.minimum(total[-1] / total[:-1], 1.0)
    centers = center[:-1] + ratio * (mean - center[-1])
    widths = mean_error * np.sqrt(total[-1] / total[:-1])
    return Placement(scale, low, high, known, centers, widths)


def next_placement(
    placement: Placement, block: Block, weights: Float[np.ndarray, "rows columns"]
) -> tuple[Placement, bool]:
    """Nodes where the weight was found to be.

    Args:
        placement: Where they were.
        block: The nodes.
        weights: What of the posterior each has, the rule's weights included.

    Returns:
        The next placement, and whether these were well placed already.
    """
    x, mean = block.x, block.points[..., 0]
    by_row = np.maximum(weights.sum(axis=1), 1e-300)
    share = weights / by_row[:, None]
    center = np.sum(share * mean, axis=1)
    width = np.sqrt(np.sum(share * (mean - center[:, None]) ** 2, axis=1))
    width = np.maximum(width, 0.25 * block.step)
    # By x, the half row at 0 counting whole.
    log_density = np.log(by_row) + np.where((x == 0) & (placement.low == 0), np.log(2), 0.0)
    log_density -= log_density.max()
    kept = log_density > -_FALL
    first, last = int(np.argmax(kept)), len(x) - 1 - int(np.argmax(kept[::-1]))
    step = x[1] - x[0]
    counts = log_density > -2 * _FALL
    enough = bool(weights[:, [0, -1]].sum() < _EDGE * weights.sum())
    enough &= bool(np.all(width[counts] > _NARROW * block.step[counts]))
    low, high = x[first], x[last]
    if first > 0:
        low = x[first - 1]
    elif placement.low > 0:
        low, enough = (
            max(0.0, low - _beyond(log_density[0], log_density[1], step, high - low)),
            False,
        )
    if last < len(x) - 1:
        high = x[last + 1]
    else:
        high, enough = (
            high + _beyond(log_density[-1], log_density[-2], step, high - x[first]),
            False,
        )
    low = 0.0 if low < step else low
    ends = x[counts][[0, -1]]
    rest = (placement.known < ends[0]) | (placement.known > ends[1])
    pairs = (placement.known, x), (placement.center, center), (placement.width, width)
    known, center, width = (np.concatenate([old[rest], new[counts]]) for old, new in pairs)
    order = np.argsort(known)
    placed = Placement(placement.scale, low, high, known[order], center[order], width[order])
    return placed, enough


def _beyond(edge: float, inner: float, step: float, most: float) -> float:
    """How much farther rows have to go, from the fall of density between the last two."""
    fall = max((inner - edge) / step, 1e-3)
    return float(np.clip((edge + _FALL) / fall, step, max(most, step)))
