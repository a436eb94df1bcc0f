"""The command line, by real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from hierjax.datasets import rat_tumors
from hierjax.experiment.run_directory import OWN
from hierjax.inference.convergence import import_arviz

ROOT = Path(__file__).parents[1]
HEAVY = ("jax", "numpy", "pydantic", "matplotlib", "arviz", "scipy", "numpyro", "yaml", "rich")
HEAVY += ("duckdb", "narwhals", "pandas", "polars", "pyarrow")
SMALL = """\
name: small
data: {dataset: rat_tumors}
methods:
  - {method: moments, estimator: raw_rates}
  - {method: quadrature}
  - {method: gibbs, chains: 2, warmup: 500, draws: 4000, chunk: 50}
new_units: [{label: current, successes: 4, trials: 14}]
"""
COLUMNS = ["--successes", "y", "--trials", "n"]


@pytest.fixture(scope="session")
def environment():
    """Of a user who keeps compiled code where the tests do."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "HIERJAX_"))}
    cache = os.environ["JAX_COMPILATION_CACHE_DIR"]
    return environment | {"HIERJAX_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def start(environment):
    def start(*arguments, cwd):
        return subprocess.Popen(
            [sys.executable, "-m", "hierjax", *arguments],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def command(start):
    def command(*arguments, cwd):
        process = start(*arguments, cwd=cwd)
        out, err = process.communicate(timeout=300)
        return Done(process.returncode, out, err)

    return command


def test_help_imports_nothing_heavy(environment):
    code = (
        "import sys\n"
        "from hierjax.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as left: assert not left.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: hierjax [OPTIONS] COMMAND")
    assert done.stdout.endswith("[]\n")


class Bad(NamedTuple):
    """Input that is refused: files, arguments, and what the error says."""

    arguments: list[str]
    message: str
    files: dict[str, str] = {}  # noqa: RUF012  never changed


def table(rows, message, *more):
    files = {"a.csv": f"label,y,n\n{rows}"}
    return Bad(["fit", "a.csv", *COLUMNS, *more, "--out", "run"], message, files)


def config(text, message, *more):
    text = text if "data:" in text else f"data: {{dataset: rat_tumors}}\n{text}"
    return Bad(["run", "c.yaml", "--out", "run", *more], message, {"c.yaml": text})


GIBBS = "methods: [{method: gibbs, draws: 10, warmup: 10, chains: 1}]\n"
BAD = {
    "more successes than trials": table(
        "a,5,4\nb,1,9", "a.csv, line 2, column 'y': expected at most 4 (column 'n'), found 5"
    ),
    "negative": table("a,1,4\nb,-1,9", "a.csv, line 3, column 'y': expected a whole number"),
    "fraction": table("a,1.5,4\nb,1,9", "a.csv, line 2, column 'y': expected a whole number"),
    "nan": table("a,1,nan\nb,1,9", "a.csv, line 2, column 'n': expected a whole number"),
    "empty cell": table("a,1,\nb,1,9", "line 2, column 'n': expected a whole number"),
    "text": table("a,1,many\nb,1,9", "found 'many'"),
    "overflow": table("a,1,1e30\nb,1,9", "a.csv, line 2, column 'n': expected a whole number"),
    "missing column": table("a,1,4\nb,1,9", "did you mean 'label'?", "--label", "lable"),
    "empty table": table("", "a.csv: expected at least two units to pool, found 0"),
    "one unit": table("a,1,4", "a.csv: expected at least two units to pool, found 1"),
    "no trials": table("a,0,0\nb,0,0", "a.csv: expected a unit that has trials, found none"),
    "missing file": Bad(["fit", "no.csv", *COLUMNS], "no.csv: expected a readable file"),
    "folder for a file": Bad(["fit", ".", *COLUMNS], "found: Is a directory"),
    "new unit": table("a,1,4\nb,1,9", "--new: expected successes/trials, as 4/14", "--new", "4-9"),
    "new successes": table("a,1,4\nb,1,9", "no more successes than trials", "--new", "15/14"),
    "no interior unit": table("a,0,4\nb,9,9", "posterior is improper"),
    "too few digits": table(
        "a,99999999,100000000\nb,1,9", "float32 holds too few digits", "--precision", "float32"
    ),
    "hyperparameters to a run": table(
        "a,1,4\nb,1,9", "--hyper-only: expected no --out, as nothing is written", "--hyper-only"
    ),
    "unknown method": table("a,1,4\nb,1,9", "did you mean 'gibbs'?", "--method", "gibs"),
    "level": table("a,1,4\nb,1,9", "--set level=0: expected a number above 0", "--set", "level=0"),
    "seed": table("a,1,4\nb,1,9", "Invalid value for '--seed'", "--seed", "-1"),
    "missing option": table(
        "a,1,4\nb,1,9",
        "successes and trials, or success_column and unit, found column 'y'",
        "--unit",
        "l",
    ),
    "no columns": Bad(["fit", "a.csv"], "found no successes and no trials"),
    "no match": Bad(["fit", "a*.csv", *COLUMNS], "a*.csv: expected files that match, found none"),
    "broken Parquet": Bad(
        ["fit", "a.parquet", *COLUMNS], "a.parquet: expected a table", {"a.parquet": "PAR1 no more"}
    ),
    "table there already": Bad(
        ["fit", "a.csv", *COLUMNS, "--out", "a.csv"],
        "--out a.csv: expected no file there, found one",
        {"a.csv": "y,n\n1,4\n1,9\n"},
    ),
    "bad row for a table": Bad(
        ["fit", "a.csv", *COLUMNS, "--out", "b.parquet"],
        "a.csv, line 3, column 'y': expected at most 9 (column 'n'), found 10",
        {"a.csv": "y,n\n1,4\n10,9\n"},
    ),
    "events and units": config(
        "data: {path: a.csv, success_column: y, unit: u, trials: n}",
        "data: expected path, success_column and unit alone, found trials beside them",
    ),
    "unknown option": Bad(["run", "c.yaml", "--sed", "1"], "No such option"),
    "missing configuration": Bad(["run", "c.yaml"], "c.yaml: expected a readable file"),
    "not YAML": config("a: [1", "c.yaml, line 2: expected valid YAML"),
    "key given twice": config("seed: 1\nseed: 2", "c.yaml, line 3: expected each key once"),
    "unsafe YAML": config("a: !!python/name:os.system ''", "expected plain YAML, found the tag"),
    "unknown key": config("sed: 1", "c.yaml, line 2: sed: expected no such key; did you mean 'se"),
    "wrong type": config(
        "methods:\n  - {method: moments}\n  - {method: nuts, draws: many}",
        "c.yaml, line 4: methods[1].draws: expected an integer above 0, found 'many'",
    ),
    "no draws": config("methods: [{method: gibbs, draws: 0}]", "above 0, found 0"),
    "bad distribution": config(
        "model: {hyperprior: {kind: shapes, alpha: {distribution: Gama}, "
        "beta: {distribution: HalfNormal}}}",
        "model.hyperprior.alpha.distribution: expected a continuous distribution of NumPyro, "
        "found 'Gama'; did you mean 'Gamma'?",
    ),
    "unknown data set": config("data: {dataset: rats}", "dataset: expected one of rat_tumors"),
    "missing data": config(
        "data: {path: no.csv, successes: y, trials: n}", "no.csv: expected a readable file"
    ),
    "change": config(GIBBS, "--set methods[0].drwas=1: ", "--set", "methods[0].drwas=1"),
    "no gpu": config(GIBBS, "device: expected a GPU that JAX can use", "--device", "gpu"),
    "questions of groups": table(
        "a,1,4\nb,1,9", "--above: expected no --group", "--group", "label", "--above", "0.2"
    ),
    "a single group": Bad(
        ["fit", "a.csv", *COLUMNS, "--group", "g", "--out", "run"],
        "data.group: expected two groups or more in column 'g', found one ('a')",
        {"a.csv": "g,y,n\na,1,4\na,1,9\n"},
    ),
    "no group": table("a,1,4\nb,1,9", "did you mean 'label'?", "--group", "labl"),
    "output is a file": Bad(
        ["run", "c.yaml", "--out", "c.yaml"],
        "c.yaml: expected a directory to write, found a file at c.yaml",
        {"c.yaml": "data: {dataset: rat_tumors}\n"},
    ),
}


def _has_gpu():
    import jax

    return any(device.platform == "gpu" for device in jax.devices())


# Each in a process of its own: a sixth of them by default.
EACH = [
    name if i % 6 == 0 else pytest.param(name, marks=pytest.mark.slow) for i, name in enumerate(BAD)
]


@pytest.mark.parametrize("name", EACH)
def test_bad_input_is_refused_in_a_line_or_two(name, command, tmp_path):
    if name == "no gpu" and _has_gpu():
        pytest.skip("there is a GPU")
    for path, text in BAD[name].files.items():
        (tmp_path / path).write_text(text)
    done = command(*BAD[name].arguments, cwd=tmp_path)
    assert done.code == 2
    assert done.out == ""
    assert BAD[name].message in done.err
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) <= 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(BAD[name].files)


@pytest.fixture(scope="module")
def finished(command, tmp_path_factory):
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "small.yaml").write_text(SMALL)
    return folder / "runs" / "small", command("run", "small.yaml", cwd=folder)


