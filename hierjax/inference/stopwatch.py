"""Seconds spent compiling, apart from seconds spent running."""

import time
from functools import cache
from types import TracebackType

import jax

__all__ = ["Stopwatch"]

_PREFIX = "/jax/core/compile/"


@cache
def _compile_log() -> list[tuple[float, float]]:
    """Begin and end of every trace and compilation of this process, from the first use on."""
    log: list[tuple[float, float]] = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.startswith(_PREFIX):
            end = time.perf_counter()
            log.append((end - duration_secs, end))

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
        # Traces nest and threads compile side by side: what counts is when any did.
        compiling, reached = 0.0, self._start
        for begin, end in sorted(_compile_log()[self._compiled :]):
            compiling += max(0.0, end - max(begin, reached))
            reached = max(reached, end)
        self.seconds = {"compile": compiling, "run": wall - compiling}
