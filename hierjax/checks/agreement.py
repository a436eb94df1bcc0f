"""Agreement of a fit with the exact answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hierjax.entries import Number
from hierjax.inference.convergence import mean_error
from hierjax.table import Table

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["agreement"]


def agreement(
    fit: "Fit", reference: "Fit", new_units: Sequence[tuple[Number, Number]] = ()
) -> Table:
    """How far a fit is from the exact answer, in its own Monte Carlo standard errors.

    Compared are the posterior means of both working coordinates and of new units' rates or effects;
    of the latter every draw gives the conditional mean, whose average has the smaller error. A
    method that does not draw has no such error, and its `mcse` and `z` are NaN.

    Args:
        fit: The fit to judge.
        reference: The exact one, by quadrature.
        new_units: Value and size of new units.

    Returns:
        One row a quantity: quantity, value, reference, mcse, z.
    """
    rows = []
    for name, exact, found in zip(
        *_quantities(reference, new_units), _quantities(fit, new_units)[1], strict=True
    ):
        reference_value = float(np.sum(reference.posterior.weights * exact))
        value = float(np.sum(fit.posterior.weights * found))
        error = np.nan if fit.draws is None else mean_error(found)
        rows.append((name, value, reference_value, error, (value - reference_value) / error))
    columns = zip(*rows, strict=True)
    names = ("quantity", "value", "reference", "mcse", "z")
    return Table(dict(zip(names, columns, strict=True)))


def _quantities(
    fit: "Fit", new_units: Sequence[tuple[Number, Number]]
) -> tuple[list[str], list[np.ndarray]]:
    """Names, and values at every point, of what methods are compared by."""
    points = np.asarray(fit.posterior.points, np.float64)
    family = fit.model.family
    names, host = list(family.coordinates), family.on_host
    values = [points[..., 0], points[..., 1]]
    m, phi = host.parameter_at(points[..., 0]), np.exp(-points[..., 1])
    for value, size in new_units:
        names.append(host.parameter_words.format(value=value, size=size))
        t, v = host.statistic(value, size)
        values.append((m + t * phi) / (1 + v * phi))
    return names, values
