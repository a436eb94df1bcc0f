r"""A lab with one unit more than what is above the labs has seen.

With y the data of a new unit and g its lab, the coordinates of the lab are

.. math:: p(\eta_g \mid Y, y) \propto p(y \mid \eta_g) \, p(\eta_g \mid Y)

which is what a fit with the unit appended would find of them: what is above the labs learns of the
unit through its lab alone. Nodes are placed anew, where the unit's data too allow the lab to be.
"""

import jax
import numpy as np
from jaxtyping import Int, Shaped

from hierjax.families import AnyFamily
from hierjax.levels.basis import coefficients
from hierjax.levels.lab_nodes import LabPosteriors
from hierjax.levels.lab_posterior import lab_posteriors
from hierjax.levels.labs import Labs
from hierjax.levels.nested import TopPosterior
from hierjax.levels.surface import Surface
from hierjax.levels.top import Level

__all__ = ["with_unit"]


def _constant(surface: Surface) -> Surface:
    """The likelihood of labs of which nothing is seen: one everywhere."""
    size = surface.coefficients.shape[-1] - 2
    ones = np.broadcast_to(coefficients(size).sum(axis=1), surface.coefficients.shape)
    return surface._replace(coefficients=ones, log_largest=np.zeros_like(surface.log_largest))


def with_unit(
    family: AnyFamily,
    labs: Labs,
    posterior: TopPosterior,
    group: Int[np.ndarray, "units"] | None,
    pair: tuple[Shaped[np.ndarray, "units"], Shaped[np.ndarray, "units"]],
    lattice: tuple[int, int],
) -> LabPosteriors:
    """Posteriors of the coordinates of new units' labs, each with its unit alone appended.

    Args:
        family: Conjugate family.
        labs: The labs that were seen.
        posterior: Of what is above the labs, without the new units.
        group: Position of each unit's lab; None of labs not seen, one for each unit.
        pair: What was observed of each unit, and its size.
        lattice: Rows and columns of each lab's likelihood.

    Returns:
        One lab for each unit.
    """
    places = [None] * len(pair[0]) if group is None else group.tolist()
    tallies = [
        labs.tally(family, np.float64, place, unit)
        for place, unit in zip(places, zip(*pair, strict=True), strict=True)
    ]
    level = Level.of(family, tallies, *lattice, np.float64)
    if group is None:
        return lab_posteriors(family, level, posterior, _constant(level.every))
    distinct, inverse = np.unique(group, return_inverse=True)
    before = [labs.tally(family, np.float64, place) for place in distinct.tolist()]
    seen = Level.of(family, before, *lattice, np.float64).every
    return lab_posteriors(family, level, posterior, jax.tree.map(lambda x: x[inverse], seen))
