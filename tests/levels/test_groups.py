"""What three levels say: shrinkage in two stages, limits, edges, and two precisions."""

import jax
import numpy as np
import pytest
from simulated import simulated

import hierjax as hj
from hierjax import families
from hierjax.errors import ConfigError, DataError, InferenceError, ModelError
from hierjax.levels import units as levels_units

FAMILIES = ("beta_binomial", "gamma_poisson", "normal_normal")

PROPER = hj.GroupHyperprior((0.0, 5.0), 1.0, (4.0, 3.0), 1.0)


@pytest.fixture(scope="module", params=FAMILIES)
def fitted(request):
    return hj.fit_groups(simulated(request.param, 8, 6))


def test_every_family_converges_and_its_labs_sum_to_one(fitted):
    assert fitted.status == "converged", fitted.message
    assert fitted.result.info["lab_loss"] < 0.01
    assert fitted.result.info["error_estimate"] < 0.2


def test_units_are_between_their_raw_value_and_their_lab(fitted):
    units, groups = fitted.units(), fitted.groups()
    lab = groups["mean"][np.searchsorted(groups["group"], units["group"])]
    raw, mean = units["raw_rate"], units["mean"]
    apart = np.abs(raw - lab) > 0.2 * np.abs(raw - lab).max()
    share = (mean - raw)[apart] / (lab - raw)[apart]
    assert np.all((share > 0) & (share < 1))
    assert np.all((units["shrinkage"] > 0) & (units["shrinkage"] < 1))


def test_quantiles_are_in_order_and_hold_the_mean(fitted):
    for table in (fitted.units(), fitted.groups()):
        assert np.all(table["low"] < table["median"])
        assert np.all(table["median"] < table["high"])
        assert np.all((table["mean"] > table["low"]) & (table["mean"] < table["high"]))
    summary = fitted.summary()
    assert np.all(summary["low"] < summary["median"])
    assert np.all(summary["sd"] > 0)


def test_a_new_unit_without_news_is_its_lab(fitted):
    nothing = fitted.model.family.on_host.nothing
    label = fitted.labs.names[2]
    predicted = fitted.predict(*nothing, group=label)
    assert predicted["mean"][0] == pytest.approx(fitted.groups()["mean"][2], rel=1e-4)
    assert np.isnan(predicted["raw_rate"][0])
    new, place_of = fitted.predict(*nothing), fitted.model.family.host_place_of
    # By places: intervals of rates are shorter where rates are lower.
    widths = [place_of(x["high"]) - place_of(x["low"]) for x in (new, predicted)]
    assert widths[0][0] > widths[1][0]


def units_by_few_nodes(fit, monkeypatch):
    """The units, of which so many are many, and whether each pass over them took all nodes."""
    passes, original = [], levels_units._worked_out

    def worked_out(family, mixtures, few, units, levels):
        passes.append(few is mixtures)
        return original(family, mixtures, few, units, levels)

    monkeypatch.setattr(levels_units, "_BATCHES", (32,))
    monkeypatch.setattr(levels_units, "_worked_out", worked_out)
    return fit.units(), passes


def test_many_units_of_well_known_labs_need_few_nodes(monkeypatch):
    fit = hj.fit_groups(simulated("gamma_poisson", 4, 40))
    expected = fit.units()
    found, passes = units_by_few_nodes(fit, monkeypatch)
    assert passes == [False]
    for column in ("mean", "sd", "shrinkage"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-12)
    for column in ("low", "median", "high"):
        off = (found[column] - expected[column]) / expected["sd"]
        np.testing.assert_allclose(off, 0.0, atol=1e-3)


@pytest.mark.slow
def test_units_that_few_nodes_are_too_few_for_take_all(fitted, monkeypatch):
    expected = fitted.units()
    found, passes = units_by_few_nodes(fitted, monkeypatch)
    assert passes == [False, True]
    for column in ("low", "median", "high"):
        off = (found[column] - expected[column]) / expected["sd"]
        np.testing.assert_allclose(off, 0.0, atol=1e-3)


@pytest.fixture(scope="module")
def example():
    labs = ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    return hj.fit_groups(hj.Counts([1, 2, 1, 5, 6, 4, 2, 3, 4], [20] * 9, groups=labs))


def test_a_new_unit_of_a_new_lab_has_the_quantiles_of_draws(example):
    """Few labs: some of the population of labs has all its units at 0 or at 1."""
    generator, top = np.random.default_rng(7), example.result.top
    node = generator.choice(top.weights.size, 40_000, p=top.weights.ravel())
    at = np.unravel_index(node, top.weights.shape)
    u, w = (generator.normal(*block.nodes[i].T) for block, i in zip(top.blocks, at, strict=True))
    rate = generator.beta(np.exp(w) / (1 + np.exp(-u)), np.exp(w) / (1 + np.exp(u)))
    new = example.predict(0, 0)
    for column, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
        # Four standard errors, and what quantiles are off by.
        error = 4 * np.sqrt(level * (1 - level) / len(rate)) + 1e-3
        assert np.mean(rate < new[column][0]) == pytest.approx(level, abs=error)
    assert new["mean"][0] == pytest.approx(rate.mean(), abs=4 * rate.std() / 200)


