"""What a run is asked of its units: wrong questions, and answers that are the fit's own."""

import csv
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

import hierjax as hj
from hierjax.errors import ConfigError, DataWarning
from hierjax.experiment import analysis
from hierjax.experiment.answers import answer
from hierjax.experiment.config import check_questions, load, validated
from hierjax.experiment.runner import fit_all, method_key, prepare

COUNTS = hj.Counts([1, 3, 9, 2, 0, 6], [20, 25, 24, 30, 18, 40], labels=list("abcdef"))
EQUAL = hj.Counts([2] * 5, [10] * 5)
QUESTIONS = {"above": 0.15, "fdr": 0.2, "top": 2, "control": "b", "next_trials": 30}
COLUMNS = {
    "exceedance": "label,successes,trials,threshold,probability_above,pep,q_value,selected",
    "ranks": "label,successes,trials,expected_rank,low,high,p_best,p_top_k,p_top_k_mcse,in_top_k",
    "contrasts": "label,control,p_greater,difference_mean,difference_low,difference_high,"
    "ratio_low,ratio_high,expected_loss",
    "predictions": "label,successes,trials,new_trials,mean,sd,low,median,high",
    "checks": "check,observed,mean,low,high,tail_probability,mcse",
    "influence": "label,successes,trials,logit_mean,log_concentration,mean,log_alpha,log_beta,"
    "log_evidence",
}


def quiet(_):
    return nullcontext()


def prepared(counts=COUNTS, **changes):
    """A run of maximum likelihood that takes these counts for the data it names."""
    given = {
        "data": {"dataset": "rat_tumors"},
        "methods": [{"method": "type2_mle"}],
        "questions": QUESTIONS,
        "level": 0.8,
        "seed": 4,
    }
    return prepare(validated(given | changes, "test"), (counts, ()))


def estimate(run):
    return hj.fit(run.counts, method=hj.Type2MLE())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"top": 7}, "questions.top: expected at most 6 (the number of units), found 7"),
        (
            {"control": "aberden"},
            "questions.control: expected the label of one unit, found 'aberden'; "
            "did you mean 'aberdeen'?",
        ),
        (
            {"control": "cork"},
            "questions.control: expected the label of one unit, found 'cork', which 2 units have",
        ),
    ],
)
def test_questions_that_these_units_cannot_answer(asked, message):
    labels = ["aberdeen", "bergen", "cork", "cork", "delft", "elblag"]
    with pytest.warns(DataWarning, match="'cork'"):
        counts = hj.Counts(COUNTS.successes, COUNTS.trials, labels=labels)
    given = {"data": {"dataset": "rat_tumors"}}
    fine = validated(given | {"questions": {"top": 6, "control": "delft"}}, "test")
    check_questions(fine.questions, counts)
    with pytest.raises(ConfigError) as caught:
        check_questions(validated(given | {"questions": asked}, "test").questions, counts)
    assert str(caught.value) == message


