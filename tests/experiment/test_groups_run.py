"""Runs of units in groups: their directory, their report, and what is printed."""

import csv
import json
import os
from contextlib import nullcontext

import numpy as np
import pytest
from test_report import Page

import hierjax as hj
from hierjax.errors import ConfigError, DataError
from hierjax.experiment import commands
from hierjax.experiment.config import validated
from hierjax.experiment.found import MethodFits
from hierjax.experiment.groups import commands as commands_of_groups
from hierjax.experiment.groups.commands import fit_and_print, run_and_print
from hierjax.experiment.groups.run import OWN, run_groups
from hierjax.experiment.groups.runner import answer_groups, fit_all_groups, prepare_groups
from hierjax.experiment.groups.terminal import evidence_sentence
from hierjax.experiment.yaml_text import read
from hierjax.table import Table
from hierjax.table_columns import table_columns

ROWS = "e,lab,y,n\n1,a,1,20\n2,a,2,20\n3,b,5,20\n4,b,6,20\n5,<c>,2,20\n6,<c>,3,20\n"
COLUMNS = {"successes": "y", "trials": "n", "label": "e", "group": "lab"}
NEW = [
    {"label": "next", "successes": 4, "trials": 14, "group": "a"},
    {"label": "first", "successes": 4, "trials": 14},
]


def watch(name):
    return nullcontext()


def config(folder, **more):
    (folder / "a.csv").write_text(ROWS)
    given = {"name": "labs", "data": {"path": "a.csv", **COLUMNS}, "new_units": NEW, **more}
    return validated(given, "c.yaml", (), None, folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    prepared = prepare_groups(config(folder))
    return prepared, run_groups(prepared, folder / "labs", watch), folder / "labs"


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_run_writes_its_directory(finished):
    _, record, run = finished
    absent = {"agreement.csv", "draws"}  # of samplers
    assert {path.name for path in run.iterdir()} == set(OWN) - absent
    figures = {"model.png", "group_shrinkage.png", "groups.png"}
    assert {path.name for path in (run / "figures").iterdir()} == figures
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["state"] == "finished"
    assert manifest["methods"]["quadrature"]["status"] == record.fits["quadrature"].status
    assert manifest["methods"]["quadrature"]["seconds"]["total"] > 0
    assert read(run / "config.yaml")[0]["data"]["group"] == "lab"


def test_the_tables_hold_the_answers(finished):
    prepared, _, run = finished
    fit = hj.fit_groups(prepared.data)
    for name, table in (
        ("hyper.csv", fit.summary()),
        ("groups.csv", fit.groups()),
        ("units.csv", fit.units()),
        ("evidence.csv", fit.evidence),
    ):
        found = [row for row in rows(run / name) if row.pop("method") == "quadrature"]
        expected = [dict(row) for row in csv.DictReader(table.to_csv().splitlines())]
        assert found == expected, name
    old, new = [row for row in rows(run / "new_units.csv") if row["method"] == "quadrature"]
    assert (old["group"], new["group"]) == ("a", "new group")
    assert float(old["mean"]) == fit.predict(4, 14, "a")["mean"][0]
    assert float(new["mean"]) == fit.predict(4, 14)["mean"][0]


def test_the_report_holds_groups_evidence_and_figures(finished):
    _, record, run = finished
    text = (run / "report.html").read_text()
    page = Page(text)
    assert "<c>" not in text
    assert text.count("data:image/png;base64,") == 3
    cells = {cell for row in page.rows for cell in row}
    assert {"a", "b", "<c>", "Groups that differ", "One population of all units"} <= cells
    factor = record.evidence["log_bayes_factor"][1]
    assert f"(log {factor:.2f})" in " ".join(page.texts)
    headings = [row[0] for row in page.rows if len(row) == 1]
    for start in ("next, a: 4 of 14, raw rate 0.2", "first, new group: 4 of 14, raw rate 0.2"):
        assert sum(heading.startswith(start) for heading in headings) == 1
    assert page.rows.index(["<c>"]) < page.rows.index(["a"]) < page.rows.index(["b"])


def test_a_finished_run_is_left_alone(finished):
    prepared, _, run = finished
    assert run_groups(prepared, run, watch, resume=True) is None
    with pytest.raises(ConfigError, match="expected no run there, found this one finished"):
        run_groups(prepared, run, watch)


def test_a_run_prints_methods_groups_and_evidence(tmp_path, capsys):
    one = config(tmp_path, methods=[{"method": "type2_mle", "name": "eb"}])
    run_and_print(one, tmp_path / "run", False)
    lines = capsys.readouterr().out.splitlines()
    head = "method location_mean location_sd log_concentration_mean log_concentration_sd"
    assert " ".join(lines[0].split()) == f"{head} max |z| seconds status"
    assert lines[1].split()[0] == "eb"
    assert "Groups, by eb" in lines
    assert lines[-1] == f"report: {tmp_path / 'run' / 'report.html'}"


def test_a_fit_prints_every_level_and_writes_nothing(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(ROWS)
    path = str(tmp_path / "a.csv")
    given = {"name": "a", "data": {"path": path, **COLUMNS}, "methods": [{"method": "quadrature"}]}
    fit_and_print(path, table_columns(**COLUMNS), given, ["level=0.5"], None, False)
    out = capsys.readouterr().out
    assert out.startswith("6 units, 19 successes of 120 trials\nquadrature: ")
    for part in ("location_sd", "Groups, by quadrature", "Units", "Evidence, by quadrature:"):
        assert part in out
    assert "25 %" in out
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


def test_a_fit_writes_the_table_with_its_answers(tmp_path, capsys, finished):
    """Units of different groups with the same counts have answers of their own."""
    lines = ROWS.splitlines()
    shuffled = [lines[0], *(lines[i] for i in (4, 1, 6, 5, 3, 2))]
    (tmp_path / "a.csv").write_text("\n".join(shuffled))
    path = str(tmp_path / "a.csv")
    commands.fit(path, COLUMNS, None, [], {}, tmp_path / "out.csv", [], False)
    assert capsys.readouterr().out.splitlines()[-1] == f"table: {tmp_path / 'out.csv'}"
    written = rows(tmp_path / "out.csv")
    answers = {row["e"]: row for row in written}
    expected = finished[1].of_method(finished[1].units, "quadrature")
    assert [row["e"] for row in written] == [row.split(",")[0] for row in shuffled[1:]]
    for row in expected.rows():
        for name in ("raw_rate", "mean", "sd", "low", "median", "high", "shrinkage"):
            assert float(answers[row["label"]][name]) == pytest.approx(row[name], rel=1e-6)
    with pytest.raises(ConfigError, match="expected no file there"):
        commands.fit(path, COLUMNS, None, [], {}, tmp_path / "out.csv", [], False)
    with pytest.raises(ConfigError, match="--resume: expected a run's directory"):
        commands.fit(path, COLUMNS, None, [], {}, tmp_path / "b.csv", [], True)


def test_a_table_that_changes_meanwhile_is_not_written(tmp_path, monkeypatch):
    """Answers go to rows by their place: of another table they would be others'."""
    path = tmp_path / "a.csv"
    path.write_text(ROWS)
    original = commands_of_groups._answered

    def answered(prepared):
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], *reversed(lines[1:])]))
        os.utime(path, (1, 1))  # clocks of files may be too coarse to tell
        return original(prepared)

    monkeypatch.setattr(commands_of_groups, "_answered", answered)
    with pytest.raises(DataError, match="expected the 6 rows that were fitted, found others"):
        commands.fit(str(path), COLUMNS, None, [], {}, tmp_path / "out.csv", [], False)
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


