"""Batches on every device: data sets and effective draws a second, in both precisions.

    python experiments/benchmarks/devices.py

Each platform that JAX has here runs in a process of its own; without a GPU the CPU's rows are all
there are, and a line says so. Answers are compared with the CPU's in float64.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from typing import Any

import numpy as np

PRECISIONS = ("float64", "float32")


def work(data_sets: int) -> None:
    """Measures the process's device, prints one JSON line a row, and saves the answers' digits."""
    import jax

    import hierjax as hj

    device = jax.devices()[0]
    rats, rng = hj.datasets.rat_tumors(), np.random.default_rng(0)
    trials = np.tile(rats.trials, (data_sets, 1))
    batch = hj.DataSets(rng.binomial(trials, rng.beta(2.3, 14.0, trials.shape)), trials)
    for precision in PRECISIONS:
        fit = partial(hj.fit_batch, batch, precision=precision)
        fits, compiled, seconds = twice(fit)
        answers = np.stack([fits.mean[::100], fits.low[::100], fits.high[::100]]).tolist()
        show(
            "exact posteriors, data sets", device, precision, compiled, data_sets / seconds, answers
        )
        method = hj.CollapsedGibbs(chains=1024, warmup=500, draws=1000)
        sample = partial(hj.fit, rats, method=method, key=jax.random.key(0), precision=precision)
        drawn, compiled, _ = twice(sample)
        timing = drawn.result.seconds
        rate = float(np.min(drawn.summary()["ess_bulk"][:2])) / timing["run"]
        name = "collapsed Gibbs, effective draws"
        show(name, device, precision, compiled, rate, [])


def twice(run: Any) -> tuple[Any, float, float]:
    """The second of two calls, the seconds that the first took longer, and its own."""
    start = time.perf_counter()
    run()
    first = time.perf_counter() - start
    start = time.perf_counter()
    found = run()
    second = time.perf_counter() - start
    return found, first - second, second


def show(
    work: str, device: Any, precision: str, compiled: float, rate: float, answers: list[Any]
) -> None:
    """One row, for the process that collects them."""
    kind = f"{device.platform} ({device.device_kind})"
    print(json.dumps([work, kind, precision, compiled, rate, answers]), flush=True)


def rows_of(platform: str, data_sets: int) -> list[Any] | None:
    """The rows of one platform; None if JAX has no such device."""
    command = [sys.executable, __file__, "--worker", "--data-sets", str(data_sets)]
    environment = {**os.environ, "JAX_PLATFORMS": platform}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode and platform == "cpu":
        raise SystemExit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()] if not done.returncode else None


def main() -> None:
    """Measures and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=10_000)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options.data_sets)
    print("| work | device | precision | compile, s | a second | largest difference |")
    print("|---|---|---|---|---|---|")
    reference = None
    for platform in ("cpu", "cuda"):
        rows = rows_of(platform, options.data_sets)
        if rows is None:
            print("\nNo GPU that JAX can use: the rows above are the CPU's alone.")
            continue
        for name, kind, precision, compiled, rate, answers in rows:
            reference = answers if reference is None else reference
            away = np.max(np.abs(np.subtract(answers, reference))) if answers else np.nan
            difference = f"{away:.1e}" if answers else ""
            numbers = f"{compiled:.1f} | {rate:,.0f} | {difference}"
            print(f"| {name} | {kind} | {precision} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
