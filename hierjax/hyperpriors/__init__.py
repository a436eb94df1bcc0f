"""Hyperpriors: densities of the hyperparameters, kept apart from the families.

Each gives its log-density on the working coordinates of its family, Jacobian included, and says
which data make the posterior proper. `HYPERPRIORS_OF` holds those of every family by kind, the
family's default first.
"""

from hierjax.hyperpriors.beta_binomial import MeanConcentration, PowerLaw, Shapes
from hierjax.hyperpriors.gamma_poisson import GammaMeanConcentration, ShapeRate, Shrinkage
from hierjax.hyperpriors.normal_normal import FlatScale, MeanScale
from hierjax.hyperpriors.protocol import Hyperprior, Scaled, check_proper, register, unchecked

__all__ = [
    "HYPERPRIORS",
    "HYPERPRIORS_OF",
    "FlatScale",
    "GammaMeanConcentration",
    "Hyperprior",
    "MeanConcentration",
    "MeanScale",
    "PowerLaw",
    "Scaled",
    "ShapeRate",
    "Shapes",
    "Shrinkage",
    "check_proper",
    "default_hyperprior",
    "unchecked",
]

_EACH = (
    PowerLaw,
    MeanConcentration,
    Shapes,
    Shrinkage,
    GammaMeanConcentration,
    ShapeRate,
    FlatScale,
    MeanScale,
)

HYPERPRIORS_OF: dict[str, dict[str, type]] = {}
for _cls in _EACH:
    register(_cls)
    HYPERPRIORS_OF.setdefault(_cls.family, {})[_cls.kind] = _cls

HYPERPRIORS = HYPERPRIORS_OF["beta_binomial"]


def default_hyperprior(family: str) -> Hyperprior:
    """The hyperprior of a family for which none is given.

    Args:
        family: The family's name.

    Returns:
        Its first one, with the settings it has by itself.

    Example:
        >>> default_hyperprior("normal_normal")
        FlatScale()
    """
    found: Hyperprior = next(iter(HYPERPRIORS_OF[family].values()))()
    return found
