"""Partial pooling of many rates, in JAX.

    import hierjax as hj
    fit = hj.fit(hj.datasets.rat_tumors())
    fit.units(level=0.9)

Names are imported when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hierjax import checks, datasets, plots, studies
    from hierjax.batch import BatchFit, DataSets, SizeClass, fit_batch
    from hierjax.counts import Counts
    from hierjax.fitting import Fit, fit
    from hierjax.hyperpriors import (
        FlatScale,
        GammaMeanConcentration,
        MeanConcentration,
        MeanScale,
        PowerLaw,
        ShapeRate,
        Shapes,
        Shrinkage,
    )
    from hierjax.inference import (
        NUTS,
        CollapsedGibbs,
        Gibbs,
        Moments,
        Quadrature,
        Type2MLE,
    )
    from hierjax.levels import (
        GroupFit,
        GroupGibbs,
        GroupHyperprior,
        GroupModel,
        GroupNUTS,
        GroupQuadrature,
        GroupType2MLE,
        fit_groups,
    )
    from hierjax.measurements import Measurements
    from hierjax.model import Model
    from hierjax.poisson_events import Events
    from hierjax.reading import read_counts
    from hierjax.table import Table
    from hierjax.tally import Tally

_HOMES = {
    "BatchFit": "batch",
    "CollapsedGibbs": "inference",
    "Counts": "counts",
    "DataSets": "batch",
    "Events": "poisson_events",
    "Fit": "fitting",
    "FlatScale": "hyperpriors",
    "GammaMeanConcentration": "hyperpriors",
    "Gibbs": "inference",
    "GroupFit": "levels",
    "GroupGibbs": "levels",
    "GroupHyperprior": "levels",
    "GroupModel": "levels",
    "GroupNUTS": "levels",
    "GroupQuadrature": "levels",
    "GroupType2MLE": "levels",
    "MeanConcentration": "hyperpriors",
    "MeanScale": "hyperpriors",
    "Measurements": "measurements",
    "Model": "model",
    "Moments": "inference",
    "NUTS": "inference",
    "PowerLaw": "hyperpriors",
    "Quadrature": "inference",
    "ShapeRate": "hyperpriors",
    "Shapes": "hyperpriors",
    "Shrinkage": "hyperpriors",
    "SizeClass": "batch",
    "Table": "table",
    "Tally": "tally",
    "Type2MLE": "inference",
    "fit": "fitting",
    "fit_batch": "batch",
    "fit_groups": "levels",
    "read_counts": "reading",
}
_MODULES = ("checks", "datasets", "plots", "studies")

__all__ = [
    "NUTS",
    "BatchFit",
    "CollapsedGibbs",
    "Counts",
    "DataSets",
    "Events",
    "Fit",
    "FlatScale",
    "GammaMeanConcentration",
    "Gibbs",
    "GroupFit",
    "GroupGibbs",
    "GroupHyperprior",
    "GroupModel",
    "GroupNUTS",
    "GroupQuadrature",
    "GroupType2MLE",
    "MeanConcentration",
    "MeanScale",
    "Measurements",
    "Model",
    "Moments",
    "PowerLaw",
    "Quadrature",
    "ShapeRate",
    "Shapes",
    "Shrinkage",
    "SizeClass",
    "Table",
    "Tally",
    "Type2MLE",
    "checks",
    "datasets",
    "fit",
    "fit_batch",
    "fit_groups",
    "plots",
    "read_counts",
    "studies",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"hierjax.{name}")
    if name in _HOMES:
        value = getattr(import_module(f"hierjax.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'hierjax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
