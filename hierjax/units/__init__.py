"""Answers about units: mixtures of conjugate posteriors over the hyperparameters."""

from hierjax.units.distribution import (
    UnitDistribution,
    below,
    highest_density,
    quantiles,
    unit_density,
    unit_distributions,
)
from hierjax.units.mixture import Mixture, condense
from hierjax.units.moments import UnitMoments, unit_moments
from hierjax.units.prediction import log_predictive

__all__ = [
    "Mixture",
    "UnitDistribution",
    "UnitMoments",
    "below",
    "condense",
    "highest_density",
    "log_predictive",
    "quantiles",
    "unit_density",
    "unit_distributions",
    "unit_moments",
]
