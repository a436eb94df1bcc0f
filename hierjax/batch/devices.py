"""Where a batch is done: devices, how much of it at a time, and whether memory holds it."""

import math
import os
from dataclasses import dataclass

import jax
import numpy as np
from jax.sharding import Mesh

from hierjax.asked import whole_number
from hierjax.batch.data_sets import DataSets
from hierjax.batch.plan import SAMPLERS, Plan
from hierjax.errors import ConfigError
from hierjax.inference import CollapsedGibbs, Gibbs
from hierjax.inference.spreading import available_devices

__all__ = ["AXIS", "Places", "places"]

AXIS = "batch"

# Data sets in one call of compiled code on one CPU device, and at once in its innermost loop: few
# for what is long without, many for Gibbs samplers, whose operations have a fixed cost each; few
# for NUTS, where all wait for the longest trajectory.
_CHUNK, _TOGETHER, _SAMPLED_TOGETHER = 256, 4, 32
# Share of the memory that arrays of a chunk may take by default.
_SHARE = 0.5
# Bytes of a unit of a data set while its density is looked through for quantiles; of a unit and
# chain while it is sampled; and of all answers about a unit.
_UNIT_BYTES, _SAMPLED_BYTES, _ANSWER_BYTES = 1 << 17, 1 << 10, 80


@dataclass(frozen=True)
class Places:
    """How a batch is spread.

    Attributes:
        devices: Those that share every chunk, equally.
        chunk: Data sets of a chunk, a multiple of `together` on every device.
        together: Data sets at once in the innermost loop of one device.
        threads: Chunks that are in work at the same time.
    """

    devices: tuple[jax.Device, ...]
    chunk: int
    together: int
    threads: int

    @property
    def mesh(self) -> Mesh:
        """The devices in a row."""
        return Mesh(np.array(self.devices), (AXIS,))


def places(plan: Plan, data_sets: DataSets, chunk: int | None, units: int = 0) -> Places:
    """Chooses devices and chunks for a batch.

    Args:
        plan: The method's settings.
        data_sets: The data sets.
        chunk: Data sets of a chunk, rounded up to what devices can share; by default 256 on every
            CPU device, and on accelerators as many as half of their memory holds.
        units: Units that data sets are filled up to there, if to more than they have.

    Returns:
        Where to do it.

    Raises:
        ConfigError: If the chunk is no whole number above 0, or memory cannot hold it or the
            answers.
    """
    devices = available_devices()
    on_cpu = devices[0].platform == "cpu"
    each, memory = _bytes_each(plan, max(units, data_sets.trials.shape[1])), _memory(devices[0])
    needed = len(data_sets) * data_sets.trials.shape[1] * _ANSWER_BYTES
    needed += len(data_sets) * plan.draws * 16
    if (host := _host_memory()) and needed > host:
        raise ConfigError(
            f"data_sets: expected answers that fit into {_gigabytes(host)} of memory, found "
            f"{len(data_sets):,} that need {_gigabytes(needed)}"
        )
    fitting = max(1, int(memory * _SHARE / each)) if memory else len(data_sets)
    if chunk is None:
        most = _CHUNK if on_cpu else fitting
        size = min(most * len(devices), fitting * len(devices), len(data_sets))
    else:
        size = whole_number("chunk", chunk)
        if memory and size * each > memory * len(devices):
            raise ConfigError(
                f"chunk: expected data sets that fit into {_gigabytes(memory)} of "
                f"{devices[0].device_kind}, found {size:,} that need {_gigabytes(size * each)}"
            )
    per_device = math.ceil(size / len(devices))
    in_lockstep = isinstance(plan.method, (Gibbs, CollapsedGibbs))
    together = (_SAMPLED_TOGETHER if in_lockstep else _TOGETHER) if on_cpu else per_device
    size = math.ceil(per_device / together) * together * len(devices)
    threads = max(1, (os.cpu_count() or 1) // len(devices)) if on_cpu else 1
    return Places(devices, size, together, threads)


def _bytes_each(plan: Plan, units: int) -> int:
    """Bytes that a data set of a chunk takes on its device."""
    each = _UNIT_BYTES * units
    if isinstance(plan.method, SAMPLERS):
        each += plan.method.chains * (_SAMPLED_BYTES * units + 32 * plan.method.draws)
    return each


def _memory(device: jax.Device) -> float | int:
    """Bytes that a device has; zero if it cannot be told."""
    if device.platform == "cpu":
        return _host_memory()
    return (device.memory_stats() or {}).get("bytes_limit", 0)


def _host_memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return 0.0


def _gigabytes(size: float | int) -> str:
    return f"{size / 2**30:.1f} GiB"
