"""Three levels: units in groups, groups in a population of groups."""

from hierjax.levels.fitting import fit_groups
from hierjax.levels.gibbs import GroupGibbs
from hierjax.levels.group_fit import GroupFit
from hierjax.levels.methods import GroupQuadrature, GroupType2MLE
from hierjax.levels.model import GroupHyperprior, GroupModel
from hierjax.levels.nuts import GroupNUTS

__all__ = [
    "GroupFit",
    "GroupGibbs",
    "GroupHyperprior",
    "GroupModel",
    "GroupNUTS",
    "GroupQuadrature",
    "GroupType2MLE",
    "fit_groups",
]
