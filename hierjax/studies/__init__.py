"""Studies of methods on many simulated data sets: calibration, coverage, comparison of devices."""

from hierjax.studies.baselines import complete_pooling, no_pooling
from hierjax.studies.calibration import Calibration, calibration
from hierjax.studies.comparison import Compared, Comparison, compare
from hierjax.studies.coverage import (
    hyper_table,
    size_table,
    status_table,
    top_table,
    unit_table,
)
from hierjax.studies.simulation import Simulated, simulate_batch, simulate_like, simulate_prior

__all__ = [
    "Calibration",
    "Compared",
    "Comparison",
    "Simulated",
    "calibration",
    "compare",
    "complete_pooling",
    "hyper_table",
    "no_pooling",
    "simulate_batch",
    "simulate_like",
    "simulate_prior",
    "size_table",
    "status_table",
    "top_table",
    "unit_table",
]
