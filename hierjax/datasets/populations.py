"""Populations of units' rates to simulate from, by their kind."""

from hierjax.datasets.misspecified import HeavyTail, SpikeAtZero, TrialDependent, TwoClusters
from hierjax.datasets.population import BetaPopulation, Population
from hierjax.datasets.trials import (
    TRIALS,
    FixedTrials,
    ListedTrials,
    LogUniformTrials,
    PoissonTrials,
    TrialsDistribution,
    UniformTrials,
)

__all__ = [
    "POPULATIONS",
    "TRIALS",
    "BetaPopulation",
    "FixedTrials",
    "HeavyTail",
    "ListedTrials",
    "LogUniformTrials",
    "PoissonTrials",
    "Population",
    "SpikeAtZero",
    "TrialDependent",
    "TrialsDistribution",
    "TwoClusters",
    "UniformTrials",
]

#: Populations by their kind, as configurations call them.
POPULATIONS: dict[str, type[Population]] = {
    cls.kind: cls for cls in (BetaPopulation, TwoClusters, HeavyTail, SpikeAtZero, TrialDependent)
}
