"""What is told of labs: their coordinates, mean and concentration."""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from hierjax.families import AnyFamily
from hierjax.levels.basis import density_coefficients
from hierjax.levels.lab_nodes import LabPosteriors
from hierjax.levels.result import GroupResult

__all__ = ["lab_columns", "lab_quantiles"]

_HALVINGS = 26
_ENDS = ("low", "median", "high")
Quantiles = Float[np.ndarray, "labs levels"]


def lab_columns(
    family: AnyFamily, result: GroupResult, levels: Float[np.ndarray, "3"]
) -> dict[str, np.ndarray]:
    """Moments and quantiles of every lab's mean, coordinates and concentration.

    Args:
        family: Conjugate family.
        result: What a method found.
        levels: Probabilities of the lower end, the median and the upper end.

    Returns:
        Columns by name.
    """
    if result.labs is not None:
        points = np.stack(
            np.broadcast_arrays(result.labs.location, result.labs.log_concentration[..., None]),
            axis=-1,
        ).reshape(len(result.labs.total), -1, 2)
        weights = result.labs.weights.reshape(points.shape[:2])
        ends = lab_quantiles(result.labs, levels)
    else:
        assert result.lab_draws is not None
        draws = result.lab_draws.reshape(-1, *result.lab_draws.shape[2:])
        points = np.swapaxes(np.asarray(draws, np.float64), 0, 1)
        weights = np.full(points.shape[:2], 1 / points.shape[1])
        ends = tuple(np.quantile(points[..., i], levels, axis=1).T for i in range(2))

    def columns(name: str, values: np.ndarray, quantiles: np.ndarray) -> dict[str, np.ndarray]:
        mean = np.sum(weights * values, axis=1)
        sd = np.sqrt(np.sum(weights * (values - mean[:, None]) ** 2, axis=1))
        found = {"mean": mean, "sd": sd, **dict(zip(_ENDS, quantiles.T, strict=True))}
        return {(f"{name}_{key}" if name else key): column for key, column in found.items()}

    first, second = family.coordinates
    if family.host_parameter_at(np.array([0.3]))[0] == 0.3:
        first = "location"  # it is the mean itself
    parameter = family.host_parameter_at
    return {
        **columns("", parameter(points[..., 0]), parameter(ends[0])),
        **columns(first, points[..., 0], ends[0]),
        **columns(second, points[..., 1], ends[1]),
        **columns("concentration", np.exp(points[..., 1]), np.exp(ends[1])),
    }


def lab_quantiles(
    labs: LabPosteriors, levels: Float[np.ndarray, "levels"]
) -> tuple[Quantiles, Quantiles]:
    """Quantiles of labs' locations and log-concentrations.

    Args:
        labs: Their posteriors.
        levels: Probabilities.

    Returns:
        Both, labs first.
    """
    count, rows, columns = labs.weights.shape
    masses = labs.weights @ density_coefficients(columns).T
    low, high = (labs.location[..., end].reshape(count, -1) for end in (0, -1))
    ends = low.min(axis=1), high.max(axis=1)

    def below_location(x: Quantiles) -> Quantiles:
        lines = labs.columns
        at = np.arcsinh((x[:, None] - lines.center[..., None]) / lines.scale[..., None])
        at = (at - lines.start[..., None]) / lines.step[..., None]
        normal = ndtr(at[:, :, None, :] - np.arange(columns)[:, None])
        return np.einsum("grcl,grc->gl", normal, masses)

    row_masses = labs.weights.sum(axis=2) @ density_coefficients(rows).T

    def below_concentration(x: Quantiles) -> Quantiles:
        lines = labs.rows
        at = np.arcsinh((x - lines.center[:, None]) / lines.scale[:, None])
        at = (at - lines.start[:, None]) / lines.step[:, None]
        normal = ndtr(at[:, None, :] - np.arange(rows)[:, None])
        return np.einsum("grl,gr->gl", normal, row_masses)

    found = []
    spans = (ends, (labs.log_concentration[:, 0], labs.log_concentration[:, -1]))
    for below, span in zip((below_location, below_concentration), spans, strict=True):
        a, b = (np.repeat(x[:, None], len(levels), axis=1) for x in span)
        for _ in range(_HALVINGS):
            middle = 0.5 * (a + b)
            under = below(middle) < levels
            a, b = np.where(under, middle, a), np.where(under, b, middle)
        found.append(0.5 * (a + b))
    return found[0], found[1]
