"""Nodes of units' posteriors, for integrals over a parameter on the host."""

import numpy as np
from jaxtyping import Float

from hierjax.families.host_protocol import OnHost

__all__ = ["log_kernel", "unit_nodes"]

# Fewest and most nodes, and their distance in the stretched coordinate.
_FEWEST, _MOST, _STEP = 40, 160, 0.12
# How many widths nodes reach, beyond exponential tails of so many lengths, and the largest width
# of a density's bulk: shapes below one only lengthen its tails.
_REACH, _LENGTHS, _BULK = 7.0, 20.0, 1.5


def unit_nodes(
    family: OnHost,
    shapes: tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]],
) -> tuple[Float[np.ndarray, "points nodes"], Float[np.ndarray, "points nodes"]]:
    """The trapezoidal rule of distributions in places stretched by a hyperbolic sine.

    Args:
        family: The family on the host.
        shapes: Of the distributions.

    Returns:
        Places of parameters, and their shares of each distribution, which sum to one.
    """
    width = np.minimum(family.width(shapes), _BULK * family.widest)
    left, right = (_REACH * width + _LENGTHS / tail for tail in family.tails(shapes))
    start, end = -np.arcsinh(left / (2 * width)), np.arcsinh(right / (2 * width))
    size = int(np.clip(np.max(end - start) / _STEP, _FEWEST, _MOST))
    hidden = np.linspace(start, end, size, axis=1)
    places = family.middle(shapes)[:, None] + 2 * width[:, None] * np.sinh(hidden)
    # Relative to the mean's, which does not cancel.
    with np.errstate(over="ignore"):
        bend = family.bend(family.place(shapes)[:, None], places)
        log_density = -family.precision(shapes)[:, None] * bend
    highest = log_density.max(axis=1, keepdims=True)
    shares = np.exp(log_density - highest) * np.cosh(hidden)
    return places, shares / shares.sum(axis=1, keepdims=True)


def log_kernel(
    family: OnHost,
    shapes: tuple[Float[np.ndarray, "units points"], Float[np.ndarray, "units points"]],
    center: Float[np.ndarray, "units"],
    places: Float[np.ndarray, "units nodes"],
) -> Float[np.ndarray, "units points nodes"]:
    r"""Logs of densities of the place z, but for constants.

    .. math:: \frac{(m - m_0) (z - z_0)}{\phi} - \frac{KL(z_0, z)}{\phi}

    where the divergence, small where the density is not, is the same for all points.

    Args:
        family: The family on the host.
        shapes: Of each unit's components.
        center: A place among each unit's components.
        places: Nodes of each unit.

    Returns:
        The logs.
    """
    middle = center[:, None]
    lean, bend = family.lean(shapes, middle), family.bend(middle, places)
    with np.errstate(over="ignore"):
        spread = family.precision(shapes)[..., None] * bend[:, None]
    return lean[..., None] * (places - middle)[:, None] - spread
