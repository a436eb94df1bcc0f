"""The chunked scan that samplers share: draws, progress and checkpoints of a small kernel."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from compilation import compilations
from interruption import Interruption, interrupting
from monte_carlo import exact

import hierjax as hj
from hierjax.errors import InferenceError
from hierjax.inference import sampling
from hierjax.inference.result import Problem
from hierjax.inference.sampling import overdispersed_starts, sample

RATS = hj.datasets.rat_tumors()
KEY = jax.random.key(0)


@dataclass(frozen=True)
class Walk:
    """A random walk of two chains, whose state holds a key, as NumPyro's does."""

    size: float = 1.0
    chains: int = 2

    def init(self, data, key):
        return jnp.zeros(self.chains, jnp.float32), jax.random.split(key, self.chains)

    def step(self, data, key, state, index):
        position, keys = state
        from_state = jax.vmap(jax.random.normal)(keys)
        position = position + self.size * (data + from_state + jax.random.normal(key))
        keys = jax.vmap(lambda k: jax.random.fold_in(k, 1))(keys)
        return (position, keys), {"position": position, "index": index}


DRIFT = jnp.float32(0.5)


def problem(**settings):
    return Problem(hj.Model(), RATS, np.float32, key=settings.pop("key", KEY), **settings)


def walk(steps=130, chunk=50, kernel=None, data=DRIFT, groups=1, **settings):
    return sample(kernel or Walk(), data, problem(**settings), steps, chunk, groups)


def interrupted(path, after=2, **settings):
    """Runs until the progress has been reported a number of times."""
    progress, calls = interrupting(after)
    with pytest.raises(Interruption):
        walk(progress=progress, checkpoint=path, **settings)
    return calls


