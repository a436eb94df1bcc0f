"""Events and measurements on the command line and in configurations."""

import json

import numpy as np
import pytest

from hierjax import datasets
from hierjax.errors import ConfigError, HierjaxError
from hierjax.experiment import commands
from hierjax.experiment.config import load_counts, new_units, resolved, validated
from hierjax.poisson_events import Events

PUMPS = {"data": {"dataset": "pumps"}}
SCHOOLS = {"data": {"dataset": "eight_schools"}}


@pytest.fixture
def pumps(tmp_path):
    found = datasets.pumps()
    rows = (f"{y},{e}\n" for y, e in zip(*found.pair, strict=True))
    (tmp_path / "pumps.csv").write_text("failures,hours\n" + "".join(rows))
    return str(tmp_path / "pumps.csv")


def test_the_family_is_that_of_the_data(tmp_path):
    assert validated(PUMPS, "c.yaml").model.family == "gamma_poisson"
    assert validated(SCHOOLS, "c.yaml").model.family == "normal_normal"
    columns = {"path": "a.csv", "events": "y", "exposure": "e"}
    config = validated({"data": columns}, "c.yaml", ["model.hyperprior.first=3"])
    assert config.model.hyperprior.first == 3
    plain = resolved(config)
    assert resolved(validated(plain, "c.yaml")) == plain
    assert "next_exposure" in plain["questions"]
    assert not {"next_trials", "next_error"} & plain["questions"].keys()


@pytest.mark.parametrize(
    ("given", "change", "message"),
    [
        (PUMPS, {"model": {"family": "gamma"}}, "model.family: expected one of beta_binomial, "),
        (
            PUMPS,
            {"model": {"family": "beta_binomial"}},
            "model.family: expected gamma_poisson, as the data are for it, found beta_binomial",
        ),
        (
            PUMPS,
            {"model": {"hyperprior": {"kind": "shapes"}}},
            "model.hyperprior.kind: expected one of mean_concentration, shape_rate, shrinkage, "
            "found 'shapes'",
        ),
        (
            SCHOOLS,
            {"model": {"hyperprior": {"kind": "power_law"}}},
            "model.hyperprior.kind: expected one of flat_scale, mean_scale, found 'power_law'",
        ),
        (
            PUMPS,
            {"new_units": [{"successes": 1, "trials": 2}]},
            "new_units[0]: expected events and exposure, as of gamma_poisson, found successes and",
        ),
        (
            PUMPS,
            {"new_units": [{"events": 1, "exposure": 0}]},
            "new_units[0].exposure: expected a number of at least 1e-100 and of at most 1e+100, f",
        ),
        (PUMPS, {"new_units": [{"events": 1, "exposure": 1, "n": 2}]}, "[0].n: expected no such"),
        (PUMPS, {"questions": {"above": -1}}, "questions.above: expected a number above 0, found"),
        (PUMPS, {"questions": {"next_trials": 3}}, "questions.next_trials: expected next_exposure"),
        (
            {"data": {"path": "a", "events": "y"}},
            {},
            "data: expected path, events and exposure; found no exposure",
        ),
        (
            {"data": {"path": "a", "values": "y", "errors": "s", "unit": "u"}},
            {},
            "data: expected path, success_column and unit alone, found values, errors beside them",
        ),
        (
            {"data": {"dataset": "simulated_counties"}},
            {},
            "data: expected dataset, successes and trials; found no successes and no trials",
        ),
    ],
)
def test_what_suits_another_family_is_named(given, change, message):
    with pytest.raises(ConfigError) as caught:
        validated({**given, **change}, "c.yaml")
    assert message in str(caught.value)


def test_new_units_are_called_by_their_data():
    units = [{"events": 3, "exposure": 12.5}, {"label": "b", "events": 0, "exposure": 2}]
    found = new_units(validated({**PUMPS, "new_units": units}, "c.yaml"))
    assert found.labels == ("3/12.5", "b")
    assert found.values == (3, 0)
    assert found.sizes == (12.5, 2.0)


