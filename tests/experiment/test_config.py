"""Configurations: defaults, changes from the command line, and errors that name the key."""

import json
from pathlib import Path

import pytest

from hierjax import inference
from hierjax.counts import Counts
from hierjax.errors import ConfigError
from hierjax.experiment import yaml_text
from hierjax.experiment.config import load, load_counts, new_units, resolved, validated
from hierjax.experiment.kinds import json_schema
from hierjax.experiment.schema import Config

CONFIGS = Path(__file__).parents[2] / "configs"
DATA = {"data": {"dataset": "rat_tumors"}}


def refused(given, *settings):
    with pytest.raises(ConfigError) as caught:
        validated(given, "c.yaml", settings)
    return str(caught.value)


def test_every_key_but_data_has_a_default():
    config = validated(DATA, "c.yaml")
    assert [entry.settings() for entry in config.methods] == [
        settings() for name, settings in inference.METHODS.items() if name != "collapsed_gibbs"
    ]
    assert (config.level, config.device, config.precision) == (0.9, "auto", "float64")
    assert config.model.hyperprior.exponent == 2.5
    assert len(load_counts(config)) == 70


def test_settings_reach_the_method():
    entry = {"method": "gibbs", "draws": 7, "proposal_scales": [1, 0.5], "name": "textbook"}
    config = validated({**DATA, "methods": [entry]}, "c.yaml")
    assert config.methods[0].display_name == "textbook"
    assert config.methods[0].settings() == inference.Gibbs(draws=7, proposal_scales=(1.0, 0.5))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_resolved_configurations_mean_the_same(path):
    plain = resolved(load(path))
    text = yaml_text.dump(plain)
    assert resolved(validated(yaml_text.parse(text, "x")[0], "x")) == plain


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_json_schema_accepts_what_is_shipped(path):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    given, _ = yaml_text.read(path)
    validator.validate(given)
    validator.validate(json.loads(json.dumps(resolved(load(path)))))
    assert not validator.is_valid({**given, "sed": 1})
    assert not validator.is_valid({**given, "methods": [{"method": "nuts", "draws": 0}]})


def test_json_schema_says_what_settings_mean():
    settings = Config.model_json_schema()["$defs"]["QuadratureEntry"]["properties"]
    assert all("description" in entry for name, entry in settings.items() if name != "method")


def test_data_path_is_relative_to_the_configuration(tmp_path):
    (tmp_path / "c.yaml").write_text("data: {path: a.csv, successes: y, trials: n}")
    config = load(tmp_path / "c.yaml")
    assert config.data.path == str(tmp_path / "a.csv")
    assert config.name == "c"


def test_data_of_one_row_an_event_are_added_up(tmp_path):
    (tmp_path / "c.yaml").write_text("data: {path: '?.csv', success_column: sold, unit: page}")
    (tmp_path / "a.csv").write_text("page,sold\nb,1\na,0\n")
    (tmp_path / "b.csv").write_text("sold,page\ntrue,a\nFalse,b\n")
    counts = load_counts(load(tmp_path / "c.yaml"))
    assert counts == Counts([1, 1], [2, 2], ["a", "b"])