def test_steps_are_those_of_a_plain_loop():
    kernel = Walk()
    key_start, key_steps = jax.random.split(KEY)
    state, expected = kernel.init(DRIFT, key_start), []
    for index in range(30):
        key = jax.random.fold_in(key_steps, index)
        state, output = kernel.step(DRIFT, key, state, index)
        expected.append(output["position"])
    outputs = walk(steps=30)
    # Compiled and uncompiled code may differ in the last digit.
    np.testing.assert_allclose(outputs["position"], np.stack(expected), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(outputs["index"], np.arange(30))


@pytest.mark.parametrize("chunk", [1, 26, 130, 10_000])
def test_draws_do_not_depend_on_the_chunk(chunk):
    outputs, expected = walk(chunk=chunk), walk()
    assert outputs["position"].shape == (130, 2)
    np.testing.assert_array_equal(outputs["position"], expected["position"])


def test_progress_is_reported_after_every_chunk():
    calls = []
    walk(progress=lambda *call: calls.append(call))
    assert calls == [(50, 130), (100, 130), (130, 130)]


def test_an_interrupted_run_goes_on_to_the_same_draws(tmp_path):
    path, calls = tmp_path / "walk.npz", []
    assert interrupted(path) == [(50, 130), (100, 130)]
    resumed = walk(progress=lambda *call: calls.append(call), checkpoint=path)
    assert calls == [(130, 130)]
    for name, values in walk().items():
        np.testing.assert_array_equal(resumed[name], values)
    assert [file.name for file in tmp_path.iterdir()] == ["walk.npz"]


@dataclass(frozen=True)
class Pack(Walk):
    """Four chains, in groups."""

    chains: int = 4

    def step(self, data, key, state, index):
        state, output = super().step(data, key, state, index)
        return state, {"position": output["position"]}


def test_groups_of_chains_are_walks_of_their_own(tmp_path):
    path, pack = tmp_path / "pack.npz", {"kernel": Pack(), "groups": 2}
    positions = walk(**pack)["position"]
    assert positions.shape == (130, 4)
    assert np.unique(positions[-1]).size == 4
    for group, key in enumerate(jax.random.split(KEY)):
        alone = walk(kernel=Pack(chains=2), key=key)["position"]
        np.testing.assert_array_equal(positions[:, 2 * group : 2 * group + 2], alone)
    np.testing.assert_array_equal(walk(chunk=26, **pack)["position"], positions)
    interrupted(path, **pack)
    np.testing.assert_array_equal(walk(checkpoint=path, **pack)["position"], positions)


def test_a_run_interrupted_before_its_first_chunk_starts_again(tmp_path):
    path = tmp_path / "walk.npz"
    np.testing.assert_array_equal(walk(checkpoint=path)["position"], walk()["position"])


def test_a_killed_write_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "walk.npz"
    interrupted(path, after=1)
    written = path.read_bytes()

    def killed(file, **arrays):
        file.write(b"half a file")
        raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", killed)
        with pytest.raises(Interruption):
            walk(checkpoint=path)
    assert path.read_bytes() == written
    np.testing.assert_array_equal(walk(checkpoint=path)["position"], walk()["position"])


@pytest.mark.parametrize(
    "other",
    [
        {"key": jax.random.key(1)},
        {"data": jnp.float32(0.25)},
        {"kernel": Walk(size=2.0)},
        {"chunk": 25},
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, other):
    path = tmp_path / "walk.npz"
    interrupted(path)
    with pytest.raises(InferenceError, match=r"walk.npz: the checkpoint belongs to another run"):
        walk(checkpoint=path, **other)


def test_distributions_with_equal_parameters_are_told_apart():
    identities = {
        sampling._identity(Walk(), hj.Shapes(alpha, dist.Exponential(1.0)), KEY, 50)
        for alpha in (dist.Gamma(2.0, 3.0), dist.InverseGamma(2.0, 3.0), dist.Gamma(3.0, 2.0))
    }
    assert len(identities) == 3


def test_precisions_are_told_apart():
    one, other = (
        sampling._identity(Walk(), np.ones(3, dtype), KEY, 50) for dtype in (np.float32, np.float64)
    )
    assert one != other


@pytest.mark.parametrize("content", [b"", b"position,1.0\n", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "walk.npz"
    path.write_bytes(content)
    with pytest.raises(InferenceError, match="expected a checkpoint, found another or a truncated"):
        walk(checkpoint=path)


def test_a_truncated_checkpoint_and_another_archive_are_refused(tmp_path):
    path = tmp_path / "walk.npz"
    interrupted(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InferenceError, match="expected a checkpoint"):
        walk(checkpoint=path)
    np.savez(path, draws=np.zeros(3))
    with pytest.raises(InferenceError, match="expected a checkpoint"):
        walk(checkpoint=path)


def test_a_second_run_compiles_nothing():
    walk()
    with compilations() as found:
        walk(key=jax.random.key(3), data=jnp.float32(-1.0))
    assert found == []


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_starts_are_overdispersed(precision):
    starts = all_starts(RATS, precision)
    reference = exact().summary()
    # Three conditional standard deviations at a point near the mode: wider than the posterior.
    assert np.all(starts.std(axis=0) > 2 * reference["sd"][:2])
    assert np.all(starts.std(axis=0) < 4 * reference["sd"][:2])
    assert np.all(np.abs(starts.mean(axis=0) - reference["median"][:2]) < reference["sd"][:2])


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(
    ("successes", "trials"),
    [([0, 0, 0, 0, 1], [40, 40, 40, 40, 40]), ([50, 50, 51, 49], [60, 60, 60, 60])],
)
def test_starts_of_flat_posteriors_stay_near(successes, trials, precision):
    starts = all_starts(hj.Counts(successes, trials), precision)
    assert np.all(np.isfinite(starts))
    # At most three in standard deviation, however flat; that of 2,000 draws errs by 1.6 %.
    assert np.all((starts.std(axis=0) > 0.1) & (starts.std(axis=0) < 3 * 1.07))


def all_starts(counts, precision):
    with jax.enable_x64(precision == "float64"):
        tally = jax.tree.map(jnp.asarray, hj.Tally.of(counts).arrays(np.dtype(precision).type))
        starts = np.asarray(overdispersed_starts(hj.Model(), tally, KEY, 2000))
    assert starts.dtype == precision
    return starts
