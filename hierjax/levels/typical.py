"""What figures and reports say of a fit of three levels as a whole."""

from typing import Any

from hierjax.fitted import DTYPES
from hierjax.levels import GroupFit
from hierjax.levels.methods import GroupProblem
from hierjax.levels.model import TopPrior

__all__ = ["prior_of", "typical"]


def typical(fit: GroupFit) -> float:
    """Mean parameter of a typical group: at the posterior median of the mean location.

    Example:
        >>> import hierjax as hj
        >>> data = hj.Counts([1, 2, 5, 6], [20] * 4, groups=["a", "a", "b", "b"])
        >>> round(typical(hj.fit_groups(data, method=hj.GroupType2MLE())), 2)
        0.16
    """
    family: Any = fit.model.family
    return float(family.host_parameter_at(fit.summary()["median"][:1])[0])


def prior_of(fit: GroupFit) -> TopPrior:
    """The hyperprior in numbers, its defaults by the data's own units."""
    family: Any = fit.model.family
    return GroupProblem(fit.model, family, fit.labs, DTYPES[fit.precision]).prior()