def rows(path):
    lines = path.read_text().splitlines()
    header = lines[0].split(",")
    return header, [dict(zip(header, line.split(","), strict=True)) for line in lines[1:]]


def test_a_run_writes_its_directory(finished):
    run, done = finished
    assert done.code == 0, done.err
    asked = {"exceedance.csv", "ranks.csv", "contrasts.csv", "predictions.csv"}
    asked |= {"later.csv", "later_units.csv"}
    assert {path.name for path in run.iterdir()} == set(OWN) - asked
    assert [path.name for path in (run / "draws").iterdir()] == ["gibbs.nc"]
    assert all(path.suffix == ".png" for path in (run / "figures").iterdir())
    assert "report: runs/small/report.html" in done.out


def test_a_run_ends_with_one_line_a_method(finished):
    _, done = finished
    lines = done.out.splitlines()
    assert " ".join(lines[0].split()) == "method alpha beta current max |z| seconds status"
    assert [line.split()[0] for line in lines[1:4]] == ["moments", "quadrature", "gibbs"]
    assert lines[1].split()[1:4] == ["1.38", "8.75", "0.223"]
    assert "0.210 [0.101, 0.346]" in lines[2]
    assert "\x1b" not in done.out + done.err


def test_the_tables_hold_the_answers(finished):
    run, _ = finished
    header, hyper = rows(run / "hyper.csv")
    columns = "method,parameter,mean,sd,low,median,high,ess_bulk,ess_tail,r_hat"
    assert header == columns.split(",")
    assert len(hyper) == 3 * 6
    exact = {row["parameter"]: row for row in hyper if row["method"] == "quadrature"}
    # Reference values of an independent quadrature; the mean of alpha does not exist.
    assert float(exact["logit_mean"]["mean"]) == pytest.approx(-1.797333203566, abs=1e-8)
    assert exact["alpha"]["mean"] == ""
    header, units = rows(run / "units.csv")
    columns = "method,label,successes,trials,raw_rate,mean,sd,low,median,high,shrinkage"
    assert header == columns.split(",")
    assert len(units) == 3 * 70
    header, new = rows(run / "new_units.csv")
    assert header == columns.split(",")
    assert [row["label"] for row in new] == ["current"] * 3
    assert float(new[1]["mean"]) == pytest.approx(0.210205114877, abs=1e-8)
    header, agreement = rows(run / "agreement.csv")
    assert header == ["method", "quantity", "value", "reference", "mcse", "z"]
    assert {row["method"] for row in agreement} == {"moments", "gibbs"}
    header, loo = rows(run / "loo.csv")
    assert header == ["model", "elpd", "se"]
    assert [row["model"] for row in loo] == ["no_pooling", "complete_pooling", "partial_pooling"]


