"""Studies by real processes: killed and resumed, refused, and what is printed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COVERAGE = """\
name: small
kind: coverage
data_sets: 320
simulate:
  population: {kind: beta, alpha: 2, beta: 6}
  units: [3, 6]
  trials: {kind: uniform, low: 5, high: 20}
methods:
  - {method: moments}
  - {method: gibbs, chains: 2, warmup: 100, draws: 1500}
chunk: 32
"""


@pytest.fixture(scope="module")
def start():
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "HIERJAX_"))}
    environment |= {
        "HIERJAX_CACHE_DIR": os.environ["JAX_COMPILATION_CACHE_DIR"],
        "PYTHONPATH": str(ROOT),
    }

    def start(*arguments, cwd):
        command = [sys.executable, "-m", "hierjax", *arguments]
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="module")
def command(start):
    def command(*arguments, cwd):
        process = start(*arguments, cwd=cwd)
        out, err = process.communicate(timeout=600)
        return process.returncode, out, err

    return command


def contents(path):
    files = (each for each in path.rglob("*") if each.is_file())
    timed = ("manifest.json", "seconds.csv")
    return {
        str(each.relative_to(path)): each.read_bytes() for each in files if each.name not in timed
    }


def parts(run, method):
    return len(list((run / ".parts").glob(f"*-{method}/*.npz")))


def kill_once(process, there):
    deadline = time.monotonic() + 240
    while not there():
        assert process.poll() is None, "the study ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_killed_twice_and_resumed_a_study_writes_the_same_files(start, command, tmp_path):
    (tmp_path / "small.yaml").write_text(COVERAGE)
    code, out, err = command("run", "small.yaml", cwd=tmp_path)
    assert code == 0, err
    assert out.splitlines()[-1] == "report: runs/small/report.html"
    whole = tmp_path / "runs" / "small"

    run, arguments = tmp_path / "killed", ("run", "small.yaml", "--out", "killed")
    kill_once(start(*arguments, cwd=tmp_path), lambda: parts(run, "gibbs") >= 3)
    before = parts(run, "gibbs")
    code, _, err = command(*arguments, cwd=tmp_path)
    assert (code, "--resume goes on with it" in err) == (2, True)
    again = start(*arguments, "--resume", cwd=tmp_path)
    kill_once(again, lambda: parts(run, "gibbs") >= before + 9)
    code, _, err = command(*arguments, "--resume", cwd=tmp_path)
    assert code == 0, err
    assert contents(run).keys() == contents(whole).keys()
    assert [name for name, data in contents(run).items() if data != contents(whole)[name]] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--level", "1"], "--set level=1.0: expected a number above 0 and below 1, found 1.0"),
        (["--set", "simulate.units=0"], "--set simulate.units=0: expected an integer of at least"),
        (["--device", "gpu"], "device: expected a GPU that JAX can use"),
        (["--set", "data_sets=1000000000000"], "data_sets: expected a study that fits into"),
        (["--precision", "both"], "'both' is not one of 'float64', 'float32'"),
        (["--out", "table.csv"], "--out table.csv: expected a directory"),
    ],
)
@pytest.mark.slow
def test_bad_input_is_refused_in_a_line_or_two(command, tmp_path, changes, message):
    import jax

    if "gpu" in changes and jax.default_backend() == "gpu":
        pytest.skip("there is a GPU")
    (tmp_path / "c.yaml").write_text(COVERAGE)
    code, out, err = command("run", "c.yaml", *changes, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) <= 2
    assert [each.name for each in tmp_path.iterdir()] == ["c.yaml"]