def test_new_units_without_a_label_are_called_by_their_counts():
    units = [{"successes": 4, "trials": 14}, {"label": "b", "successes": 0, "trials": 0}]
    found = new_units(validated({**DATA, "new_units": units}, "c.yaml"))
    assert found.labels == ("4/14", "b")
    assert found.sizes == (14, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sed": 2}, "c.yaml: sed: expected no such key; did you mean 'seed'?"),
        ({"level": "high"}, "level: expected a number above 0 and below 1, found 'high'"),
        (
            {"empirical_bayes": "corrected", "methods": [{"method": "quadrature"}]},
            "empirical_bayes: expected a point estimate, as by type2_mle, to correct, found",
        ),
        ({"level": True}, "level: expected a number above 0 and below 1, found true"),
        ({"level": float("nan")}, "level: expected a number above 0 and below 1, found nan"),
        ({"seed": "1"}, "seed: expected an integer of at least 0 and below 4294967296, found '1'"),
        ({"seed": True}, "found true"),
        ({"seed": 1.0}, "found 1.0"),
        (
            {"kind": "converage"},
            "kind: expected one of analysis, calibration, coverage, misspecification, comparison, "
            "found 'converage'; did you mean 'coverage'?",
        ),
        ({"device": "gpus"}, "one of auto, cpu, gpu, found 'gpus'; did you mean 'gpu'?"),
        ({"precision": "double"}, "precision: expected one of float64, float32, found 'double'"),
        ({"name": "a/b"}, "name: expected letters, digits, spaces and _.,+=()-"),
        ({"data": {}}, "data: expected dataset, or path, successes and trials; found no path"),
        ({"data": {"path": "b"}}, "data: expected dataset, or path, successes and trials"),
        (
            {"data": {"path": "b", "unit": "u"}},
            "data: expected path, success_column and unit; found no success_column",
        ),
        ({"data": {"dataset": "a", "path": "b"}}, "expected no more keys beside dataset"),
        ({"data": {"datset": "a"}}, "data.datset: expected no such key; did you mean 'dataset'?"),
        ({"data": "rats.csv"}, "data: expected keys with values, found 'rats.csv'"),
        ({"methods": []}, "methods: expected a list that is not empty, found []"),
        ({"methods": ["nuts"]}, "methods[0]: expected keys with values, found 'nuts'"),
        ({"methods": [{}]}, "methods[0].method: expected one of collapsed_gibbs, gibbs, moments"),
        ({"methods": [{"method": "nut"}]}, "found 'nut'; did you mean 'nuts'?"),
        ({"methods": [{"method": ["nuts"]}]}, "found ['nuts']"),
        (
            {"methods": [{"method": "moments"}, {"method": "nuts", "draws": "many"}]},
            "methods[1].draws: expected an integer above 0, found 'many'",
        ),
        ({"methods": [{"method": "nuts", "draws": 0}]}, "expected an integer above 0, found 0"),
        ({"methods": [{"method": "nuts", "chains": -1}]}, "methods[0].chains: expected an integer"),
        ({"methods": [{"method": "gibbs", "drawz": 1}]}, "no such key; did you mean 'draws'?"),
        (
            {"methods": [{"method": "gibbs", "proposal_scales": [1]}]},
            "methods[0].proposal_scales: expected a list of 2",
        ),
        (
            {"methods": [{"method": "gibbs", "proposal_scales": [1, "a"]}]},
            "methods[0].proposal_scales[1]: expected a number above 0, found 'a'",
        ),
        (
            {"methods": [{"method": "type2_mle", "learning_rate": 0.1}]},
            "methods[0]: learning_rate: lbfgs searches its step",
        ),
        (
            {"methods": [{"method": "gibbs"}, {"method": "nuts", "name": "Gibbs"}]},
            "found 'Gibbs' for methods[0] and methods[1]; give one of them another `name`",
        ),
        (
            {"model": {"hyperprior": {"kind": "powerlaw"}}},
            "model.hyperprior.kind: expected one of mean_concentration, power_law, shapes",
        ),
        (
            {"model": {"hyperprior": {"kind": "power_law", "exponent": 2}}},
            "model.hyperprior.exponent: expected a number above 2, found 2",
        ),
        ({"model": {"hyperprior": {"kind": "shapes"}}}, "model.hyperprior.alpha: expected keys"),
        (
            {"new_units": [{"successes": 5, "trials": 4}]},
            "new_units[0]: expected successes of at most 4 (trials), found 5",
        ),
        ({"new_units": [{"successes": -1, "trials": 4}]}, "new_units[0].successes: expected an"),
        ({"new_units": [{"trials": 4}]}, "new_units[0].successes: expected an integer"),
    ],
)
def test_errors_name_the_key(change, message):
    text = refused({**DATA, **change})
    assert message in text
    assert text.startswith("c.yaml: ")
    assert len(text.splitlines()) <= 2


def test_errors_name_the_line_and_stay_short(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("data: {dataset: rat_tumors}\nsed: 1\nlevel: 2\ndevice: tpu\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("(and 1 more)")
    assert any(f"{path}, line 3: level:" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "found"), [("", "an empty file"), ("- a", "a list"), ("rats", "text")]
)
def test_a_configuration_is_a_mapping(tmp_path, text, found):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"c.yaml: expected keys with values, found {found}$"):
        load(tmp_path / "c.yaml")


def test_changes_from_the_command_line():
    given = {**DATA, "methods": [{"method": "nuts", "draws": 5}]}
    settings = ["methods[0].draws=6", "methods.0.chains=2", "seed=3", "seed=4", "name=a b"]
    settings += ["model.hyperprior.exponent=3", "data.dataset=rat_tumors_71"]
    config = validated(given, "c.yaml", settings)
    assert config.methods[0].settings() == inference.NUTS(draws=6, chains=2)
    assert (config.seed, config.name, config.model.hyperprior.exponent) == (4, "a b", 3.0)
    assert given["methods"][0]["draws"] == 5


def test_changes_start_from_the_defaults():
    config = validated(DATA, "c.yaml", ["methods[4].draws=7"])
    assert config.methods[4].settings() == inference.Gibbs(draws=7)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed", "--set seed: expected key=value, as methods[3].draws=500"),
        ("=1", "--set =1: expected key=value"),
        ("a..b=1", "--set a..b=1: expected key=value"),
        ("methods[5].draws=1", "methods: expected an index from 0 to 4, found 5"),
        ("methods.x=1", "methods: expected an index from 0 to 4, found x"),
        ("data.dataset.x=1", "data.dataset: expected keys with values, found 'rat_tumors'"),
        ("seed=many", "--set seed=many: expected an integer of at least 0 and below 4294967296"),
        ("sed=1", "--set sed=1: expected no such key; did you mean 'seed'?"),
        ("methods=[{method: nuts, draws: 0}]", "draws: 0}]: methods[0].draws: expected an integer"),
        ("level=[1", "expected valid YAML"),
    ],
)
def test_wrong_changes_are_named(setting, message):
    assert message in refused(DATA, setting)


def test_unknown_data_set():
    config = validated({"data": {"dataset": "rat_tumours"}}, "c.yaml")
    with pytest.raises(ConfigError, match="did you mean 'rat_tumors'"):
        load_counts(config)
