"""Tables from ten thousand to a hundred million rows: seconds and peak memory of whole processes.

    python experiments/benchmarks/large_files.py
    python experiments/benchmarks/large_files.py --rows 10000 1000000

Writes a Parquet file of each size to a temporary folder (half a gigabyte for the largest, twice
that for the table with answers) and runs `hierjax fit` on it as a user does: for hyperparameters
alone, and for the table with every unit's rate and interval. Beside it, the floor: DuckDB alone
that counts the same pairs, and that copies the same file. Then one evaluation of the log-posterior
for each size, a run that is killed, and fits to data of other sizes with the compiled code that a
fit to 70 units left.
"""

import argparse
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow
from whole_process import measure

COLUMNS = ["--successes", "y", "--trials", "n"]
HIERJAX = [sys.executable, "-m", "hierjax", "fit"]
# What DuckDB alone takes, as a process of its own with the memory that hierjax gives it.
FLOORS = {
    "DuckDB counts the pairs": "SELECT y, n, count(*) FROM '{source}' GROUP BY y, n",
    "DuckDB copies the file": "COPY (SELECT * FROM '{source}') TO '{out}' (COMPRESSION zstd)",
}
SETUP = "import duckdb; d = duckdb.connect(config={'memory_limit': '1GiB'}); "


def write_table(path: Path, rows: int) -> None:
    """Units drawn from a million of a Beta(2, 5) population, with 1 to 50 trials each."""
    rng = np.random.default_rng(1)
    trials = rng.integers(1, 51, 1 << 20)
    successes = rng.binomial(trials, rng.beta(2, 5, 1 << 20))
    columns = {"k": np.arange(1 << 20), "y": successes.astype("i4"), "n": trials.astype("i4")}
    with duckdb.connect(config={"memory_limit": "1GiB"}) as database:
        database.execute("SET enable_progress_bar = false")
        database.from_arrow(pyarrow.table(columns)).create("population")
        database.execute(
            "COPY (SELECT id, y, n FROM (SELECT range AS id, CAST(hash(range) % 1048576 AS BIGINT) "
            f"AS k FROM range({rows})) JOIN population USING (k)) TO '{path}' (FORMAT parquet)"
        )


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a process of its own: a child's peak memory includes its parent's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def best(command: list[str], out: Path, repeats: int) -> tuple[float, float]:
    """The fewest seconds, and the most megabytes, of a command that writes a file."""
    found = []
    for _ in range(repeats):
        out.unlink(missing_ok=True)
        seconds, megabytes, _ = measure(command, dict(os.environ))
        found.append((seconds, megabytes))
    return min(seconds for seconds, _ in found), max(megabytes for _, megabytes in found)


def of_size(folder: Path, rows: int, repeats: int) -> list[tuple[str, int, float, float]]:
    """Everything about a file of one size, the file deleted afterwards."""
    source, out = folder / "a.parquet", folder / "out.parquet"
    apart(write_table, source, rows)
    fit = [*HIERJAX, str(source), *COLUMNS]
    work = {"hierjax fit --hyper-only": [*fit, "--hyper-only"]}
    work["hierjax fit --out rates.parquet"] = [*fit, "--out", str(out)]
    for name, sql in FLOORS.items():
        query = sql.format(source=source, out=out)
        work[name] = [sys.executable, "-c", f'{SETUP}d.execute("{query}").fetchall()']
    found = []
    for name, command in work.items():
        seconds, megabytes = best(command, out, repeats)
        found.append((name, rows, seconds, megabytes))
        print(f"{name}, {rows:,} rows: {seconds:.2f} s, {megabytes:.0f} MB", flush=True)
    print(f"one log-posterior of {rows:,} rows: {apart(evaluation, source):.2f} us", flush=True)
    if rows >= 1_000_000:
        print(kill(folder, [*fit, "--out", str(out)], out), flush=True)
    source.unlink()
    return found


