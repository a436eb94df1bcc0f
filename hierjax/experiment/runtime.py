"""JAX as the command line wants it: on the right device, with compiled code kept between runs.

These are settings of the whole process, so the library itself never makes them.
"""

import ctypes
import logging
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from hierjax.errors import ConfigError

__all__ = ["cache_directory", "prepare_jax", "silence"]

# The number of that parameter in malloc.h.
_M_ARENA_MAX = -8
# The version of JAX whose XLA has both ways to emit loops on a CPU.
_BOTH_EMITTERS, _EMITTERS = (0, 10), "xla_cpu_use_fusion_emitters"


def silence() -> None:
    """Keeps libraries' warnings and log lines off the user's terminal.

    Python's ``-W`` brings the warnings back, ``TF_CPP_MIN_LOG_LEVEL`` the compiler's log.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("jax", "absl", "arviz", "arviz_base", "arviz_stats", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR)


def cache_directory() -> Path | None:
    """Where compiled code is kept, made if need be.

    Returns:
        The directory that ``JAX_COMPILATION_CACHE_DIR`` or ``HIERJAX_CACHE_DIR`` names, or else
        ``hierjax`` in the user's cache; None if it cannot be written.

    Examples:
        >>> os.environ["JAX_COMPILATION_CACHE_DIR"] = "/dev/null/nowhere"
        >>> cache_directory() is None
        True
        >>> del os.environ["JAX_COMPILATION_CACHE_DIR"]
    """
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR") or os.environ.get("HIERJAX_CACHE_DIR")
    try:
        path = Path(chosen) if chosen else _user_cache() / "hierjax"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the latter from a user without a home
        return None
    return path if os.access(path, os.W_OK) else None


def _user_cache() -> Path:
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if local := os.environ.get("LOCALAPPDATA"):
        return Path(local)
    return Path.home() / ".cache"


def prepare_jax(device: str) -> None:
    """Sets JAX up for this process; to be called before its first array.

    Args:
        device: ``auto`` for what JAX prefers, ``cpu``, or ``gpu``.

    Raises:
        ConfigError: If a GPU is asked for and JAX can use none.
    """
    # A small model does not need most of the GPU's memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    _share_heaps()
    import jax

    _compile_sooner(jax.__version_info__)
    directory = cache_directory()
    if directory is not None:
        jax.config.update("jax_compilation_cache_dir", str(directory))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    elif device == "gpu":
        _require_gpu()


def _compile_sooner(version: tuple[int, ...]) -> None:
    """Chooses XLA's older emitters of loops, which compile a third faster and run as fast.

    Only where they are known to be there: XLA ends a process that names a flag it does not have.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if version[:2] == _BOTH_EMITTERS and _EMITTERS not in given:
        os.environ["XLA_FLAGS"] = f"{given} --{_EMITTERS}=false".strip()


def _share_heaps() -> None:
    """Lets threads share heaps where the C library is GNU's.

    Each thread that compiles would otherwise keep a heap of its own, a quarter of a run's memory.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _require_gpu() -> None:
    import jax

    # What the environment hides is asked for in so many words.
    jax.config.update("jax_platforms", None)
    try:
        jax.devices("gpu")
    except RuntimeError:
        found = ", ".join(sorted({device.platform for device in jax.devices()}))
        raise ConfigError(
            f"device: expected a GPU that JAX can use, found {found} only; "
            "use auto or cpu, or install hierjax[gpu]"
        ) from None
