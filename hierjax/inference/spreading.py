"""The devices of a process, and groups of chains spread over them."""

from typing import Any

import jax
from jax.sharding import SingleDeviceSharding
from jaxtyping import PyTree

__all__ = ["available_devices", "spread"]


def available_devices() -> tuple[jax.Device, ...]:
    """The devices of the platform that JAX prefers, or the one that its settings name."""
    chosen: Any = getattr(jax.config, "jax_default_device", None)
    if isinstance(chosen, jax.Device):
        return (chosen,)
    return tuple(jax.devices(chosen) if isinstance(chosen, str) else jax.devices())


def spread(groups: list[PyTree], shared: PyTree) -> tuple[list[PyTree], list[PyTree]]:
    """Puts groups of chains on devices in turn, each with what all of them need.

    Every group is then advanced by the same program, compiled for one device: what is drawn does
    not depend on how many there are, not even by rounding.

    Args:
        groups: What belongs to each group.
        shared: What belongs to all.

    Returns:
        The groups where they are to be, and what they share beside each.
    """
    devices = available_devices()
    if len(devices) == 1:
        return groups, [shared] * len(groups)
    used = [SingleDeviceSharding(device) for device in devices[: len(groups)]]
    copies = [jax.device_put(shared, place) for place in used]
    at = [i % len(used) for i in range(len(groups))]
    placed = [jax.device_put(group, used[i]) for group, i in zip(groups, at, strict=True)]
    return placed, [copies[i] for i in at]
