"""Checks of a fit: prediction of units left out, replicated data, agreement with the exact answer."""

from hierjax.checks.agreement import agreement
from hierjax.checks.loo import Loo, baselines, loo
from hierjax.inference.convergence import effective_sample_sizes

__all__ = ["Loo", "agreement", "baselines", "effective_sample_sizes", "loo"]
