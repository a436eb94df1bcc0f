"""Configurations of studies: defaults, changes from the command line, errors that name the key."""

import copy

import pytest

from hierjax import inference
from hierjax.datasets.populations import BetaPopulation, TwoClusters
from hierjax.datasets.trials import ListedTrials, UniformTrials
from hierjax.errors import ConfigError
from hierjax.experiment.config import load, load_counts, resolved, validated
from hierjax.experiment.kinds import KINDS, json_schema, schema_of
from hierjax.experiment.study.simulation_schema import listed

BETA = {"kind": "beta", "alpha": 2.3, "beta": 14}
SIMULATE = {
    "population": BETA,
    "units": [10, 70],
    "trials": {"kind": "uniform", "low": 10, "high": 50},
}
COVERAGE = {
    "kind": "coverage",
    "simulate": SIMULATE,
    "methods": [{"method": "type2_mle"}, {"method": "quadrature"}],
}
PROPER = {
    "kind": "shapes",
    "alpha": {"distribution": "HalfNormal", "scale": 4},
    "beta": {"distribution": "HalfNormal", "scale": 9},
}
CALIBRATION = {
    "kind": "calibration",
    "model": {"hyperprior": PROPER},
    "simulate": {"units": 10, "trials": {"kind": "fixed", "trials": 20}},
    "methods": [{"method": "quadrature"}],
}
COMPARISON = {
    "kind": "comparison",
    "simulate": {**SIMULATE, "units": 70},
    "methods": [{"method": "quadrature"}],
}


def checked(given, *settings):
    return validated(copy.deepcopy(given), "c.yaml", settings)


def refused(given, *settings):
    with pytest.raises(ConfigError) as caught:
        checked(given, *settings)
    return str(caught.value)


def test_defaults_are_written_out():
    config = checked(COVERAGE)
    assert (config.data_sets, config.level, config.precision) == (1000, 0.9, "float64")
    assert config.model.hyperprior.exponent == 2.5
    plain = resolved(config)
    assert [entry["name"] for entry in plain["methods"]] == ["type2_mle", "quadrature"]
    assert plain["methods"][0]["empirical_bayes"] == "plug_in"
    assert plain["methods"][0]["share"] == 1.0
    assert "like" not in plain
    assert resolved(validated(plain, "again")) == plain


def test_quadrature_is_as_fine_as_many_data_sets_need():
    settings = checked(COVERAGE).methods[1].settings()
    assert settings == inference.Quadrature(rows=24, columns=16, tolerance=0.03)
    finer = checked(COVERAGE, "methods[1].rows=72").methods[1].settings()
    assert finer == inference.Quadrature(rows=72, columns=16, tolerance=0.03)


def test_populations_and_trials_are_built():
    simulate = checked(COVERAGE).simulate
    assert simulate.population.build() == BetaPopulation(2.3, 14.0)
    assert simulate.trials.build() == UniformTrials(10, 50)
    two = "{kind: two_clusters, low: 0.1, high: 0.4, share_high: 0.2, concentration: 50}"
    changed = checked(COVERAGE, f"simulate.population=[{BETA}, {two}]".replace("'", "")).simulate
    assert listed(changed.population)[1].build() == TwoClusters(0.1, 0.4, 0.2, 50.0)
    many = checked(COVERAGE, "simulate.trials={kind: listed, values: [20, 14]}").simulate
    assert many.trials.build() == ListedTrials((20, 14))


def test_a_corrected_estimate_has_a_name_of_its_own():
    entry = {"method": "type2_mle", "empirical_bayes": "corrected"}
    config = checked({**COVERAGE, "methods": [{"method": "type2_mle"}, entry]})
    assert [each.display_name for each in config.methods] == ["type2_mle", "type2_mle_corrected"]
    assert [each.correction for each in config.methods] == ["plug_in", "corrected"]


@pytest.mark.parametrize(
    ("share", "size"), [(1, 10_000), (0.05, 500), (0.1 + 0.2, 3000), (1e-9, 1)]
)
def test_a_method_may_be_given_a_share(share, size):
    config = checked(COVERAGE, f"methods[0].share={share!r}", "data_sets=10000")
    assert config.methods[0].size(config.data_sets) == size


def test_data_to_be_like(tmp_path):
    (tmp_path / "a.csv").write_text("y,n\n1,9\n4,9\n")
    text = "kind: coverage\nlike: {path: a.csv, successes: y, trials: n}\n"
    (tmp_path / "c.yaml").write_text(text + "methods: [{method: moments}]\n")
    config = load(tmp_path / "c.yaml")
    assert config.like.path == str(tmp_path / "a.csv")
    assert len(load_counts(config)) == 2
    assert "simulate" not in resolved(config)


@pytest.mark.parametrize("given", [COVERAGE, CALIBRATION, COMPARISON])
def test_other_families_are_refused(given):
    message = refused(given, "model.family=gamma_poisson")
    assert message.endswith(
        "model.family=gamma_poisson: expected beta_binomial, found 'gamma_poisson'"
    )
    message = refused(given, "model.hyperprior={kind: mean_scale}")
    assert "model.hyperprior.kind: expected one of mean_concentration, power_law, shapes" in message


