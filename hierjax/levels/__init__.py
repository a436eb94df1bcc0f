"""Three levels: units in groups, groups in a population of groups."""

from hierjax.levels.fitting import GroupFit, fit_groups
from hierjax.levels.methods import GroupQuadrature, GroupType2MLE
from hierjax.levels.model import GroupHyperprior, GroupModel

__all__ = [
    "GroupFit",
    "GroupHyperprior",
    "GroupModel",
    "GroupQuadrature",
    "GroupType2MLE",
    "fit_groups",
]
