"""Effective draws a second of both Gibbs samplers, beside JAGS in the same run.

    python experiments/benchmarks/gibbs.py

Units: the 70 rat experiments, and simulated ones, 10, 1,000 and 100,000. The effective sample size
is the smaller of logit_mean's and log_concentration's in bulk, by ArviZ, for JAGS too. Rates are of
sampling: warm-up and compilation are apart, for all. JAGS is skipped where rjags is not installed.
Memory is the peak of a fresh process that keeps 10,000 draws of 100,000 units' hyperparameters.
"""

import argparse
import csv
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from growth import draw_growth

import hierjax as hj
from hierjax.inference.convergence import effective_sample_sizes

HERE = Path(__file__).parent
SIZES = (10, 70, 1_000, 100_000)
# Iterations of each of JAGS's four chains; it is not asked for sizes that take it minutes.
JAGS_ITERATIONS = {10: 10_000, 70: 10_000, 1_000: 1_000}
MEMORY = {"chains": 4, "warmup": 500, "draws": 2_500}


class Row(NamedTuple):
    """One sampler on one table."""

    units: int
    sampler: str
    compile_seconds: float
    warmup_seconds: float
    seconds: float
    ess: float
    draws: int

    @property
    def rate(self) -> float:
        """Effective draws a second of sampling."""
        return self.ess / self.seconds


def counts_of(units: int) -> hj.Counts:
    """The rats, or units simulated from a population like theirs."""
    if units == 70:
        return hj.datasets.rat_tumors()
    trials = 1 + np.random.default_rng(units).poisson(24, units)
    key = jax.random.key(units)
    return hj.datasets.simulate(key, mean=0.14, concentration=16.0, trials=trials)[0]


def samplers(units: int) -> dict[str, tuple[object, str]]:
    """Settings follow from the number of units alone: a lane's rates have to fit in a cache."""
    chains = max(4, min(256, 1 << (20_000 // units).bit_length()))
    draws = 1000 if units <= 1_000 else 500
    textbook = {"chains": chains, "warmup": 300, "draws": draws, "block": True, "chunk": 100}
    collapsed = hj.CollapsedGibbs(chains=1024, warmup=500, draws=1000, chunk=250)
    moving = hj.Gibbs(**textbook, metropolis_steps=4, interweaving=4)
    return {
        "Gibbs": (hj.Gibbs(**textbook, metropolis_steps=8), "float64"),
        "Gibbs, interweaved": (moving, "float64"),
        "collapsed Gibbs": (collapsed, "float64"),
        "collapsed Gibbs, float32": (collapsed, "float32"),
    }


def smallest(draws: np.ndarray) -> float:
    return min(effective_sample_sizes(draws[..., i])[0] for i in range(2))


def ours(units: int, counts: hj.Counts, repeats: int) -> list[Row]:
    rows = []
    for name, (method, precision) in samplers(units).items():
        jax.clear_caches()
        found, compiling = [], 0.0
        for repeat in range(repeats + 1):
            key = jax.random.key(repeat)
            fit = hj.fit(counts, method=method, key=key, precision=precision)
            seconds = fit.result.seconds
            if repeat == 0:  # the first run compiles, and is not counted
                compiling = seconds["compile"]
                continue
            share = method.draws / (method.warmup + method.draws)
            run, total = seconds["run"], method.chains * method.draws
            found.append((smallest(fit.draws) / (share * run), share, run, total))
        rate, share, run, total = max(found)
        rows.append(
            Row(units, name, compiling, (1 - share) * run, share * run, rate * share * run, total)
        )
        print(rows[-1], f"{rows[-1].rate:,.0f} a second", fit.status, flush=True)
    return rows


def jags(units: int, counts: hj.Counts) -> list[Row]:
    """Four chains of JAGS, with ArviZ's effective sample size."""
    iterations = JAGS_ITERATIONS.get(units)
    if iterations is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        table, draws = Path(folder, "rats.csv"), Path(folder, "draws.csv")
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["tumors", "rats"])
            writer.writerows(zip(counts.successes.tolist(), counts.trials.tolist(), strict=True))
        command = ["Rscript", HERE / "peers" / "jags.R", table, HERE / "peers", iterations, draws]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            print(f"JAGS: skipped, {done.stderr.strip().splitlines()[-1:]}")
            return []
        line = next(x for x in done.stdout.splitlines() if x.startswith("seconds"))
        warm, seconds = map(float, line.split()[1:])
        with draws.open() as file:
            names = next(csv.reader(file))
        columns = [names.index(name) for name in ("logit_mean", "log_concentration")]
        values = np.loadtxt(draws, delimiter=",", skiprows=1, usecols=columns)
    chains = values.reshape(4, iterations, 2)
    row = Row(units, "JAGS", 0.0, warm, seconds, smallest(chains), 4 * iterations)
    print(row, f"{row.rate:,.0f} a second", flush=True)
    return [row]


def memory() -> None:
    """In a process of its own: the textbook sampler of 100,000 units."""
    method = hj.Gibbs(**MEMORY, block=True, interweaving=2, chunk=250)
    start = time.perf_counter()
    fit = hj.fit(counts_of(100_000), method=method, key=jax.random.key(0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = MEMORY["chains"] * MEMORY["draws"]
    print(
        f"Gibbs, 100,000 units, {total:,} draws in {MEMORY['chains']} chains: {fit.status}, ESS "
        f"{smallest(fit.draws):,.0f}, {time.perf_counter() - start:.0f} s, peak {peak:,.0f} MB"
    )


def main() -> None:
    """Measures and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the best counts")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--figure", type=Path, help="where to draw how rates fall with the units")
    arguments = parser.parse_args()
    if arguments.memory:
        return memory()
    peer = shutil.which("Rscript") is not None and not arguments.no_peers
    if not peer:
        print("JAGS: skipped, no Rscript or not asked for")
    rows = []
    for units in arguments.sizes:
        counts = counts_of(units)
        rows += jags(units, counts) if peer else []
        rows += ours(units, counts, arguments.repeats)
    load = os.getloadavg()[2]
    versions = f"Python {platform.python_version()}, jax {jax.__version__}"
    print(f"\n{os.cpu_count()} cores, {platform.machine()}, {versions}, load average {load:.1f}\n")
    print("| units | sampler | compile, s | sampling, s | draws | ESS | ESS/s | x JAGS |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        peers = [x.rate for x in rows if x.units == row.units and x.sampler == "JAGS"]
        ratio = f"{row.rate / peers[0]:,.0f}" if peers else ""
        cells = (
            *(f"{row.units:,}", row.sampler, f"{row.compile_seconds:.1f}", f"{row.seconds:.2f}"),
            *(f"{row.draws:,}", f"{row.ess:,.0f}", f"{row.rate:,.0f}", ratio),
        )
        print(f"| {' | '.join(cells)} |")
    if arguments.figure:
        found = [(row.sampler, row.units, row.rate) for row in rows]
        draw_growth(found, "effective draws a second", arguments.figure)
    if not arguments.no_memory:
        print(flush=True)
        subprocess.run([sys.executable, __file__, "--memory"], check=True)
    return None


if __name__ == "__main__":
    main()
