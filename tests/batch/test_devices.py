"""The same draws on one, two and eight devices, which a process is made to have."""

import os
import subprocess
import sys

import numpy as np
import pytest

import hierjax as hj
from hierjax.batch import devices
from hierjax.batch.devices import places
from hierjax.batch.plan import Plan
from hierjax.errors import ConfigError

PROGRAM = """
import sys
import jax
import numpy as np
import hierjax as hj

rng = np.random.default_rng(0)
trials = rng.integers(5, 40, (70, 12))
data = hj.DataSets(rng.binomial(trials, rng.beta(2.0, 12.0, trials.shape)), trials)
key = jax.random.key(1)
fits = {
    "gibbs": hj.fit_batch(data, method=hj.Gibbs(chains=2, warmup=20, draws=30), key=key, draws=60),
    "quadrature": hj.fit_batch(data, key=key, draws=20, rates=(3,), chunk=16),
}
chains = hj.CollapsedGibbs(chains=1024, warmup=20, draws=20)
alone = {"alone": hj.fit(data.counts(0), method=chains, key=key).draws}
arrays = {f"{name}_{part}": getattr(fit, part) for name, fit in fits.items()
          for part in ("mean", "low", "draws", "rate_draws", "status")
          if getattr(fit, part) is not None}
np.savez(sys.argv[1], devices=len(jax.devices()), **arrays, **alone)
"""


def drawn_on(devices, path):
    """What the program draws in a process with so many devices."""
    given = os.environ.get("XLA_FLAGS", "")
    flags = f"{given} --xla_force_host_platform_device_count={devices}".strip()
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, str(path)]
    subprocess.run(command, env=environment, check=True, timeout=600)
    return dict(np.load(path))


@pytest.mark.slow
def test_draws_do_not_depend_on_the_number_of_devices(tmp_path):
    found = {n: drawn_on(n, tmp_path / f"{n}.npz") for n in (1, 2, 8)}
    assert [int(arrays.pop("devices")) for arrays in found.values()] == [1, 2, 8]
    for arrays in found.values():
        assert arrays.keys() == found[1].keys()
        for name, values in arrays.items():
            if name in ("gibbs_draws", "alone") or name.endswith("status"):
                np.testing.assert_array_equal(values, found[1][name], err_msg=name)
            else:  # sums may be taken in another order
                np.testing.assert_allclose(values, found[1][name], rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("method", [hj.Quadrature(), hj.Gibbs(), hj.NUTS()])
def test_chunks_are_what_devices_can_share(method):
    data = hj.DataSets(np.ones((1000, 3), int), np.full((1000, 3), 2))
    for chunk in (None, 1, 100, 999):
        chosen = places(Plan(method), data, chunk)
        assert chosen.chunk % (chosen.together * len(chosen.devices)) == 0
        assert chosen.together % chosen.answered == 0
        assert chosen.chunk >= (chunk or 1)


@pytest.mark.parametrize(
    "method", [hj.Quadrature(), hj.Gibbs(), hj.NUTS(), hj.Gibbs(draws=300_000, chains=2)]
)
def test_what_is_in_work_fits_into_memory(method, monkeypatch):
    """Data sets of few units and of many: each has few nodes, or few data sets are in work."""
    monkeypatch.setattr(devices, "host_memory", lambda: 1 << 30)
    data = hj.DataSets(np.ones((1000, 3), int), np.full((1000, 3), 2))
    for few in (True, False):
        plan = Plan(method, few=few)
        for units in (3, 30, 100):
            size_class = hj.SizeClass(units, units, (0, 0, 0), few)
            chosen = places(plan, data, None, size_class)
            nodes = chosen.answered * units * plan.components * plan.nodes
            # A component's node in float32, twice; two coordinates in double precision.
            assert chosen.threads * nodes * 8 <= 1 << 29
            if not isinstance(method, hj.Quadrature):
                drawn = chosen.chunk * method.chains * method.draws * 2 * 8
                sampled = chosen.together * method.chains * units * 8
                assert chosen.threads * (drawn + sampled) <= 1 << 29
        with pytest.raises(ConfigError, match=r"expected each to fit into 1\.0 GiB"):
            places(plan, data, None, hj.SizeClass(10**6, 10**6, (0, 0, 0), few))