def test_the_draws_are_read_by_arviz(finished):
    run, _ = finished
    data = import_arviz().from_netcdf(run / "draws" / "gibbs.nc")
    assert data["posterior"]["alpha"].shape == (2, 4000)
    assert np.isfinite(data["posterior"]["log_concentration"]).all()


def test_the_manifest_says_what_ran(finished):
    run, _ = finished
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["state"] == "finished"
    assert manifest["seed"] == 1
    assert manifest["precision"] == "float64"
    assert manifest["data"]["units"] == 70
    assert manifest["methods"]["gibbs"]["status"] in ("converged", "not_converged")
    assert {"compile", "run", "total"} <= manifest["methods"]["gibbs"]["seconds"].keys()
    assert {"hierjax", "jax", "python"} <= manifest["versions"].keys()


def test_a_finished_run_is_left_alone(finished, command):
    run, _ = finished
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    folder = run.parents[1]
    again = command("run", "small.yaml", cwd=folder)
    assert (again.code, "found this one finished" in again.err) == (2, True)
    other = command("run", "small.yaml", "--seed", "2", cwd=folder)
    assert (other.code, "found 'small' with another seed" in other.err) == (2, True)
    resumed = command("run", "small.yaml", "--resume", cwd=folder)
    assert (resumed.code, "finished already" in resumed.out) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def contents(run):
    """All files but the manifest, which holds wall seconds."""
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def kill_once(process, there, run):
    """Kills a process as soon as there is something to be seen in its directory."""
    deadline = time.monotonic() + 120
    while not there():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert json.loads((run / "manifest.json").read_text())["state"] == "unfinished"