@pytest.mark.parametrize("group", [None, "a"])
def test_a_new_unit_is_what_a_fit_with_it_would_say(example, group):
    data = example.data
    again = hj.fit_groups(
        hj.Counts([*data.successes, 4], [*data.trials, 14], groups=[*data.groups, group or "d"])
    ).units()
    new = example.predict(4, 14, group=group)
    for column in ("mean", "sd", "low", "median", "high"):
        # What rules of the two fits, whose nodes differ, are off by.
        assert new[column][0] == pytest.approx(again[column][9], abs=0.005 * again["sd"][9])


def test_new_units_are_each_by_itself_and_in_order(example):
    together = example.predict([4, 0, 9, 4], [14, 0, 9, 14])
    alone = example.predict(9, 9)
    assert together["mean"][0] == together["mean"][3]
    assert together["mean"][1] == example.predict(0, 0)["mean"][0]
    assert together["mean"][2] == pytest.approx(alone["mean"][0], rel=1e-9)


def test_a_unit_unlike_all_others_is_fitted_again(example):
    data = example.data.append("new", 1000, 1000, group="d")
    again = hj.fit_groups(data, hj.GroupModel(hyperprior=PROPER))
    assert again.status == "converged", again.message
    fitted = hj.fit_groups(example.data, hj.GroupModel(hyperprior=PROPER))
    new = fitted.predict([1000, 4], [1000, 14])
    units = again.units()
    for column in ("mean", "sd", "low", "median", "high"):
        assert new[column][0] == pytest.approx(units[column][9], abs=0.01 * units["sd"][9])
    assert new["mean"][1] == pytest.approx(fitted.predict(4, 14)["mean"][0], rel=1e-6)


@pytest.mark.slow
def test_an_estimate_is_fitted_again_too(example):
    fitted = hj.fit_groups(example.data, method=hj.GroupType2MLE())
    new = fitted.predict(400, 400)
    again = hj.fit_groups(
        example.data.append("new", 400, 400, group="d"), method=hj.GroupType2MLE()
    ).units()
    assert new["mean"][0] == pytest.approx(again["mean"][9], abs=0.01 * again["sd"][9])


def test_a_unit_too_unlike_all_others_is_refused(example):
    with pytest.raises(InferenceError, match=r"new unit of 1e\+09 and 1e\+09: it is too unlike"):
        example.predict(10**9, 10**9)


@pytest.mark.slow
def test_a_small_lab_shrinks_to_the_population_more_than_a_large_one():
    rest = simulated("beta_binomial", 10, 20, seed=3)
    shrunk = []
    for size in (1, 4, 16, 64):
        y, n = np.full(size, 24), np.full(size, 30)
        data = hj.Counts(
            np.concatenate([rest.successes, y]),
            np.concatenate([rest.trials, n]),
            groups=[*rest.groups, *["new"] * size],
        )
        groups = hj.fit_groups(data).groups()
        shrunk.append(groups["mean"][list(groups["group"]).index("new")])
    assert np.all(np.diff(shrunk) > 0)
    assert shrunk[-1] == pytest.approx(0.8, abs=0.03)


def test_labs_alike_give_the_two_level_answer():
    """A tight hyperprior of both standard deviations is one population under its hyperprior."""
    data = simulated("beta_binomial", 4, 8, seed=5)
    center, sd = (-1.0, 3.0), (1.0, 1.0)
    prior = hj.GroupHyperprior((center[0], sd[0]), 1e-4, (center[1], sd[1]), 1e-4)
    three = hj.fit_groups(data, hj.GroupModel(hyperprior=prior))
    u = np.linspace(-4, 2, 301)
    w = np.linspace(-3, 9, 241)
    family = families.FAMILIES["beta_binomial"]
    tally = family.tally(*data.pair)
    with jax.enable_x64(True):
        points = np.stack(np.meshgrid(u, w, indexing="ij"), axis=-1).reshape(-1, 2)
        logs = jax.jit(
            jax.vmap(lambda eta: family.log_marginal_tally(tally, family.constrain(eta)))
        )(points)
    away = (points - center) / np.array(sd)
    logs = np.asarray(logs) - 0.5 * np.sum(away**2, axis=1)
    weights = np.exp(logs - logs.max())
    mean = weights @ points / weights.sum()
    evidence = np.log(weights.sum() * (u[1] - u[0]) * (w[1] - w[0]) / (2 * np.pi)) + logs.max()
    found, _ = three.result.top.moments()
    np.testing.assert_allclose(found[[0, 2]], mean, atol=2e-3)
    assert three.result.info["log_evidence"] == pytest.approx(evidence, abs=2e-3)
    assert three.result.info["log_evidence_one_population"] == pytest.approx(evidence, abs=1e-4)
    assert abs(three.evidence["log_bayes_factor"][1]) < 2e-3


