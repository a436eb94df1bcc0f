"""Seconds spent compiling, apart from seconds spent running."""

import time
from functools import cache
from types import TracebackType

import jax

__all__ = ["Stopwatch"]

_PREFIX = "/jax/core/compile/"


@cache
def _compile_log() -> list[float]:
    """Durations of every trace and compilation of this process, from the first use on."""
    log: list[float] = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.startswith(_PREFIX):
            log.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return log


class Stopwatch:
    """Times a block; what JAX reports as tracing and compiling is kept apart.

    Leave the block only when its results are ready (`jax.block_until_ready`).

    Example:
        >>> with Stopwatch() as watch:
        ...     pass
        >>> sorted(watch.seconds)
        ['compile', 'run']
    """

    def __enter__(self) -> "Stopwatch":
        self._compiled = len(_compile_log())
        self._start = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        wall = time.perf_counter() - self._start
        # Traces nest, so their sum can exceed the clock.
        compiling = min(sum(_compile_log()[self._compiled :], 0.0), wall)
        self.seconds = {"compile": compiling, "run": wall - compiling}
