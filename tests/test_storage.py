"""Fits in files: every field comes back, and files that are something else are refused."""

import json
import os
from dataclasses import replace

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import hierjax as hj
from hierjax import storage
from hierjax.errors import ConfigError, DataError, DataWarning, InferenceError, ModelError
from hierjax.inference.convergence import import_arviz

COUNTS = hj.Counts([0, 1, 3, 9], [10, 9, 12, 40], labels=["a", "b", "ü", "d"])
PROPER = hj.Model(
    hyperprior=hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.TruncatedNormal(5.0, 3.0, low=0.0))
)
KEY = jax.random.key(31)


def with_weights_and_groups():
    with pytest.warns(DataWarning, match="label"):
        counts = hj.Counts([0, 1, 3], [5, 9, 40], ["x", "x", "y"], ["g", "g", "h"], [0.5, 2.0, 1.0])
    return hj.fit(counts, hj.Model(hyperprior=hj.PowerLaw(3.0)), precision="float32")


MAKERS = {
    "quadrature": with_weights_and_groups,
    "numpyro hyperprior": lambda: hj.fit(COUNTS, PROPER, hj.Moments()),
    "maximum": lambda: hj.fit(COUNTS, method=hj.Type2MLE(optimizer="adam")),
    "boundary": lambda: hj.fit(hj.Counts([2] * 20, [10] * 20), method=hj.Type2MLE()),
    "failed": lambda: hj.fit(hj.Counts([0, 0], [5, 5]), method=hj.Type2MLE()),
    "moments": lambda: hj.fit(COUNTS, method=hj.Moments()),
}


@pytest.mark.slow
def test_draws_of_nuts_come_back(tmp_path):
    method = hj.NUTS(chains=2, warmup=30, draws=20)
    fit = hj.fit(COUNTS, method=method, key=KEY, precision="float32")
    again = require_round_trip(fit, tmp_path / "fit.npz")
    np.testing.assert_array_equal(again.draws, fit.draws)
    assert again.summary().to_csv() == fit.summary().to_csv()
    assert set(again.to_arviz()["sample_stats"].data_vars) == set(fit.info["per_draw"])


@pytest.mark.slow
def test_a_loaded_fit_answers_like_the_one_that_was_saved(tmp_path):
    """Checks, influence, updates and replicates need nothing that is not in the file."""
    fit = hj.fit(COUNTS, PROPER)
    fit.save(tmp_path / "fit.npz")
    again = hj.Fit.load(tmp_path / "fit.npz")
    np.testing.assert_array_equal(again.loo_pit().high, fit.loo_pit().high)
    assert again.influence().to_csv() == fit.influence().to_csv()
    assert again.sensitivity().to_csv() == fit.sensitivity().to_csv()
    assert again.pooling() == fit.pooling()
    checks = [f.posterior_predictive(KEY, draws=20).to_csv() for f in (fit, again)]
    assert checks[0] == checks[1]
    rows = {"successes": [1], "trials": [2], "labels": ["a"]}
    one, other = (f.update(rows).posterior.points for f in (fit, again))
    np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def sampled():
    method = hj.Gibbs(chains=2, warmup=50, draws=60, store_units=True, proposal_scales=(0.3, 0.4))
    return hj.fit(COUNTS, PROPER, method, key=KEY)


