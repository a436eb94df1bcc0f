"""What a run ran on and with, for those who want its numbers again."""

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import hierjax
from hierjax.observations import Observations

__all__ = ["PACKAGES", "data_summary", "devices", "environment", "versions"]

PACKAGES = (
    "jax",
    "jaxlib",
    "numpyro",
    "optax",
    "numpy",
    "scipy",
    "arviz",
    "xarray",
    "matplotlib",
    "pydantic",
)


def versions() -> dict[str, str]:
    """Versions of Python, hierjax and what it computes with; nothing is imported to find them.

    Examples:
        >>> sorted(versions())[:3]
        ['arviz', 'hierjax', 'jax']
    """
    found = {"hierjax": hierjax.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def devices() -> list[dict[str, Any]]:
    """The devices that JAX sees, the one that it prefers first."""
    import jax

    return [
        {"platform": device.platform, "kind": device.device_kind, "id": device.id}
        for device in jax.devices()
    ]


def environment() -> dict[str, Any]:
    """Versions, machine, device and commits."""
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "device": devices()[0],
        "git": {
            "hierjax": _commit(Path(hierjax.__file__).parents[1], its_own=True),
            "working_directory": _commit(Path.cwd()),
        },
    }


def data_summary(counts: Observations) -> dict[str, Any]:
    """Size of the data and a digest of them, by which changed data are known.

    Examples:
        >>> from hierjax.counts import Counts
        >>> summary = data_summary(Counts([0, 4], [20, 14]))
        >>> summary["units"], summary["successes"], summary["trials"], summary["sha256"][:8]
        (2, 4, 34, 'eb736b88')
    """
    digest = hashlib.sha256()
    for column in (*counts.pair, counts.weights):
        digest.update(b"-" if column is None else np.ascontiguousarray(column).tobytes())
    for texts in (counts.labels, counts.groups):
        listed = [] if texts is None else texts.tolist()
        digest.update("\0".join(map(str, listed)).encode())
    return {"units": len(counts), **counts.totals(), "sha256": digest.hexdigest()}


def _commit(directory: Path, its_own: bool = False) -> str | None:
    """The commit that is checked out, marked where files differ from it; None without one."""
    if its_own and not (directory / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
