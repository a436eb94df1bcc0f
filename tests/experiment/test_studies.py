"""Studies from their configuration to their directory, at tiny sizes."""

import copy
import csv
import json
from contextlib import contextmanager, nullcontext

import jax
import numpy as np
import pytest
from compilation import compilations
from scipy import stats

import hierjax as hj
from hierjax.batch.devices import host_memory
from hierjax.batch.work import Work
from hierjax.errors import ConfigError
from hierjax.experiment.config import validated
from hierjax.experiment.study import comparison as study_comparison
from hierjax.experiment.study import runner as study_runner
from hierjax.experiment.study.run import OWN, run_study
from hierjax.experiment.study.runner import prepare_study
from hierjax.studies.comparison import COLUMNS, Comparison
from hierjax.table import Table
from tests.interruption import Interruption

COVERAGE = {
    "name": "small",
    "kind": "coverage",
    "data_sets": 30,
    "simulate": {
        "population": {"kind": "beta", "alpha": 2.0, "beta": 6.0},
        "units": [3, 6],
        "trials": {"kind": "uniform", "low": 5, "high": 20},
    },
    "methods": [{"method": "moments"}, {"method": "moments", "name": "few", "share": 0.2}],
    "chunk": 8,
}
CALIBRATION = {
    "name": "ranks",
    "kind": "calibration",
    "data_sets": 24,
    "model": {
        "hyperprior": {
            "kind": "mean_concentration",
            "mean": {"distribution": "Beta", "concentration1": 2, "concentration0": 6},
            "concentration": {"distribution": "LogNormal", "loc": 2, "scale": 0.5},
        }
    },
    "simulate": {"units": 3, "trials": {"kind": "fixed", "trials": 9}},
    "methods": [{"method": "moments", "empirical_bayes": "corrected"}],
    "draws": 9,
    "rates": [2],
}
COMPARISON = {
    "name": "speed",
    "kind": "comparison",
    "data_sets": 4,
    "simulate": COVERAGE["simulate"] | {"units": 3},
    "methods": [{"method": "moments"}, {"method": "quadrature"}],
}


def quiet(_):
    return nullcontext()


def prepared(given, **changes):
    return prepare_study(validated(copy.deepcopy(given) | changes, "test"))


def contents(path):
    """All files but those that hold wall seconds."""
    files = (each for each in path.rglob("*") if each.is_file())
    timed = ("manifest.json", "seconds.csv")
    return {
        str(each.relative_to(path)): each.read_bytes() for each in files if each.name not in timed
    }


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def coverage(tmp_path_factory):
    path = tmp_path_factory.mktemp("studies") / "coverage"
    return path, run_study(prepared(COVERAGE), path, quiet)


def test_a_study_writes_its_directory(coverage):
    path, _ = coverage
    tables = {"settings", "coverage", "sizes", "hyper", "top", "statuses", "seconds"}
    written = {"config.yaml", "manifest.json", "report.html", "figures"}
    assert {each.name for each in path.iterdir()} == written | {f"{name}.csv" for name in tables}
    assert {each.name for each in path.iterdir()} <= set(OWN)
    assert {each.suffix for each in (path / "figures").iterdir()} == {".png"}
    manifest = json.loads((path / "manifest.json").read_text())
    assert (manifest["state"], manifest["kind"]) == ("finished", "coverage")
    assert sum(manifest["methods"]["moments"]["data_sets"].values()) == 60


def test_the_table_is_what_the_fits_say(coverage):
    path, _ = coverage
    study = prepared(COVERAGE)
    setting = study.settings[1]
    simulated = setting.simulate(30)
    fits = hj.fit_batch(simulated.data_sets, method=hj.Moments())
    row = next(
        row
        for row in rows(path / "coverage.csv")
        if (row["setting"], row["method"]) == ("6 units", "moments")
    )
    used = fits.status != "failed"
    inside = (fits.low <= simulated.rates) & (simulated.rates <= fits.high)
    assert float(row["coverage"]) == pytest.approx(inside[used].mean(), abs=1e-12)
    error = (fits.mean - simulated.rates)[used]
    assert float(row["rmse"]) == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-9)
    assert int(row["data_sets"]) == used.sum()


