"""The same batch on every platform: rows, what is missing, and what a process measures."""

import subprocess
import sys
import time

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import hierjax as hj
from hierjax.errors import ConfigError
from hierjax.families import FAMILIES
from hierjax.studies import comparison
from hierjax.studies.comparison import COLUMNS, Compared, compare
from hierjax.studies.comparison_worker import measured

SIZE = 6


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    trials = rng.integers(5, 40, (SIZE, 12))
    return hj.DataSets(rng.binomial(trials, rng.beta(2.0, 8.0, trials.shape)), trials)


class Processes:
    """Stands for processes: counts jobs, has a GPU or not, and answers with the method's name."""

    def __init__(self, gpu=True, broken=()):
        self.gpu, self.broken, self.jobs = gpu, broken, []

    def __call__(self, job):
        self.jobs.append(job)
        if job.platform == "gpu" and not self.gpu:
            return {"missing": "no GPU"}, None
        place = (job.method.name, job.platform, job.options["precision"])
        if place in self.broken:
            return {"error": "too few digits"}, None
        size = len(job.counts[0])
        mean = np.full((size, 2), 0.25 + 0.01 * (job.platform == "gpu"))
        mean[:, 1] = np.nan  # beyond the data set's units
        status = np.full(size, "converged")
        status[-1] = "failed" if job.options["precision"] == "float32" else "converged"
        answers = {"mean": mean, "sd": np.full((size, 2), 0.1), "status": status}
        numbers = dict.fromkeys(COLUMNS[5:12], 1.0)
        told = {"data_sets": size, "failed": int(np.sum(status == "failed")), **numbers}
        return told | {"hardware": f"a {job.platform}"}, answers


def test_every_combination_has_a_row_and_differs_from_the_reference(batch, monkeypatch):
    processes, seen = Processes(), []
    monkeypatch.setattr(comparison, "_in_process", processes)
    methods = {"moments": hj.Moments(), "few": Compared(hj.Type2MLE(), 2, "corrected")}
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    found = compare(batch, methods, chunk=3, progress=progress)
    table = found.table
    assert list(table) == list(COLUMNS)
    assert list(zip(table["method"], table["device"], table["precision"], strict=True)) == [
        (method, device, precision)
        for method in methods
        for device in ("cpu", "gpu")
        for precision in ("float64", "float32")
    ]
    assert table["data_sets"].tolist() == [SIZE] * 4 + [2] * 4
    assert table["largest_difference"] == pytest.approx([0, 0, 0.1, 0.1] * 2)
    assert table["other_status"].tolist() == [0, 1, 0, 1] * 2
    assert table["failed"].tolist() == [0, 1, 0, 1] * 2
    assert (found.missing, found.hardware) == ((), {"cpu": "a cpu", "gpu": "a gpu"})
    assert seen == [(done, 8) for done in range(9)]
    assert [job.options["empirical_bayes"] for job in processes.jobs[3:5]] == [
        "plug_in",
        "corrected",
    ]
    assert np.array_equal(processes.jobs[-1].counts[0], batch.successes[:2])
    assert processes.jobs[0].options["chunk"] == 3


def test_without_a_gpu_the_cpu_s_rows_are_there_and_one_line_says_so(batch, monkeypatch):
    processes = Processes(gpu=False)
    monkeypatch.setattr(comparison, "_in_process", processes)
    found = compare(batch, {"moments": hj.Moments(), "ascent": hj.Type2MLE()})
    assert found.table["device"].tolist() == ["cpu"] * 4
    assert found.missing == ("gpu: no GPU",)
    # It is looked for once.
    assert [job.platform for job in processes.jobs].count("gpu") == 1


def test_what_fails_is_said_and_without_a_reference_there_are_no_differences(batch, monkeypatch):
    broken = [("moments", "cpu", "float64")]
    monkeypatch.setattr(comparison, "_in_process", Processes(broken=broken))
    found = compare(batch, {"moments": hj.Moments()})
    assert found.missing == ("moments on cpu in float64: too few digits",)
    assert len(found.table) == 3
    assert np.isnan(found.table["largest_difference"]).all()
    assert np.isnan(found.table["other_status"]).all()


def test_differences_are_in_posterior_sd_where_both_say_the_same():
    def answers(status, mean):
        return {"status": np.array(status), "mean": np.array(mean), "sd": np.array([[0.1]] * 4)}

    reference = answers(["converged", "boundary", "failed", "converged"], [[0.3]] * 4)
    own = answers(["converged", "boundary", "failed", "not_converged"], [[0.32], [9], [9], [9]])
    told = comparison._differences(own, reference)
    assert told == {"largest_difference": pytest.approx(0.2), "other_status": 1}
    pooled = answers(["boundary"] * 4, [[0.3]] * 4)
    assert np.isnan(comparison._differences(pooled, pooled)["largest_difference"])