RATE, WHOLE = "a number above 0 and below 1", "an integer of at least 1"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("above: 1", f"questions.above: expected {RATE}, found 1"),
        ("above: .nan", "questions.above: expected a number or null, found nan"),
        ("{above: 0.2, fdr: 0}", f"questions.fdr: expected {RATE}, found 0"),
        ("fdr: 0.1", "questions: expected above beside fdr, found fdr=0.1 alone"),
        ("top: 0", f"questions.top: expected {WHOLE} or null, found 0"),
        ("top: 2.5", f"questions.top: expected {WHOLE} or null, found 2.5"),
        ("control: 10", "questions.control: expected text or null, found 10"),
        ("next_trials: 0", f"{WHOLE} and of at most 9007199254740991 or null, found 0"),
        ("nxt_trials: 5", "questions.nxt_trials: expected no such key; did you mean 'next_trials'"),
        ("0.2", "questions: expected keys with values, found 0.2"),
    ],
)
def test_questions_wrongly_written(tmp_path, written, message):
    path = tmp_path / "c.yaml"
    braced = written if written[0] in "{0" else f"{{{written}}}"
    path.write_text(f"data: {{dataset: rat_tumors}}\nquestions: {braced}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}, line 2: ")
    assert message in str(caught.value)


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """One run written twice, but for pictures and the report, which have tests of their own."""
    paths = [tmp_path_factory.mktemp("runs") / "asked" for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hierjax.plots.write_figures", lambda *_: None)
        patch.setattr("hierjax.experiment.report.write_report", lambda *_: None)
        for path in paths:
            analysis.run(prepared(empirical_bayes="corrected"), path, quiet)
    return paths


@pytest.fixture(scope="module")
def tables(directories):
    """What the files of the run hold, as lists of text by column."""
    found = {}
    for name in COLUMNS:
        with (directories[0] / f"{name}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        found[name] = dict(zip(header, zip(*rows, strict=True), strict=True))
    return found


def test_every_answer_is_a_file_with_its_columns(tables):
    for name, columns in COLUMNS.items():
        assert list(tables[name]) == columns.split(",")
    assert len(tables["contrasts"]["label"]) == len(COUNTS) - 1


def require_same(found, expected):
    """Text of a file against a table of answers, exactly: numbers are written in full."""
    assert list(found) == list(expected)
    for name in expected:
        values = expected[name]
        if values.dtype.kind == "f":
            np.testing.assert_array_equal([float(x or "nan") for x in found[name]], values)
        else:
            assert list(found[name]) == [str(value) for value in values]


def test_the_files_hold_what_the_fit_answers(tables):
    run = prepared()
    plug_in = estimate(run)
    fit = plug_in.corrected()
    key = method_key(4, "ranks")
    require_same(tables["exceedance"], fit.exceedance(0.15, 0.2))
    require_same(tables["ranks"], fit.ranks(2, key=key, level=0.8))
    require_same(tables["contrasts"], fit.contrasts("b", 0.8))
    require_same(tables["predictions"], fit.predictions(30, 0.8))
    # The likelihood's own derivatives and checks are those of the estimate.
    require_same(tables["influence"], plug_in.influence())
    check = plug_in.posterior_predictive(method_key(4, "checks"), level=0.8)
    pooling = plug_in.pooling()
    checks = tables["checks"]
    labels = [*check["statistic"], "likelihood_ratio_of_complete_pooling"]
    assert list(checks["check"]) == labels
    assert float(checks["observed"][-1]) == pooling.likelihood_ratio
    assert float(checks["tail_probability"][-1]) == pooling.p_value
    assert (checks["mean"][-1], checks["mcse"][-1]) == ("", "")
    for name in ("observed", "mean", "low", "high", "tail_probability", "mcse"):
        assert [float(x) for x in checks[name][:-1]] == list(check[name])


def test_the_same_seed_gives_the_same_bytes(directories):
    first, second = (
        {path.name: path.read_bytes() for path in folder.glob("*.csv")} for folder in directories
    )
    assert first == second
    assert {f"{name}.csv" for name in COLUMNS} < first.keys()


def test_corrected_answers_are_not_the_plug_in_ones(tables):
    plug_in = estimate(prepared())
    width = np.subtract(*(np.array(tables["contrasts"][f"difference_{end}"], float)
                          for end in ("high", "low")))  # fmt: skip
    own = plug_in.contrasts("b", 0.8)
    assert np.mean(width / (own["difference_high"] - own["difference_low"])) > 1.01


def test_exact_answers_are_preferred_and_nothing_unasked_is_answered():
    methods = [{"method": "type2_mle"}, {"method": "quadrature", "name": "exact"}]
    run = prepared(methods=methods, questions={"next_trials": 30})
    found = fit_all(run, quiet)
    record = answer(run, found, compare=False)
    assert record.answered_by == "exact"
    expected = found.fits["exact"].predictions(30, 0.8)
    assert record.next_counts.to_csv() == expected.to_csv()
    others = ("exceedance", "ranks", "contrasts", "checks", "influence")
    assert [getattr(record, name) for name in others] == [None] * 5


def test_questions_without_an_answer_leave_the_others_theirs():
    questions = QUESTIONS | {"control": "2"}
    run = prepared(EQUAL, questions=questions)
    found = fit_all(run, quiet)
    record = answer(run, found, compare=False)
    assert record.ranks is None
    assert record.contrasts is None
    assert np.all(record.exceedance["selected"])
    np.testing.assert_allclose(record.next_counts["mean"], 6.0, rtol=1e-9)
    warnings = "\n".join(record.warnings)
    assert "type2_mle: no ranks: complete pooling" in warnings
    assert "type2_mle: no contrasts: complete pooling" in warnings
    corrected = prepared(EQUAL, questions=questions, empirical_bayes="corrected")
    record = answer(corrected, found, compare=False)
    assert len(record.ranks) == len(run.counts)
    assert "complete pooling" not in "\n".join(w for w in record.warnings if ": no " in w)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--above", "1.5"], f"questions.above: expected {RATE}, found 1.5"),
        (["--top", "99"], "questions.top: expected at most 3 (the number of units), found 99"),
        pytest.param(
            ["--control", "nobody"],
            "expected the label of one unit, found 'nobody'",
            marks=pytest.mark.slow,
        ),
        (["--above", "0.2", "--out", "x.csv"], "--above: expected no --out, or a run's directory"),
    ],
)
def test_wrong_questions_on_the_command_line(tmp_path, flags, message):
    (tmp_path / "a.csv").write_text("unit,y,n\na,1,10\nb,4,12\nc,2,9\n")
    columns = ["--successes", "y", "--trials", "n", "--label", "unit"]
    done = subprocess.run(
        [sys.executable, "-m", "hierjax", "fit", "a.csv", *columns, *flags],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(hj.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