def test_methods_are_compiled_before_any_is_timed(tmp_path):
    compiled = {}

    @contextmanager
    def watch(name):
        with compilations() as found:
            yield
        compiled[name] = [event for event in found if "_chunk" in event]

    # Data sets of sizes that nothing else here has.
    grid = COVERAGE["simulate"] | {"units": [4, 11]}
    chains = {"method": "collapsed_gibbs", "chains": 2, "warmup": 5, "draws": 5}
    methods = [{"method": "moments"}, chains]
    study = prepared(COVERAGE, simulate=grid, methods=methods)
    record = run_study(study, tmp_path / "study", watch)
    assert len(compiled["compiling, 4 units"]) >= 2
    ran = [name for name in compiled if name.startswith(("moments", "collapsed_gibbs"))]
    assert len(ran) == 4
    assert not any(compiled[name] for name in ran)
    seconds = record.outcome.seconds
    assert np.all(seconds["compile"][:2] > seconds["compile"][2:])


def test_simulated_data_sets_are_from_the_population():
    # Kolmogorov and Smirnov's test of 3,000 rates fails once in 1,000 seeds.
    study = prepared(COVERAGE, data_sets=500)
    simulated = study.settings[1].simulate(500)
    assert stats.kstest(simulated.rates.ravel(), stats.beta(2.0, 6.0).cdf).pvalue > 1e-3
    trials = simulated.data_sets.trials
    assert (trials.min(), trials.max()) == (5, 20)


def test_fewer_data_sets_are_the_first_ones_and_settings_do_not_matter():
    both, one = prepared(COVERAGE), prepared(COVERAGE)
    alone = prepared(COVERAGE, simulate=COVERAGE["simulate"] | {"units": 6})
    many, few = both.settings[1].simulate(30), one.settings[1].simulate(7)
    other = alone.settings[0].simulate(7)
    for simulated in (few, other):
        successes = simulated.data_sets.successes
        np.testing.assert_array_equal(successes, many.data_sets.successes[:7])


def test_a_share_of_the_data_sets(coverage):
    path, _ = coverage
    sizes = {
        row["method"]: int(row["data_sets"]) + int(row["failed"])
        for row in rows(path / "coverage.csv")
    }
    assert sizes == {"moments": 30, "few": 6, "no_pooling": 30, "complete_pooling": 30}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(coverage, tmp_path):
    path, _ = coverage
    run_study(prepared(COVERAGE), tmp_path / "again", quiet)
    assert contents(tmp_path / "again") == contents(path)
    run_study(prepared(COVERAGE, seed=2), tmp_path / "other", quiet)
    differ = {name for name, data in contents(tmp_path / "other").items()
              if data != contents(path)[name]}  # fmt: skip
    assert {"coverage.csv", "report.html", "config.yaml"} <= differ
    assert "settings.csv" not in differ


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("data sets, 6 units", marks=pytest.mark.slow),
        "few, 6 units",
        pytest.param("figures and report", marks=pytest.mark.slow),
    ],
)
def test_interrupted_and_resumed_it_writes_the_same_bytes(coverage, tmp_path, stage):
    path, _ = coverage

    @contextmanager
    def interrupting(name):
        if name == stage:
            raise Interruption
        yield None

    run = tmp_path / "run"
    with pytest.raises(Interruption):
        run_study(prepared(COVERAGE), run, interrupting)
    assert json.loads((run / "manifest.json").read_text())["state"] == "unfinished"
    assert (run / ".parts").exists()
    with pytest.raises(ConfigError, match="--resume goes on with it"):
        run_study(prepared(COVERAGE), run, quiet)
    run_study(prepared(COVERAGE), run, quiet, resume=True)
    assert contents(run) == contents(path)
    assert run_study(prepared(COVERAGE), run, quiet, resume=True) is None