def test_evidence_speaks_for_labs_that_differ():
    apart = hj.fit_groups(simulated("beta_binomial", 12, 10, seed=1, spread=(1.0, 0.5)))
    alike = hj.fit_groups(simulated("beta_binomial", 12, 10, seed=1, spread=(0.0, 0.0)))
    assert apart.evidence["log_bayes_factor"][1] > 5
    assert alike.evidence["log_bayes_factor"][1] < 0


def test_type2_mle_reports_labs_that_do_not_differ():
    data = simulated("beta_binomial", 12, 10, seed=1, spread=(0.0, 0.0))
    found = hj.fit_groups(data, method=hj.GroupType2MLE())
    assert found.status == "boundary"
    assert "labs do not differ in" in found.message
    summary = found.summary()
    zero = summary["mean"][1::2] == 0
    assert zero.any()
    assert np.isnan(summary["sd"][1::2][zero]).all()
    assert np.isfinite(found.groups()["mean"]).all()


@pytest.mark.slow
def test_type2_mle_is_a_maximum_with_standard_errors():
    data = simulated("gamma_poisson", 40, 20, seed=2)
    found = hj.fit_groups(data, method=hj.GroupType2MLE())
    assert found.status == "converged"
    posterior = hj.fit_groups(data).summary()
    summary = found.summary()
    np.testing.assert_allclose((summary["mean"] - posterior["mean"]) / posterior["sd"], 0, atol=0.8)
    np.testing.assert_allclose(summary["sd"] / posterior["sd"], 1, atol=0.4)


@pytest.mark.slow
def test_sizes_from_1_to_100_000_and_labs_without_interior_counts():
    generator = np.random.default_rng(4)
    sizes = (1, 1, 3, 100, 100_000)
    rate = generator.beta(4, 12, sum(sizes))
    y = generator.binomial(20, rate)
    y[:2] = 0, 20
    y[2:5] = 0
    data = hj.Counts(y, np.full(len(y), 20), groups=np.repeat(list("abcde"), sizes))
    found = hj.fit_groups(data)
    assert found.status == "converged", found.message
    groups = found.groups()
    assert groups["units"].tolist() == list(sizes)
    assert groups["mean"][4] == pytest.approx(0.25, abs=0.005)
    assert groups["concentration_median"][4] == pytest.approx(16, rel=0.05)
    assert groups["mean"][0] < groups["mean"][4] < groups["mean"][1]
    assert groups["sd"][0] > groups["sd"][3] > groups["sd"][4]


@pytest.mark.parametrize(
    "family",
    ["beta_binomial", *(pytest.param(x, marks=pytest.mark.slow) for x in FAMILIES[1:])],
)
def test_one_unit_a_lab(family):
    found = hj.fit_groups(simulated(family, 15, 1))
    assert found.status == "converged", found.message
    assert len(found.units()) == 15


def test_a_single_group_falls_back_and_says_so():
    data = hj.Counts([1, 4, 3], [10, 12, 9], groups=["only"] * 3)
    found = hj.fit_groups(data)
    assert isinstance(found, hj.Fit)
    assert "one group (only): the two-level model was fitted" in found.message


def test_two_precisions_agree():
    data = simulated("beta_binomial", 8, 10, seed=6)
    double, single = (
        hj.fit_groups(data, precision=precision) for precision in ("float64", "float32")
    )
    a, b = double.summary(), single.summary()
    np.testing.assert_allclose((a["mean"] - b["mean"]) / a["sd"], 0, atol=0.01)
    np.testing.assert_allclose(a["sd"] / b["sd"], 1, atol=0.01)


def test_bad_input_is_named():
    data = hj.Counts([1, 4, 3], [10, 12, 9])
    with pytest.raises(DataError, match="expected the group of every unit"):
        hj.fit_groups(data)
    grouped = hj.Counts([1, 4, 3], [10, 12, 9], groups=["a", "a", "b"])
    with pytest.raises(ModelError, match="expected beta_binomial"):
        hj.fit_groups(grouped, hj.GroupModel("gamma_poisson"))
    with pytest.raises(ConfigError, match="family: expected one of"):
        hj.GroupModel("poisson")
    with pytest.raises(ConfigError, match="location_spread: expected a positive scale"):
        hj.GroupHyperprior(location_spread=0.0)
    with pytest.raises(DataError, match="found 'z'"):
        hj.fit_groups(grouped).predict(1, 2, group="z")


@pytest.mark.slow
def test_an_estimate_that_misses_a_lab_says_so():
    """A lab so far from all others that nothing is left of its likelihood where they are."""
    generator = np.random.default_rng(4)
    center = np.append(generator.normal(0, 0.1, 60), 10.0)
    lab = np.repeat(np.arange(61), 10)
    values = generator.normal(center[lab], 0.12)
    data = hj.Measurements(values, np.full(len(lab), 0.05), groups=np.char.mod("%02d", lab))
    fitted = hj.fit_groups(data, method=hj.GroupType2MLE())
    assert (fitted.status, fitted.message.split(":")[0]) == (
        "not_converged",
        "group '60' is too unlike the others",
    )
    assert np.isnan(fitted.groups()["mean"][-1])