def test_a_path_takes_the_place_of_simulated_counties(tmp_path):
    columns = {"events": "deaths_1980_84", "exposure": "person_years_1980_84", "label": "fips"}
    given = {"data": {"dataset": "simulated_counties", **columns}}
    simulated = load_counts(validated(given, "c.yaml"))
    assert len(simulated) == 3000
    assert all(label.startswith("simulated") for label in simulated.labels)
    path = tmp_path / "a.csv"
    path.write_text("fips,deaths_1980_84,person_years_1980_84\n1,2,61921\n3,7,170945\n")
    config = validated(given, "c.yaml", [f"data.path={path}"])
    assert load_counts(config) == Events([2, 7], [61921, 170945], ["1", "3"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"new": ["3"]}, "--new: expected events/exposure, as 3/12.5, found '3'"),
        ({"new": ["1.5/2"]}, "--new: expected events/exposure, as 3/12.5, found '1.5/2'"),
        ({"family": "gamma"}, "--family: expected one of beta_binomial, gamma_poisson, "),
        ({"family": "normal_normal"}, "columns: expected values and errors, found events"),
        ({"columns": {"trials": "n"}}, "columns: expected successes and trials, or "),
        ({"questions": {"next": 0}}, "hierjax fit: questions.next_exposure: expected a number"),
    ],
)
def test_wrong_options_are_refused(pumps, changes, message):
    given = {"columns": {"events": "failures", "exposure": "hours"}, "questions": {}, "out": None}
    given |= {"method": "moments", "new": [], "changes": [], "resume": False}
    with pytest.raises(HierjaxError) as caught:
        commands.fit(pumps, **{**given, **changes})
    assert str(caught.value).startswith(message)


def test_hyperparameters_of_events(pumps, capsys):
    columns = {"events": "failures", "exposure": "hours"}
    commands.fit(pumps, columns, "moments", ["3/12.5"], {}, None, [], False, hyper_only=True)
    shown = capsys.readouterr().out
    assert shown.startswith("10 units, 75 events in an exposure of 350.24\nmoments: ")
    assert "3/12.5" in shown


def test_schema_tells_of_every_family():
    from hierjax.experiment.kinds import json_schema

    text = json.dumps(json_schema())
    for word in ("gamma_poisson", "normal_normal", "exposure", "next_error", "mean_scale"):
        assert f'"{word}"' in text


def test_simulated_counties_are_what_they_say():
    import jax

    table, rates = datasets.simulate_counties(jax.random.key(0), counties=20_000)
    years = table["person_years_1980_84"]
    assert years.min() >= 5e3
    assert years.max() <= 5e7
    # Mean and standard deviation of Gamma(20, 430,000), within five standard errors.
    assert abs(rates.mean() * 430_000 - 20) < 5 * np.sqrt(20 / 20_000)
    deaths, expected = table["deaths_1985_89"], rates * table["person_years_1985_89"]
    assert abs(deaths.sum() - expected.sum()) < 5 * np.sqrt(expected.sum())


def test_a_measurement_is_shown_once(capsys):
    from hierjax.experiment import report_tables, terminal
    from hierjax.experiment.answers import answer
    from hierjax.experiment.runner import fit_all, prepare

    prepared = prepare(validated({**SCHOOLS, "methods": [{"method": "moments"}]}, "c.yaml"))
    run = answer(prepared, fit_all(prepared, terminal.watch), compare=False)
    terminal.units(run.units, 0.9, terminal.console(), "Units")
    assert "raw rate" not in capsys.readouterr().out
    assert report_tables.raw_columns(run) == []
    label, value, error, *estimates = report_tables.units(run)["rows"][0]
    assert (label, value, error) == ("A", "28", "15")
    assert len(estimates) == 6