def test_every_kind_has_a_schema():
    schema = json_schema()
    assert [branch["$ref"].rsplit("/", 1)[1] for branch in schema["oneOf"]] == [
        *(schema_of(kind).__name__ for kind in KINDS),
        "GroupsConfig",
    ]
    for part in ("TwoClustersConfig", "UniformTrialsConfig", "GridConfig", "CoverageConfig"):
        properties = schema["$defs"][part]["properties"]
        assert all("description" in entry for key, entry in properties.items() if key != "kind")


@pytest.mark.parametrize("level", [0, 1, -0.5, 1.5, "high", float("nan")])
@pytest.mark.parametrize("kind", [COVERAGE, CALIBRATION, COMPARISON])
def test_levels_are_inside_0_and_1(kind, level):
    message = refused({**kind, "level": level})
    assert message.startswith("c.yaml: level: expected a number above 0 and below 1, found")


IMPROPER = "model.hyperprior: expected a proper one to simulate from, mean_concentration or shapes"


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (COVERAGE, ["simulate.units=0"], "an integer of at least 2, or a list of them, found 0"),
        (COVERAGE, ["simulate.units=[10, 0]"], "simulate.units[1]: expected an integer of at l"),
        (COVERAGE, ["simulate.units=[10, 10]"], "simulate: expected each of units once, found 10"),
        (COVERAGE, ["simulate.units=[]"], "simulate.units=[]: expected an integer of at least 2"),
        (COVERAGE, ["data_sets=0"], "--set data_sets=0: expected an integer of at least 1, found"),
        (COVERAGE, ["data_sets=2.5"], "expected an integer of at least 1, found 2.5"),
        (COVERAGE, ["simulate.population.kind=betta"], "found 'betta'; did you mean 'beta'?"),
        (
            COVERAGE,
            ["simulate.population.alpha=-1"],
            "c.yaml: simulate.population: beta population: expected alpha to be a positive, finite",
        ),
        (
            COVERAGE,
            ["simulate.population=[{kind: beta, alpha: 1}]"],
            "simulate.population[0].beta: expected a number, found nothing",
        ),
        (COVERAGE, ["simulate.population.bet=1"], "no such key; did you mean 'beta'?"),
        (COVERAGE, ["simulate.trials.high=5"], "expected high to be at least low, 10, found 5"),
        (COVERAGE, ["simulate.trials.high=many"], "expected an integer, found 'many'"),
        (COVERAGE, ["simulate.trials=20"], "--set simulate.trials=20: expected keys with values"),
        (COVERAGE, ["like.dataset=rat_tumors"], "either simulate or like, found simulate and like"),
        (COVERAGE, ["simulate=null"], "c.yaml: expected either simulate or like, found neither"),
        (COVERAGE, ["methods[0].share=0"], "expected a number above 0 and of at most 1, found 0"),
        (COVERAGE, ["methods[0].name=no_pooling"], "expected names other than no_pooling and"),
        (COVERAGE, ["methods[1].empirical_bayes=corrected"], "expected no such key"),
        (COVERAGE, ["methods[1].method=type2_mle"], "methods: expected a name for each method"),
        (COVERAGE, ["new_units=[]"], "--set new_units=[]: expected no such key"),
        (COVERAGE, ["chunk=0"], "chunk=0: expected an integer of at least 1 or null, found 0"),
        (COVERAGE, ["precision=both"], "expected one of float64, float32, found 'both'"),
        (COVERAGE, ["kind=misspecification"], "expected a population that the model does not"),
        (COVERAGE, ["kind=comparison"], "simulate.units: expected an integer of at least 2, found"),
        (
            COVERAGE,
            ["kind=3"],
            "--set kind=3: expected one of analysis, calibration, coverage, mis",
        ),
        (CALIBRATION, ["model.hyperprior={kind: power_law}"], IMPROPER),
        ({**CALIBRATION, "model": {}}, [], IMPROPER),
        (
            CALIBRATION,
            ["methods=[{method: quadrature}, {method: moments}]"],
            "found a point estimate at methods[1]; give it empirical_bayes: corrected",
        ),
        (CALIBRATION, ["draws=0"], "draws=0: expected an integer of at least 1 and of at most"),
        (CALIBRATION, ["rates=[10]"], "--set rates=[10]: expected units from 0 to 9, found 10"),
        (CALIBRATION, ["rates=[1, 1]"], "--set rates=[1, 1]: expected each unit once"),
        (CALIBRATION, ["simulate.units=[5, 10]"], "expected an integer of at least 2, found [5"),
        ({"kind": "calibration"}, [], "methods: expected a list that is not empty, found nothing"),
        ({"kind": "coverage"}, ["methods[0].share=1"], "methods: expected a list of methods"),
    ],
)
def test_errors_name_the_key(given, settings, message):
    text = refused(given, *settings)
    assert message in text
    assert len(text.splitlines()) <= 2