def test_a_method_that_fails_is_told_of(tmp_path, monkeypatch):
    prepared = prepare_groups(config(tmp_path))
    found = answer_groups(prepared, MethodFits(failures={"quadrature": "no luck"}))
    assert found.leading is None
    assert found.warnings == ("quadrature: failed; no luck",)
    assert len(found.units) == len(found.evidence) == 0


@pytest.mark.parametrize(
    ("factor", "sentence"),
    [
        (-1.0, "one population predicts the data 2.72 times as well as groups that differ"),
        (20.0, "groups that differ predict the data e^20 times as well as one population"),
    ],
)
def test_evidence_in_words(factor, sentence):
    columns = {"model": ["one_population", "groups"], "log_bayes_factor": [0.0, factor]}
    assert evidence_sentence(Table(columns)).startswith(sentence)


@pytest.mark.slow
def test_samplers_go_on_from_a_checkpoint_and_agree_with_quadrature(tmp_path):
    gibbs = {"method": "gibbs", "chains": 2, "warmup": 500, "draws": 1500, "chunk": 500}
    prepared = prepare_groups(config(tmp_path, methods=[{"method": "quadrature"}, gibbs]))
    whole = run_groups(prepared, tmp_path / "whole", watch)

    class Killed(Exception):
        pass

    def killing(name):
        def progress(done, total):
            if done >= 1000:
                raise Killed

        return nullcontext(progress if name == "gibbs" else None)

    with pytest.raises(Killed):
        run_groups(prepared, tmp_path / "killed", killing)
    assert (tmp_path / "killed" / "draws" / "gibbs.partial.npz").exists()
    again = run_groups(prepared, tmp_path / "killed", watch, resume=True)
    draws = [record.fits["gibbs"].result.draws for record in (whole, again)]
    np.testing.assert_array_equal(*draws)
    for name in ("hyper.csv", "agreement.csv", "draws/gibbs.nc", "report.html"):
        both = [(tmp_path / run / name).read_bytes() for run in ("whole", "killed")]
        assert both[0] == both[1], name
    assert np.abs(whole.agreement["z"]).max() < 4
    assert fit_all_groups(prepared, watch).failures == {}
