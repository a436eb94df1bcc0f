"""Many data sets at once: one compilation a size class, every method, answers by data set."""

from hierjax.batch.data_sets import DataSets, SizeClass
from hierjax.batch.fitting import fit_batch
from hierjax.batch.result import BatchFit

__all__ = ["BatchFit", "DataSets", "SizeClass", "fit_batch"]
