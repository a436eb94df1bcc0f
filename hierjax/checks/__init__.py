"""Checks of a fit: units left out, data replicated, pooling, agreement with the exact answer."""

from hierjax.checks.agreement import agreement
from hierjax.checks.forecast import Forecast, forecast
from hierjax.checks.loo import Loo, baselines, loo
from hierjax.checks.pit import LooPit, loo_pit
from hierjax.checks.pooling import Pooling, pooling
from hierjax.checks.predictive import PredictiveCheck, posterior_predictive
from hierjax.inference.convergence import effective_sample_sizes

__all__ = [
    "Forecast",
    "Loo",
    "LooPit",
    "Pooling",
    "PredictiveCheck",
    "agreement",
    "baselines",
    "effective_sample_sizes",
    "forecast",
    "loo",
    "loo_pit",
    "pooling",
    "posterior_predictive",
]