def test_what_was_done_is_not_done_again(coverage, tmp_path, monkeypatch):
    @contextmanager
    def interrupting(name):
        if name == "few, 6 units":
            raise Interruption
        yield None

    with pytest.raises(Interruption):
        run_study(prepared(COVERAGE), tmp_path / "run", interrupting)
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / ".parts").rglob("*.npz")}
    assert parts
    kept = {}

    @contextmanager
    def looking(name):
        if name == "figures and report":
            kept.update({path: path.stat().st_mtime_ns for path in parts})
        yield None

    compiled = []
    compile_batch = Work.compile

    def compiling(work, data_sets):
        compiled.append(data_sets.trials.shape)
        return compile_batch(work, data_sets)

    monkeypatch.setattr(Work, "compile", compiling)
    run_study(prepared(COVERAGE), tmp_path / "run", looking, resume=True)
    assert kept == parts
    # Of all four, only the method that was interrupted before it began.
    assert compiled == [(6, 6)]


def test_a_method_that_breaks_does_not_stop_the_others(monkeypatch, tmp_path):
    fit_batch = study_runner.fit_batch

    def breaking(data_sets, *arguments, **options):
        if len(data_sets) == 6:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory\nand a trace")
        return fit_batch(data_sets, *arguments, **options)

    monkeypatch.setattr(study_runner, "fit_batch", breaking)
    study = run_study(prepared(COVERAGE), tmp_path / "some", quiet)
    assert "few (3 units) found nothing: RESOURCE_EXHAUSTED: out of memory" in study.warnings
    assert not study.outcome.found_nothing
    manifest = json.loads((tmp_path / "some" / "manifest.json").read_text())
    assert manifest["methods"]["few"]["message"] == "RESOURCE_EXHAUSTED: out of memory"
    nothing = prepared(COVERAGE, methods=[{"method": "moments", "share": 0.2}])
    study = run_study(nothing, tmp_path / "none", quiet)
    assert study.outcome.found_nothing
    assert {row["method"] for row in rows(tmp_path / "none" / "coverage.csv")} == {
        "no_pooling",
        "complete_pooling",
    }


def test_settings_share_programs_where_that_costs_little():
    """Neither of very many data sets, nor beside trials so many that units stay pairs."""

    def shared(data_sets, units, trials):
        simulate = COVERAGE["simulate"] | {"units": units, "trials": trials}
        study = prepared(COVERAGE, data_sets=data_sets, simulate=simulate)
        return study_runner._common_class(study)

    few, many = ({"kind": "fixed", "trials": trials} for trials in (5, 5000))
    found = shared(20, [5, 30], few)
    assert (found.units, found.few) == (30, True)
    assert shared(20, 30, few) is None
    assert shared(20_000, [5, 30], few) is None
    assert shared(20, 30, [few, many]) is None


@pytest.mark.slow
def test_calibration_ranks_the_truth_among_draws(tmp_path):
    study = run_study(prepared(CALIBRATION), tmp_path / "run", quiet)
    found = rows(tmp_path / "run" / "ranks.csv")
    assert len(found) == 24
    names = ["logit_mean", "log_concentration", "alpha", "beta", "rate 2"]
    assert list(found[0]) == ["method", "data_set", "status", *names]
    ranks = np.array([[int(row[name]) for name in names] for row in found])
    assert set(np.unique(ranks)) <= set(range(-1, 10))
    judged = rows(tmp_path / "run" / "p_values.csv")
    assert [row["parameter"] for row in judged] == names
    assert len({row["verdict"] for row in judged}) == 1
    page = (tmp_path / "run" / "report.html").read_text()
    assert "rate of unit 2" in page
    assert "LogNormal(2, 0.5)" in page
    assert page.count("<img") == 1
    assert study.outcome.findings[0][0] == "Moments, corrected"


