"""Counting what JAX traces and compiles."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

_EVENTS: list[str] = []


def _listen(event: str, duration_secs: float, **details: str | int) -> None:
    if event.startswith("/jax/core/compile/"):
        _EVENTS.append(f"{event.rsplit('/', 1)[-1]} of {details.get('fun_name')}")


jax.monitoring.register_event_duration_secs_listener(_listen)


@contextmanager
def compilations() -> Iterator[list[str]]:
    """Collects every trace, lowering and compilation of the block."""
    found: list[str] = []
    start = len(_EVENTS)
    yield found
    found += _EVENTS[start:]