@pytest.mark.slow
def test_killed_twice_and_resumed_a_run_writes_the_same_files(finished, start, command):
    # The second run starts from what the first one wrote as its configuration.
    reference, _ = finished
    folder = reference.parents[1]
    run = folder / "killed"
    arguments = ("run", str(reference / "config.yaml"), "--out", "killed")

    kill_once(start(*arguments, cwd=folder), (run / "draws" / "gibbs.partial.npz").exists, run)
    refused = command(*arguments, cwd=folder)
    assert (refused.code, "--resume goes on with it" in refused.err) == (2, True)

    figures = run / ".partial" / "figures"
    kill_once(start(*arguments, "--resume", cwd=folder), figures.exists, run)
    done = command(*arguments, "--resume", cwd=folder)
    assert done.code == 0, done.err
    assert contents(run).keys() == contents(reference).keys()
    differ = [name for name, data in contents(run).items() if data != contents(reference)[name]]
    assert differ == []


@pytest.mark.slow
def test_a_method_that_fails_does_not_stop_the_others(command, tmp_path):
    # Samplers of the units' rates take no weights.
    (tmp_path / "a.csv").write_text("y,n,w\n1,9,1\n4,9,2\n2,9,1\n")
    data = "data: {path: a.csv, successes: y, trials: n, weight: w}\n"
    (tmp_path / "c.yaml").write_text(data + "methods: [{method: gibbs}, {method: moments}]\n")
    done = command("run", "c.yaml", "--out", "some", cwd=tmp_path)
    assert done.code == 0
    assert done.out.splitlines()[1].split()[-1] == "failed"
    assert "warning: gibbs: failed; " in done.err
    manifest = json.loads((tmp_path / "some" / "manifest.json").read_text())
    assert manifest["methods"]["gibbs"]["status"] == "failed"
    assert "weights of 1" in manifest["methods"]["gibbs"]["message"]

    (tmp_path / "d.yaml").write_text(data + "methods: [{method: gibbs}]\n")
    done = command("run", "d.yaml", "--out", "none", cwd=tmp_path)
    assert done.code == 1
    assert json.loads((tmp_path / "none" / "manifest.json").read_text())["state"] == "finished"
    assert "weights of 1" in (tmp_path / "none" / "report.html").read_text()