def test_how_a_process_ended_is_told():
    assert comparison._ending(-9, "") == (
        "its process was killed, as happens where memory runs out"
    )
    said = "Traceback\nValueError: no"
    assert comparison._ending(1, said) == "its process ended with status 1 and said ValueError: no"


@pytest.mark.parametrize(("first", "calls"), [(0.0, 6), (30.0, 1), (3.0, 3)])
def test_short_runs_are_repeated_and_long_ones_are_not(monkeypatch, first, calls):
    clock, made = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def fit():
        made.append(None)
        # Later calls are faster, but for one.
        clock[0] += first if len(made) == 1 else first / 4 + (len(made) == 2) * first / 4
        return len(made)

    found, compiling, running = measured(fit)
    assert (found, compiling, len(made)) == (calls, 0.0, calls)
    assert running == {0.0: 0.0, 30.0: 30.0, 3.0: 0.75}[first]


_MEMORY = """
import numpy as np
from hierjax.studies.comparison_worker import peak_megabytes
before = peak_megabytes()
block = np.ones(50_000_000)
print(before, peak_megabytes())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's process table")
def test_peak_memory_is_that_of_the_process():
    """In a process of its own: the peak of this one may be most of the machine's memory."""
    done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, check=True)
    before, after = map(float, done.stdout.split())
    assert 0 < before < 300
    assert 380 < after - before < 420  # of 400 MB


def test_a_platform_that_is_not_there_is_missing(batch):
    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is a GPU")
    found = compare(batch, {"moments": hj.Moments()}, platforms=["gpu"])
    assert len(found.table) == 0
    assert found.missing == ("gpu: no GPU that JAX can use; hierjax[gpu] brings what it needs",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": 1.0}, "level: expected a probability"),
        ({"platforms": []}, "expected at least one method, platform and precision"),
        ({"methods": {}}, "expected at least one method, platform and precision"),
        ({"methods": {"few": Compared(hj.Moments(), SIZE + 1)}}, f"from 1 to {SIZE}, found 7"),
        (
            {"model": hj.Model(FAMILIES["normal_normal"])},
            "expected the family beta_binomial, as studies know no other, found normal_normal",
        ),
        (
            {"methods": {"exact": Compared(hj.Quadrature(), None, "corrected")}},
            "empirical_bayes",
        ),
    ],
)
def test_what_is_refused(batch, changes, message):
    asked = {"methods": {"moments": hj.Moments()}, **changes}
    with pytest.raises(ConfigError, match=message):
        compare(batch, **asked)


def test_samplers_need_a_key(batch):
    with pytest.raises(TypeError, match="key: expected a typed key"):
        compare(batch, {"gibbs": hj.Gibbs()})


@pytest.mark.slow
def test_real_processes_agree_in_both_precisions(batch):
    prior = hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 1.0))
    methods = {
        "quadrature": hj.Quadrature(rows=24, columns=16, tolerance=0.03),
        "gibbs": Compared(hj.CollapsedGibbs(chains=2, warmup=200, draws=500), 2),
    }
    found = compare(
        batch, methods, hj.Model(hyperprior=prior), key=jax.random.key(0), platforms=["cpu"]
    )
    assert found.missing == ()
    rows = list(found.table.rows())
    assert [row["data_sets"] for row in rows] == [SIZE, SIZE, 2, 2]
    exact, single, *sampled = rows
    assert exact["largest_difference"] == 0
    assert 0 < single["largest_difference"] < 1e-3
    for row in rows:
        assert row["failed"] == 0
        assert row["compile_seconds"] > row["run_seconds"] > 0
        assert row["data_sets_per_second"] * row["run_seconds"] == pytest.approx(row["data_sets"])
        assert 50 < row["peak_megabytes"] < 5000
        assert np.isnan(row["device_megabytes"])
    for row in sampled:
        assert row["draws_per_second"] * row["run_seconds"] == pytest.approx(2 * 2 * 500)
        # Monte Carlo error of some 500 effective draws, between chains that went apart.
        assert row["largest_difference"] < 0.5
        assert 0.1 < row["ess_per_second"] / row["draws_per_second"] < 1.5
    assert np.isnan(exact["ess_per_second"])


@pytest.mark.slow
def test_what_a_method_refuses_in_its_process_is_said(batch):
    found = compare(
        batch, {"moments": hj.Moments()}, platforms=["cpu"], precisions=["float64"], chunk=10**9
    )
    assert len(found.table) == 0
    assert found.missing[0].startswith("moments on cpu in float64: chunk: expected data sets that")