def evaluation(source: Path) -> float:
    """Microseconds of one log-posterior density of a file's tally, within a compiled loop."""
    import jax
    import jax.numpy as jnp

    import hierjax as hj
    from hierjax.model import Model

    with duckdb.connect() as database:
        read = f"SELECT y, n, count(*)::DOUBLE AS units FROM '{source}' GROUP BY y, n"
        found = database.execute(read).fetchnumpy()
    successes, trials = (np.asarray(found[name], np.int64) for name in ("y", "n"))

    def loop(arrays: Any, eta: Any) -> Any:
        def step(_: int, eta: Any) -> Any:
            return eta + 1e-20 * Model().log_posterior(arrays, eta)

        return jax.lax.fori_loop(0, 1000, step, eta)

    with jax.enable_x64(True):
        arrays = hj.Tally.from_pairs(successes, trials, np.asarray(found["units"])).arrays()
        compiled = jax.jit(loop).lower(arrays, jnp.array([-0.9, 1.9])).compile()
        times = []
        for _ in range(100):
            start = time.perf_counter()
            compiled(arrays, jnp.array([-0.9, 1.9])).block_until_ready()
            times.append(time.perf_counter() - start)
    return min(times) / 1000 * 1e6


def kill(folder: Path, command: list[str], out: Path) -> str:
    """What a run leaves that is killed while it writes, and what the next one does."""
    out.unlink(missing_ok=True)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(folder.glob(".out.parquet.*")):
        if process.poll() is not None:
            return "the run ended before it could be killed"
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = sorted(path.name for path in folder.iterdir() if path.name != "a.parquet")
    assert all(name.startswith(".out.parquet.") for name in left), left
    measure(command, dict(os.environ))
    after = sorted(path.name for path in folder.iterdir() if path.name != "a.parquet")
    assert after == ["out.parquet"], after
    return "killed while it wrote: left a hidden file, which the next run removed"


def warm_starts(folder: Path, repeats: int) -> list[tuple[str, float, float]]:
    """Fits to data of different sizes one after the other, compiled code kept in between."""
    rng = np.random.default_rng(2)
    found = []
    environment = os.environ | {"HIERJAX_CACHE_DIR": str(folder / "cache")}
    cases = [(70, 60), (100, 50), (1000, 60), (10_000, 60), (1000, 250)]
    for units, most in cases:
        trials = rng.integers(10, most, units)
        successes = rng.binomial(trials, rng.beta(2, 10, units))
        path = folder / "small.csv"
        lines = (f"{y},{n}\n" for y, n in zip(successes, trials, strict=True))
        path.write_text("y,n\n" + "".join(lines))
        command = [*HIERJAX, str(path), *COLUMNS]
        first = measure(command, environment)[0]
        again = min(measure(command, environment)[0] for _ in range(repeats))
        name = f"{units:,} units of 10 to {most - 1} trials"
        found.append((name, first, again))
        print(f"{name}: {first:.2f} s, again {again:.2f} s", flush=True)
    return found


def main() -> None:
    """Measures and prints two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = [10_000, 1_000_000, 10_000_000, 100_000_000]
    parser.add_argument("--rows", type=int, nargs="*", default=sizes)
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many is reported")
    parser.add_argument("--folder", type=Path, help="where to write, instead of the temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        rows = [each for n in arguments.rows for each in of_size(folder, n, arguments.repeats)]
        starts = warm_starts(folder, arguments.repeats)
    import jax

    versions = f"Python {platform.python_version()}, jax {jax.__version__}"
    print(f"\n{os.cpu_count()} cores, {versions}, duckdb {duckdb.__version__}\n")
    print("| whole process | rows | seconds | million rows/s | peak MB |\n|---|---|---|---|---|")
    for name, n, seconds, megabytes in rows:
        print(f"| {name} | {n:,} | {seconds:.2f} | {n / seconds / 1e6:.1f} | {megabytes:,.0f} |")
    print("\n| hierjax fit, in this order, of | first time, s | again, s |\n|---|---|---|")
    for name, first, again in starts:
        print(f"| {name} | {first:.2f} | {again:.2f} |")


if __name__ == "__main__":
    main()