def require_same(one, other):
    """Equal in value, type, shape and floating type, through dictionaries and tuples."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        for name in one:
            require_same(one[name], other[name])
    elif isinstance(one, tuple) and hasattr(one, "_asdict"):
        assert type(one) is type(other)
        require_same(one._asdict(), other._asdict())
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, strict=True)
    elif isinstance(one, tuple):
        assert list(one) == list(other)
    else:
        assert one == other


def require_round_trip(fit, path):
    fit.save(path)
    assert os.listdir(path.parent) == [path.name]
    again = hj.Fit.load(path)
    assert again.counts == fit.counts
    assert (again.method, again.precision, again.status) == (fit.method, fit.precision, fit.status)
    for name in vars(fit.result):
        require_same(getattr(fit.result, name), getattr(again.result, name))
    return again


@pytest.mark.parametrize("name", MAKERS)
def test_everything_comes_back(name, tmp_path):
    fit = MAKERS[name]()
    again = require_round_trip(fit, tmp_path / "fit.npz")
    if name == "failed":
        assert fit.status == "failed"
        with pytest.raises(InferenceError, match="no maximum"):
            again.summary()
        return
    np.testing.assert_array_equal(again.summary()["median"], fit.summary()["median"])
    assert again.units().to_csv() == fit.units().to_csv()
    point = np.array([-1.0, 2.0])
    assert again.log_posterior(point) == fit.log_posterior(point)


def test_draws_come_back(sampled, tmp_path):
    assert sampled.unit_draws.shape == (2, 60, 4)
    again = require_round_trip(sampled, tmp_path / "fit")
    assert again.units().to_csv() == sampled.units().to_csv()
    assert again.model.hyperprior.mean.concentration1 == 2.0
    assert again.model.hyperprior.concentration.support.lower_bound == 0.0


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "fit.npz"
    path.write_text("something else")
    MAKERS["moments"]().save(path)
    assert hj.Fit.load(str(path)).method == hj.Moments()


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    fit = MAKERS["moments"]()
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigError, match="taken: expected a file to write, found a directory"):
        fit.save(tmp_path / "taken")
    with pytest.raises(ConfigError, match="expected a directory to write it to, found none"):
        fit.save(tmp_path / "none" / "fit")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_write_that_fails_half_way_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "fit"
    path.write_text("old")

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="no space left"):
        MAKERS["moments"]().save(path)
    assert [each.name for each in tmp_path.iterdir()] == ["fit"]
    assert path.read_text() == "old"


def test_distributions_that_cannot_be_made_again_are_refused(tmp_path):
    class Own(dist.Beta):
        pass

    model = hj.Model(hyperprior=hj.MeanConcentration(Own(2.0, 6.0), dist.LogNormal(2.0, 1.0)))
    fit = hj.fit(COUNTS, model, hj.Moments())
    with pytest.raises(ModelError, match=r"save: expected distributions of NumPyro .* found Own"):
        fit.save(tmp_path / "fit.npz")
    assert os.listdir(tmp_path) == []


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "fit.npz"
    MAKERS["moments"]().save(path)
    return path


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.npz: expected a saved fit, found no such file"):
        hj.Fit.load(tmp_path / "none.npz")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_truncated_files_are_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"fit\.npz: .*truncated file"):
        hj.Fit.load(saved)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_damaged_files_are_refused(saved, place):
    content = bytearray(saved.read_bytes())
    start = int(place * len(content))
    content[start : start + 40] = bytes(255 - byte for byte in content[start : start + 40])
    saved.write_bytes(content)
    with pytest.raises(DataError, match=r"fit\.npz"):
        hj.Fit.load(saved)


def rewrite(path, **changes):
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays.pop("header"))) | changes
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def test_files_of_a_later_format_are_refused(saved):
    rewrite(saved, version=7, hierjax="9.9")
    with pytest.raises(DataError, match=r"version 1 or earlier, found 7, written by hierjax 9\.9"):
        hj.Fit.load(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": None}, "version 1 or earlier, found None, written by hierjax 0"),
        ({"version": "1"}, "version 1 or earlier, found '1'"),
        ({"method": {"name": "guesses"}}, r"a damaged one \(KeyError: 'guesses'\)"),
        ({"method": None}, r"a damaged one \(TypeError"),
        ({"status": "fine"}, r"a damaged one \(ValueError: 'fine' is not a valid Status"),
        ({"family": "poisson_gamma"}, "family 'poisson_gamma' is not known"),
        ({"hyperprior": {"kind": "flat"}}, r"a damaged one \(KeyError: 'flat'\)"),
        ({"hyperprior": {"kind": "power_law", "exponent": 1.0}}, r"a damaged one \(ModelError"),
    ],
)
def test_headers_that_make_no_fit_are_refused_in_a_line(saved, changes, message):
    rewrite(saved, **changes)
    with pytest.raises(DataError, match=rf"fit\.npz: expected .*{message}") as error:
        hj.Fit.load(saved)
    assert "\n" not in str(error.value)


def test_missing_arrays_are_refused(saved):
    with np.load(saved) as archive:
        arrays = dict(archive)
    kept = {name: value for name, value in arrays.items() if not name.startswith("posterior")}
    np.savez(saved, **kept)
    with pytest.raises(DataError, match=r"a damaged one .*the posterior is missing"):
        hj.Fit.load(saved)


def test_other_archives_are_refused(saved, tmp_path):
    rewrite(saved, format="other")
    with pytest.raises(DataError, match="found another archive"):
        hj.Fit.load(saved)
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, x=np.zeros(3))
    with pytest.raises(DataError, match="found another or a truncated file"):
        hj.Fit.load(foreign)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(DataError, match="found another or a truncated file"):
        hj.Fit.load(tmp_path / "array.npy")
    with pytest.raises(DataError, match="found another or a truncated file"):
        hj.Fit.load(tmp_path)


@pytest.fixture(params=["in memory", "from netCDF"])
def data(request, sampled, tmp_path):
    """The draws as ArviZ has them, and as they come back from its file."""
    container = sampled.to_arviz()
    if request.param == "in memory":
        yield container
        return
    path = str(tmp_path / "draws.nc")
    container.to_netcdf(path, engine="h5netcdf")
    again = import_arviz().from_netcdf(path, engine="h5netcdf")
    yield again
    again.close()


def test_arviz_is_given_every_variable_and_netcdf_gives_them_back(data, sampled):
    posterior = data["posterior"]
    names = {"logit_mean", "log_concentration", "mean", "concentration", "alpha", "beta", "theta"}
    assert set(posterior.data_vars) == names
    assert posterior["alpha"].dims == ("chain", "draw")
    assert posterior["theta"].dims == ("chain", "draw", "unit")
    assert posterior["unit"].values.tolist() == ["a", "b", "ü", "d"]
    np.testing.assert_array_equal(posterior["theta"].values, sampled.unit_draws)
    np.testing.assert_array_equal(posterior["logit_mean"].values, sampled.draws[..., 0])
    total = posterior["alpha"].values + posterior["beta"].values
    np.testing.assert_allclose(total, np.exp(sampled.draws[..., 1]), rtol=1e-14)
    np.testing.assert_allclose(
        posterior["alpha"].values / total, posterior["mean"].values, rtol=1e-14
    )
    stats = data["sample_stats"]
    assert set(stats.data_vars) == set(sampled.info["per_draw"])
    for name, value in sampled.info["per_draw"].items():
        np.testing.assert_array_equal(stats[name].values, value)
    observed = data["observed_data"]
    assert observed["successes"].dims == ("unit",)
    assert observed["successes"].values.tolist() == [0, 1, 3, 9]
    assert observed["trials"].values.tolist() == [10, 9, 12, 40]


def test_arviz_is_given_truth_values_but_nothing_without_draws_and_chains(sampled):
    diverging = np.zeros((2, 60), bool)
    info = {"per_draw": {"diverging": diverging, "scale": np.ones(2)}}
    fit = replace(sampled, result=replace(sampled.result, info=info, unit_draws=None))
    data = fit.to_arviz()
    assert list(data["sample_stats"].data_vars) == ["diverging"]
    assert data["sample_stats"]["diverging"].dtype == bool
    assert "theta" not in data["posterior"].data_vars


def test_methods_without_draws_have_nothing_for_arviz():
    with pytest.raises(InferenceError, match="quadrature: no chains to give ArviZ"):
        storage.to_arviz(MAKERS["quadrature"]())
