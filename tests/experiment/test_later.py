"""A later period in configurations: what is refused, what is written and what is said."""

import numpy as np
import pytest

from hierjax.errors import ConfigError, DataError
from hierjax.experiment import commands, decision_tables
from hierjax.experiment.answers import answer
from hierjax.experiment.config import resolved, validated
from hierjax.experiment.report_answers import questions
from hierjax.experiment.runner import fit_all, prepare
from hierjax.experiment.terminal import console, watch
from hierjax.plots.answer_pictures import answer_pictures

COLUMNS = {"events": "first", "exposure": "e1", "label": "name"}
LATER = {"events": "second", "exposure": "e2"}


@pytest.fixture
def table(tmp_path):
    rows = ["name,first,e1,second,e2"]
    rows += [f"u{j},{3 + 5 * j % 7},{2.0 + j % 3},{2 + 3 * j % 5},{2.5 + j % 2}" for j in range(12)]
    (tmp_path / "two.csv").write_text("\n".join(rows) + "\n")
    return str(tmp_path / "two.csv")


def given(path, **more):
    data = {"path": path, **COLUMNS}
    return {"data": data, "later": LATER, "methods": [{"method": "moments"}], **more}


def test_a_resolved_configuration_names_the_columns_alone(table):
    config = validated(given(table), "c.yaml")
    assert resolved(config)["later"] == LATER
    assert resolved(validated(resolved(config), "c.yaml")) == resolved(config)
    assert "later" not in resolved(validated({"data": {"dataset": "pumps"}}, "c.yaml"))


@pytest.mark.parametrize(
    ("data", "later", "message"),
    [
        (COLUMNS, {"events": "second"}, "later: expected events and exposure, found events"),
        (COLUMNS, {}, "later: expected successes and trials, or events and exposure, or values "),
        (COLUMNS, {"cases": "b"}, "later.cases: expected no such key"),
        (
            COLUMNS,
            {"successes": "a", "trials": "b"},
            "later: expected events and exposure, as of gamma_poisson, found successes, trials",
        ),
        (
            COLUMNS,
            {"events": "first", "exposure": "e2"},
            "later.events: expected another column than data.events, found 'first' in both",
        ),
    ],
)
def test_columns_that_are_none_of_a_later_period_are_refused(table, data, later, message):
    with pytest.raises(ConfigError) as error:
        validated({"data": {"path": table, **data}, "later": later}, "c.yaml")
    assert message in str(error.value)


def test_data_without_columns_have_no_later_period():
    with pytest.raises(ConfigError, match="later: expected data from a table with columns of unit"):
        validated({"data": {"dataset": "pumps"}, "later": LATER}, "c.yaml")
    events = {"path": "a.csv", "success_column": "sold", "unit": "page"}
    later = {"successes": "a", "trials": "b"}
    with pytest.raises(ConfigError, match="columns of units, found one event a row"):
        validated({"data": events, "later": later}, "c.yaml")


def test_later_data_that_are_wrong_are_refused_by_row(table, tmp_path):
    with pytest.raises(DataError, match="'third'"):
        prepare(validated(given(table) | {"later": LATER | {"events": "third"}}, "c.yaml"))
    text = (tmp_path / "two.csv").read_text().replace("u3,4,2.0,", "u3,4,2.0,-")
    (tmp_path / "two.csv").write_text(text)
    with pytest.raises(DataError, match=r"line 5.*second.*found '?-"):
        prepare(validated(given(table), "c.yaml"))


def test_a_run_tells_how_well_it_predicts(table, capsys):
    prepared = prepare(validated(given(table), "c.yaml"))
    record = answer(prepared, fit_all(prepared, watch), compare=False)
    scores = dict(zip(*(record.later.scores[name] for name in ("quantity", "value")), strict=True))
    units = record.later.units
    errors = units["events"] - units["partial_pooling"]
    assert scores["rmse_partial_pooling"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    decision_tables.later(record, console())
    said = capsys.readouterr().out
    assert "Later period, predicted by moments" in said
    assert f"{scores['rmse_partial_pooling']:#.3g}" in said
    (part,) = questions(record)
    assert part.title == "How well is the later period predicted?"
    assert [row[0] for row in part.rows][-1] == "Share inside 95% intervals, %"
    assert "later" in [picture.name for picture in answer_pictures(record)]


def test_only_hyperparameters_predict_nothing(table):
    with pytest.raises(ConfigError, match="later: expected no --hyper-only"):
        commands.fit(
            table, COLUMNS, None, [], {}, None, ["later.events=second", "later.exposure=e2"],
            False, hyper_only=True,
        )  # fmt: skip