def test_fit_prints_tables(command, tmp_path):
    counts = rat_tumors()
    pairs = zip(counts.successes, counts.trials, strict=True)
    lines = [f"a,{y},{n}" for y, n in pairs]
    (tmp_path / "rats.csv").write_text("\n".join(["id,tumors,rats", *lines]))
    columns = ["--successes", "tumors", "--trials", "rats", "--label", "id"]
    done = command("fit", "rats.csv", *columns, "--new", "current=4/14", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith("70 units, 263 successes of 1,725 trials\nquadrature: converged\n")
    last = done.out.splitlines()[-1].split()
    assert last[:5] == ["current", "4", "14", "0.286", "0.210"]
    assert "10 lowest and 10 highest means of 70" in done.out
    assert "warning: rats.csv: expected a label of its own for each unit" in done.err
    assert "\x1b" not in done.out + done.err
    assert [path.name for path in tmp_path.iterdir()] == ["rats.csv"]


@pytest.mark.slow
def test_fit_writes_what_run_reads(command, tmp_path):
    (tmp_path / "a.csv").write_text("y,n\n1,9\n4,9\n2,9\n")
    done = command(
        "fit",
        "a.csv",
        *COLUMNS,
        "--method",
        "moments",
        "--level",
        "0.5",
        "--out",
        "x",
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "report: x/report.html"
    _, units = rows(tmp_path / "x" / "units.csv")
    assert [row["label"] for row in units] == ["1", "2", "3"]
    again = command("run", "x/config.yaml", "--out", "x", "--resume", cwd=tmp_path)
    assert (again.code, "finished already" in again.out) == (0, True)


def test_fit_writes_the_table_of_the_user(command, tmp_path):
    events = {"1.csv": "page,sold\nb,1\na,0\nb,0\n", "2.csv": "page,sold\na,1\nb,1\nc,0\n"}
    for name, text in events.items():
        (tmp_path / name).write_text(text)
    columns = ["--success-column", "sold", "--unit", "page"]
    done = command("fit", "?.csv", *columns, "--out", "rates.csv", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("3 units, 3 successes of 6 trials\nquadrature: converged\n")
    assert done.out.splitlines()[-1] == "table: rates.csv"
    header, found = rows(tmp_path / "rates.csv")
    answers = "raw_rate,mean,sd,low,median,high,shrinkage"
    assert header == ["page", "successes", "trials", *answers.split(",")]
    assert [(row["page"], row["successes"]) for row in found] == [
        ("a", "1"),
        ("b", "2"),
        ("c", "0"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.csv", "2.csv", "rates.csv"]


def test_schema_and_info(command, tmp_path):
    schema = command("schema", cwd=tmp_path)
    assert (schema.code, schema.err) == (0, "")
    assert len(json.loads(schema.out)["oneOf"]) == 6
    info = command("info", cwd=tmp_path)
    assert (info.code, info.err) == (0, "")
    names = [line.split()[0] for line in info.out.splitlines()]
    assert {"hierjax", "jax", "device", "precision", "cache"} <= set(names)


def test_without_a_command_there_is_help(command, tmp_path):
    done = command(cwd=tmp_path)
    assert done.code == 0
    assert done.out.startswith("Usage: hierjax")


def test_a_reader_that_leaves_early_sees_no_complaint(environment, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "hierjax", "schema"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
