"""Configurations of units in groups: what asks for three levels, and what they do not take."""

import copy
from pathlib import Path

import jsonschema
import pytest

import hierjax as hj
from hierjax.errors import ConfigError
from hierjax.experiment.config import analysis, load, resolved, validated
from hierjax.experiment.groups.runner import prepare_groups
from hierjax.experiment.groups.schema import GROUP_METHODS, GroupsConfig
from hierjax.experiment.kinds import json_schema
from hierjax.experiment.schema import Config

LABS = {
    "data": {
        "dataset": "simulated_labs",
        "successes": "tumors",
        "trials": "rats",
        "label": "experiment",
        "group": "lab",
    }
}
NUTS = {"method": "nuts", "draws": 5, "parametrization": "centered"}


def checked(given, *settings):
    return validated(copy.deepcopy(given), "c.yaml", settings)


def refused(given, *settings):
    with pytest.raises(ConfigError) as caught:
        checked(given, *settings)
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


def test_a_group_asks_for_three_levels_whether_or_not_the_kind_is_said():
    for given in (LABS, {"kind": "analysis", **LABS}):
        config = checked(given)
        assert isinstance(config, GroupsConfig)
        assert [entry.display_name for entry in config.methods] == ["quadrature", "type2_mle"]
    two = checked(LABS, "data.group=null")
    assert isinstance(two, Config)
    with pytest.raises(ConfigError, match=r"data\.group: expected none for an analysis of two"):
        analysis(config)


def test_a_resolved_configuration_gives_the_same_one():
    hyperprior = {"location": [-2, 1.5], "location_spread": 0.5}
    new = [{"successes": 4, "trials": 14, "group": "simulated lab 01"}]
    given = {**LABS, "methods": [NUTS], "model": {"hyperprior": hyperprior}, "new_units": new}
    config = checked(given)
    plain = resolved(config)
    assert plain["new_units"][0] == {**new[0], "label": "4/14"}
    assert plain["methods"][0]["name"] == "nuts"
    assert resolved(checked(plain)) == plain
    assert config.methods[0].settings() == hj.GroupNUTS(draws=5, parametrization="centered")
    assert config.model.model().hyperprior == hj.GroupHyperprior((-2.0, 1.5), 0.5)


def test_every_method_has_its_own_settings():
    for name, settings in GROUP_METHODS.items():
        entry = checked({**LABS, "methods": [{"method": name}]}).methods[0]
        assert entry.settings() == settings()
        assert entry.is_sampler == (name in ("nuts", "gibbs"))


def test_the_schema_takes_groups_with_the_keys_of_three_levels_alone():
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid({**LABS, "methods": [NUTS]})
    assert not validator.is_valid({**LABS, "questions": {"top": 3}})
    assert not validator.is_valid({**LABS, "methods": [{"method": "moments"}]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"questions": {"top": 3}},
            "c.yaml: questions: expected none with data.group: three levels have no questions",
        ),
        ({"interval": "highest_density"}, "interval: expected none with data.group"),
        ({"empirical_bayes": "corrected"}, "empirical_bayes: expected none with data.group"),
        (
            {"methods": [{"method": "moments"}]},
            "methods[0].method: expected one of gibbs, nuts, quadrature, type2_mle, found",
        ),
        (
            {"methods": [{"method": "quadrature", "rows": 16}]},
            "methods[0]: rows: expected an odd number, found 16",
        ),
        (
            {"methods": [{"method": "type2_mle", "lab_rows": 3}]},
            "methods[0].lab_rows: expected an integer of at least 12, found 3",
        ),
        (
            {"methods": [NUTS, NUTS]},
            "methods: expected a name for each method, found 'nuts'",
        ),
        (
            {"model": {"hyperprior": {"kind": "power_law"}}},
            "model.hyperprior.kind: expected none with data.group",
        ),
        (
            {"model": {"hyperprior": {"location": [0, 0]}}},
            "model.hyperprior.location[1]: expected a number",
        ),
        (
            {"model": {"hyperprior": {"loction": [0, 1]}}},
            "model.hyperprior.loction: expected no such key; did you mean 'location'?",
        ),
        (
            {"model": {"family": "gamma_poisson"}},
            "model.family: expected beta_binomial, as the data are for it, found gamma_poisson",
        ),
        (
            {"new_units": [{"events": 1, "exposure": 2.0}]},
            "new_units[0]: expected a unit of beta_binomial, found one of gamma_poisson",
        ),
        (
            {"data": {"dataset": "rat_tumors", "group": "lab"}},
            "data: expected no more keys beside dataset, found group",
        ),
    ],
)
def test_what_three_levels_do_not_take_is_refused(change, message):
    assert message in refused({**LABS, **change})


def test_studies_and_two_levels_have_no_groups():
    study = {"kind": "coverage", "like": LABS["data"], "methods": [{"method": "type2_mle"}]}
    assert "like.group: expected none, as a study has two levels" in refused(study)
    new = [{"successes": 4, "trials": 14, "group": "a"}]
    given = {"data": {"dataset": "rat_tumors"}, "new_units": new}
    assert "new_units[0].group: expected no such key" in refused(given)


def test_changes_start_from_the_defaults_of_three_levels():
    config = checked(LABS, "methods[0].rows=33", "model.hyperprior.location=[0, 2]")
    assert config.methods[0].settings() == hj.GroupQuadrature(rows=33)
    assert config.methods[1].settings() == hj.GroupType2MLE()
    assert config.model.model().hyperprior == hj.GroupHyperprior((0.0, 2.0))


def test_the_labs_that_are_shipped_can_be_run():
    found = prepare_groups(load(Path(__file__).parents[2] / "configs" / "labs.yaml"))
    assert len(found.data) == len(hj.datasets.simulated_labs())
    assert found.config.methods[0].display_name == "quadrature"
    assert found.warnings == ()


def data(**columns):
    given = {"successes": [1, 2, 5, 6], "trials": [20] * 4, "groups": list("aabb"), **columns}
    return hj.Counts(**given), ()


def prepared(given, **columns):
    with pytest.raises(ConfigError) as caught:
        prepare_groups(checked(given), data(**columns))
    return str(caught.value)


def test_data_that_three_levels_cannot_take_are_refused():
    message = prepared(LABS, groups=["a"] * 4)
    assert message.startswith("data.group: expected two groups or more in column 'lab', found one")
    new = {"new_units": [{"successes": 1, "trials": 2, "group": "A"}]}
    message = prepared({**LABS, **new})
    assert "new_units[0].group: expected one of a, b, or none for a new group, found 'A'" in message
    sampled = {"methods": [{"method": "quadrature"}, {"method": "gibbs"}]}
    assert "methods[1].method: expected quadrature" in prepared(
        {**LABS, **sampled}, weights=[2.0] * 4
    )
    large = {"successes": [2**25 + 1] * 4, "trials": [2**26] * 4}
    message = prepared({**LABS, **sampled, "precision": "float32"}, **large)
    assert "precision: expected float64, as methods[1] draws" in message
