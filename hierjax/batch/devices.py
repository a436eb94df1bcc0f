"""Where a batch is done: devices, how much of it at a time, and whether memory holds it."""

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from hierjax.asked import whole_number
from hierjax.batch.data_sets import DataSets, SizeClass
from hierjax.batch.plan import SAMPLERS, Plan
from hierjax.errors import ConfigError
from hierjax.inference import CollapsedGibbs, Gibbs
from hierjax.inference.spreading import available_devices

__all__ = ["AXIS", "Places", "host_memory", "places"]

AXIS = "batch"

# Data sets in one call of compiled code on one CPU device, and at once in its innermost loop: few
# for what is long without, many for Gibbs samplers, whose operations have a fixed cost each; few
# for NUTS, where all wait for the longest trajectory.
_CHUNK, _TOGETHER, _SAMPLED_TOGETHER = 256, 4, 32
# Chunks of a small batch, so that several cores share it. Samplers' are as small as can be: loops
# that are nested less deeply are compiled sooner.
_FEWEST_CHUNKS = 8
# Share of the memory that a batch may take by default.
_SHARE = 0.5
# Bytes of a node of a component of a unit's density, which is there twice in float32; of a node of
# the density itself; of a unit and chain while it is sampled; of a draw that is kept; and of all
# that is given and told of a unit.
_COMPONENT_BYTES, _NODE_BYTES, _SAMPLED_BYTES, _DRAW_BYTES, _ANSWER_BYTES = 8, 64, 1 << 10, 32, 80


@dataclass(frozen=True)
class Places:
    """How a batch is spread.

    Attributes:
        devices: Those that share every chunk, equally.
        chunk: Data sets of a chunk, a multiple of `together` on every device.
        together: Data sets that one device does in lockstep.
        answered: Data sets of these whose answers are found at once, once they are sampled.
        threads: Chunks that are in work at the same time.
    """

    devices: tuple[jax.Device, ...]
    chunk: int
    together: int
    answered: int
    threads: int

    @property
    def mesh(self) -> Mesh:
        """The devices in a row."""
        return Mesh(np.array(self.devices), (AXIS,))


def places(
    plan: Plan, data_sets: DataSets, chunk: int | None, size_class: SizeClass | None = None
) -> Places:
    """Chooses devices and chunks for a batch.

    Args:
        plan: The method's settings.
        data_sets: The data sets.
        chunk: Data sets of a chunk, rounded up to what devices can share; by default 256 on every
            CPU device, or an eighth of all if that is less, of samplers those in lockstep; on
            accelerators as many as half of their memory holds.
        size_class: How large the arrays are; by default as the data sets are.

    Returns:
        Where to do it.

    Raises:
        ConfigError: If the chunk is no whole number above 0, or memory cannot hold it, a single
            data set or the answers.
    """
    size_class = size_class or SizeClass.of(data_sets)
    devices = available_devices()
    count, on_cpu = len(devices), devices[0].platform == "cpu"
    needed = len(data_sets) * (data_sets.trials.shape[1] * _ANSWER_BYTES + plan.draws * 16)
    if (host := host_memory()) and needed > host:
        raise ConfigError(
            f"data_sets: expected answers that fit into {_gigabytes(host)} of memory, found "
            f"{len(data_sets):,} that need {_gigabytes(needed)}"
        )
    held, answering = _bytes_held(plan, size_class), _bytes_answering(plan, size_class)
    sampling = _bytes_sampling(plan, size_class)
    in_work = max(answering, sampling)
    memory = host / count if on_cpu else _memory(devices[0])
    memory = memory or math.inf
    place = f"{_gigabytes(memory)} of {devices[0].device_kind}"
    if in_work + held > memory:
        raise ConfigError(
            f"data_sets: expected each to fit into {place}, found that one of {size_class.units:,} "
            f"units needs {_gigabytes(in_work + held)}"
        )
    share, threads = memory * _SHARE, 1
    if on_cpu:
        cores = max(1, (os.cpu_count() or 1) // count)
        threads = int(min(cores, max(1, share / (in_work + held))))
        # As much for what is in work as for all that is held.
        each = share / (2 * threads)
        answered = together = int(min(_TOGETHER, max(1, each / answering)))
        most = min(_CHUNK, math.ceil(len(data_sets) / (_FEWEST_CHUNKS * count)))
        if sampling:
            lockstep = isinstance(plan.method, (Gibbs, CollapsedGibbs))
            most = _SAMPLED_TOGETHER if lockstep else _TOGETHER
            together = most = int(max(1, min(most, each / sampling, each / held)))
            # Turns are of equal numbers.
            answered = max(size for size in range(1, answered + 1) if together % size == 0)
        fitting = max(together, min(most, each / held))
    else:
        answered = together = 0
        fitting = max(1, share / (held + in_work))
    if chunk is None:
        size = int(min(fitting * count, len(data_sets)))
    else:
        size = whole_number("chunk", chunk)
    per_device = math.ceil(size / count)
    together, answered = together or per_device, answered or per_device
    per_device = math.ceil(per_device / together) * together
    needed = per_device * held + max(together * sampling, answered * answering)
    if chunk is not None and needed > memory:
        raise ConfigError(
            f"chunk: expected data sets that fit into {place}, found {size:,} that need "
            f"{_gigabytes(needed)}"
        )
    chunks = math.ceil(len(data_sets) / (per_device * count))
    threads = int(min(threads, chunks, max(1, memory / needed)))
    return Places(devices, per_device * count, together, answered, threads)


def _bytes_held(plan: Plan, size_class: SizeClass) -> int:
    """Bytes that a data set of a chunk takes from beginning to end."""
    found = size_class.units * _ANSWER_BYTES + plan.draws * _DRAW_BYTES
    if isinstance(plan.method, SAMPLERS):
        found += plan.method.chains * plan.method.draws * _DRAW_BYTES
    return found


def _bytes_sampling(plan: Plan, size_class: SizeClass) -> int:
    """Bytes that it takes while it is sampled, if it is."""
    if not isinstance(plan.method, SAMPLERS):
        return 0
    return plan.method.chains * size_class.units * _SAMPLED_BYTES


def _bytes_answering(plan: Plan, size_class: SizeClass) -> int:
    """Bytes that it takes while units' answers are found."""
    return size_class.pairs * plan.nodes * (plan.components * _COMPONENT_BYTES + _NODE_BYTES)


def _memory(device: jax.Device) -> int:
    """Bytes that an accelerator has; zero if it cannot be told."""
    return (device.memory_stats() or {}).get("bytes_limit", 0)


def host_memory() -> int:
    """Bytes of memory that this process may use; zero if that cannot be told."""
    found = []
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            found.append(int(Path(limit).read_text()))
    return min(found, default=0)


def _gigabytes(size: float | int) -> str:
    return f"{size / 2**30:.1f} GiB"
