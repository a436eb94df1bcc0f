"""What a study may ask for, checked before it begins: draws that methods have, and memory."""

from collections.abc import Sequence

import numpy as np

from hierjax.batch import DataSets, SizeClass
from hierjax.batch.devices import host_memory, places
from hierjax.batch.plan import Plan, check_draws
from hierjax.errors import ConfigError
from hierjax.experiment.study.schema import CalibrationConfig, StudyConfig
from hierjax.experiment.study.settings import Setting

__all__ = ["require_draws", "require_memory"]

# Bytes of a unit of a data set: counts and truth while they are made, and the answers of a method.
_SIMULATED, _ANSWERS = 96, 80


def require_draws(config: StudyConfig) -> None:
    """Refuses draws that a method does not have.

    Raises:
        ConfigError: If a method keeps fewer draws than are asked of it.
    """
    draws = config.draws if isinstance(config, CalibrationConfig) else 0
    for index, entry in enumerate(config.methods):
        try:
            check_draws(entry.settings(), entry.correction == "corrected", draws)
        except ConfigError as error:
            raise ConfigError(f"methods[{index}]: {error}") from None


def require_memory(config: StudyConfig, settings: Sequence[Setting]) -> None:
    """Refuses what is larger than the memory, by a lower bound of what it takes.

    Args:
        config: The study.
        settings: Its settings, which are done one after the other.

    Raises:
        ConfigError: If the data sets and the answers about them do not fit into the machine's
            memory, or a chunk not into the device's.
    """
    units = max(setting.units for setting in settings)
    numbers = [entry.size(config.data_sets) for entry in config.methods]
    needed = units * (config.data_sets * _SIMULATED + sum(numbers) * _ANSWERS)
    if isinstance(config, CalibrationConfig):
        needed += sum(numbers) * config.draws * 8 * (2 + len(config.rates))
    memory = host_memory()
    if memory and needed > memory:
        raise ConfigError(
            f"data_sets: expected a study that fits into {memory / 2**30:.1f} GiB of memory, found "
            f"{config.data_sets:,} data sets of {units:,} units, which need at least "
            f"{needed / 2**30:,.1f} GiB"
        )
    if config.chunk is None:
        return
    zeros = np.zeros((1, units), np.int64)
    for entry in config.methods:
        corrected = entry.correction == "corrected"
        size_class = SizeClass(units, 1, (0, 0, 0), few=False)
        plan = Plan(entry.settings(), corrected)
        places(plan, DataSets(zeros, zeros), config.chunk, size_class)
