"""The package's names, and what importing it does not do."""

import subprocess
import sys

import pytest

import hierjax as hj


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, hierjax; dir(hierjax); "
        "print([m for m in ('jax', 'numpy', 'numpyro', 'arviz', 'matplotlib') if m in sys.modules])"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("name", hj.__all__)
def test_every_public_name_resolves_to_something_documented(name):
    assert getattr(hj, name).__doc__
    assert getattr(hj, name) is getattr(hj, name)


def test_dir_lists_the_public_names_once():
    assert sorted(dir(hj)) == sorted([*hj.__all__, "__version__"])
    assert len(set(hj.__all__)) == len(hj.__all__)


def test_unknown_names_are_missing_attributes():
    with pytest.raises(AttributeError, match="module 'hierjax' has no attribute 'Posterior'"):
        _ = hj.Posterior


def test_a_star_import_brings_what_is_listed():
    names: dict[str, object] = {}
    exec("from hierjax import *", names)
    assert {name for name in names if name != "__builtins__"} == set(hj.__all__)
