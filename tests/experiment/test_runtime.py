"""Settings of the process that the command line makes."""

import os

import pytest

from hierjax.experiment.runtime import _compile_sooner


@pytest.mark.parametrize(
    ("version", "given", "expected"),
    [
        ((0, 10, 2), "", "--xla_cpu_use_fusion_emitters=false"),
        ((0, 10, 2), "--xla_a=1", "--xla_a=1 --xla_cpu_use_fusion_emitters=false"),
        ((0, 10, 2), "--xla_cpu_use_fusion_emitters=true", "--xla_cpu_use_fusion_emitters=true"),
        ((0, 12, 0), "--xla_a=1", "--xla_a=1"),
    ],
)
def test_flags_of_the_compiler_are_added_where_they_are_known(
    monkeypatch, version, given, expected
):
    monkeypatch.setenv("XLA_FLAGS", given)
    _compile_sooner(version)
    assert os.environ["XLA_FLAGS"] == expected
