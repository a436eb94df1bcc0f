"""Settings for all tests."""

import gc
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every run; no deadline, because a first call may compile.
settings.register_profile("hierjax", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("hierjax")

_CACHE = "HIERJAX_TESTS_CACHE"
# Half of what Linux gives by default; beyond it XLA crashes while it compiles.
_MOST_MAPPINGS = 32_000
# Pages whose examples are batches, studies and fits of every family.
_SLOW_PAGES = ("batches.md", "families.md", "groups.md", "studies.md")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in _SLOW_PAGES:
            item.add_marker("slow")


# XLA's older emitters of loops, which the command line asks for too: they compile a third faster.
if version("jax").startswith("0.10."):
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")


def pytest_configure(config):
    """Workers and the commands they run share what they compile, for as long as the tests run."""
    if _CACHE not in os.environ:
        os.environ[_CACHE] = config.stash_cache = tempfile.mkdtemp(prefix="hierjax-tests-")
    if config.option.markexpr == "not slow":
        # Most of their time is compiling: unoptimised code takes a quarter off. Slow tests, which
        # run for longer, compile as users do.
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ[_CACHE]
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_unconfigure(config):
    if cache := getattr(config, "stash_cache", None):
        del os.environ[_CACHE]
        shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture(autouse=True, scope="module")
def _few_mappings():
    """Lets go of compiled code before its memory mappings are more than Linux gives a process."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_text().splitlines()) > _MOST_MAPPINGS:
        # Imported here, as JAX reads where compiled code is kept when it is imported.
        import jax

        jax.clear_caches()
        gc.collect()