def fake_comparison(calls):
    def compare(data_sets, methods, model, *, platforms, precisions, **_):
        (name,) = methods
        calls.append((name, tuple(platforms)))
        made = [
            dict.fromkeys(COLUMNS, 1.5)
            | {"device": "cpu", "precision": precision, "method": name, "data_sets": len(data_sets)}
            for precision in precisions
        ]
        table = Table({column: [row[column] for row in made] for column in COLUMNS})
        missing = ("gpu: no GPU",) if "gpu" in platforms else ()
        return Comparison(table, missing, {"cpu": "2 cores"})

    return compare


def test_comparison_says_what_is_missing(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(study_comparison, "compare", fake_comparison(calls))
    study = run_study(prepared(COMPARISON), tmp_path / "run", quiet)
    # What is not there is looked for once.
    assert calls == [("moments", ("cpu", "gpu")), ("quadrature", ("cpu",))]
    assert study.warnings == ("not measured: gpu: no GPU",)
    found = rows(tmp_path / "run" / "comparison.csv")
    assert [(row["method"], row["precision"]) for row in found] == [
        (method, precision)
        for method in ("moments", "quadrature")
        for precision in ("float64", "float32")
    ]
    assert not (tmp_path / "run" / "seconds.csv").exists()
    assert "2 cores" in (tmp_path / "run" / "report.html").read_text()


def test_a_resumed_comparison_measures_the_rest(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(study_comparison, "compare", fake_comparison(calls))

    @contextmanager
    def interrupting(name):
        if name == "quadrature":
            raise Interruption
        yield None

    with pytest.raises(Interruption):
        run_study(prepared(COMPARISON), tmp_path / "run", interrupting)
    run_study(prepared(COMPARISON), tmp_path / "run", quiet, resume=True)
    assert [name for name, _ in calls] == ["moments", "quadrature"]


def test_data_sets_like_one_s_own():
    given = {key: value for key, value in COVERAGE.items() if key != "simulate"}
    given |= {"like": {"dataset": "rat_tumors"}, "methods": [{"method": "moments"}]}
    study = prepared(given)
    (setting,) = study.settings
    # The maximum of the rats' marginal likelihood is at alpha 2.3048, beta 14.0770.
    assert setting.population == "beta (alpha 2.305, beta 14.08)"
    assert (setting.trials, setting.units) == ("those of the data (10 to 52)", 70)
    simulated = setting.simulate(2)
    np.testing.assert_array_equal(simulated.data_sets.trials[1], hj.datasets.rat_tumors().trials)
    assert study.counts == hj.datasets.rat_tumors()


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        (COVERAGE, {"data_sets": 10**12}, "data_sets: expected a study that fits into"),
        (COVERAGE, {"data_sets": 10**30}, "GiB of memory, found 1,000,000,000,000,000,000,000"),
        (COVERAGE, {"chunk": 10**12}, "chunk: expected data sets that fit into"),
        (
            CALIBRATION,
            {"methods": [{"method": "gibbs", "chains": 2, "draws": 3}]},
            "methods[0]: draws: expected at most 6",
        ),
        (
            CALIBRATION,
            {"model": {"hyperprior": CALIBRATION["model"]["hyperprior"] | {"mean": {
                "distribution": "Normal", "loc": 0, "scale": 1}}}},
            "model.hyperprior: ",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_anything_is(given, changes, message):
    with pytest.raises(ConfigError) as caught:
        prepared(given, **changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_data_of_other_families_are_refused():
    with pytest.raises(ConfigError, match=r"like: .*, found those of gamma_poisson"):
        prepared({"kind": "coverage", "like": {"dataset": "pumps"}, "methods": COVERAGE["methods"]})


def test_memory_is_known():
    assert host_memory() > 2**28
