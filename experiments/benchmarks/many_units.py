"""Means, standard deviations and intervals of a million units, beside a peer without compilation.

    python experiments/benchmarks/many_units.py

A million units with ten thousand distinct pairs of counts. The first call compiles; the second, on
other data of the same size, does not. The peer is SciPy: intervals of one plug-in Beta for every
distinct pair, which leaves the hyperparameters' uncertainty out.
"""

import argparse
import platform
import resource
import time

import jax
import numpy as np
from scipy import stats

import hierjax as hj


def simulate(units: int, seed: int) -> hj.Counts:
    """Units with trials of a long tail: about ten thousand distinct pairs in a million."""
    rng = np.random.default_rng(seed)
    trials = 1 + rng.geometric(0.012, units)
    return hj.Counts(rng.binomial(trials, rng.beta(3.0, 60.0, units)), trials)


def timed(work) -> tuple[float, object]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def main() -> None:
    """Measures and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=1_000_000)
    units = parser.parse_args().units
    rows = []
    for name, seed in (("first call, with compilation", 1), ("second call", 2)):
        counts = simulate(units, seed)
        pairs = len(hj.Tally.of(counts))
        fit_seconds, fit = timed(lambda counts=counts: hj.fit(counts))
        seconds, table = timed(fit.units)
        rows.append((f"hierjax, {name}", pairs, fit_seconds, seconds))
        for column in ("mean", "sd", "low", "high"):
            assert np.isfinite(table[column]).all()
    distinct = np.unique(np.stack([counts.successes, counts.trials]), axis=1)
    alpha, beta = fit.estimate("alpha"), fit.estimate("beta")
    unit = stats.beta(alpha + distinct[0], beta + distinct[1] - distinct[0])
    seconds, _ = timed(lambda: (unit.mean(), unit.std(), unit.ppf([[0.05], [0.5], [0.95]])))
    rows.append(("SciPy, one Beta for each distinct pair", pairs, float("nan"), seconds))

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    versions = f"Python {platform.python_version()}, jax {jax.__version__}"
    device = jax.devices()[0].device_kind
    print(f"{units:,} units, {versions}, {device}; peak memory {memory:,.0f} MB\n")
    print("| work | distinct pairs | fit, s | table of units, s |\n|---|---|---|---|")
    for name, pairs, fit_seconds, seconds in rows:
        print(f"| {name} | {pairs:,} | {fit_seconds:.2f} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
