"""Quadrature, its draws, and Type-2 maximum likelihood, alone and in batches.

    python experiments/benchmarks/deterministic.py

Compile seconds are apart from run seconds, which are the best of several runs. Peers are SciPy's
`minimize` over `betaln` of every unit, as one would write it, and on the rats R's VGAM, bang and
Rgbp, each left out, with a word, where it is not installed. Sizes: 10, 70 (the rats), 1,000 and
100,000 units, and a million for the ascent, whose tally then counts.
"""

import argparse
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from growth import draw_growth
from scipy.optimize import minimize
from scipy.special import betaln, expit

import hierjax as hj
from hierjax.inference.quadrature import quadrature
from hierjax.inference.type2_mle import type2_mle
from hierjax.tally import tally_batch

HERE = Path(__file__).parent
RATS = HERE.parents[1] / "hierjax" / "datasets" / "rat_tumors.csv"
SIZES = (10, 70, 1_000, 100_000)
DRAWS = 10_000


def counts_of(units: int) -> hj.Counts:
    """The rats, or units simulated from a population like theirs."""
    if units == 70:
        return hj.datasets.rat_tumors()
    trials = 1 + np.random.default_rng(units).poisson(24, units)
    key = jax.random.key(units)
    return hj.datasets.simulate(key, mean=0.14, concentration=16.0, trials=trials)[0]


def best(work: Callable[[], Any], seconds: float = 1.0) -> tuple[float, float]:
    """Seconds of the first call, and the least of those after it."""
    start = time.perf_counter()
    jax.block_until_ready(work())
    first, least, until = time.perf_counter() - start, np.inf, time.perf_counter() + seconds
    while not np.isfinite(least) or time.perf_counter() < until:
        start = time.perf_counter()
        jax.block_until_ready(work())
        least = min(least, time.perf_counter() - start)
    return first - least, float(least)


def by_scipy(counts: hj.Counts) -> Callable[[], Any]:
    """The usual program: log-beta functions of every unit, and L-BFGS-B without derivatives."""
    y, n = counts.successes, counts.trials

    def loss(eta: np.ndarray) -> float:
        alpha, beta = expit(eta[0]) * np.exp(eta[1]), expit(-eta[0]) * np.exp(eta[1])
        return float(-np.mean(betaln(alpha + y, beta + n - y) - betaln(alpha, beta)))

    return lambda: minimize(loss, np.array([-1.0, 1.0]), method="L-BFGS-B", tol=1e-12).x


def in_r(script: str) -> float | None:
    """Seconds that a peer in R says it took on the rats; None, with a word, where there is none."""
    if shutil.which("Rscript") is None:
        print(f"{script}: left out, R is not installed")
        return None
    command = ["Rscript", str(HERE / "peers" / script), str(RATS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{script}: left out, {done.stderr.strip().splitlines()[0]}")
        return None
    return float(done.stdout.split("seconds")[-1])


def with_tally(counts: hj.Counts, optimizer: str) -> Any:
    """From counts to the maximum: the tally is part of the work."""
    arrays = jax.tree.map(jnp.asarray, hj.Tally.of(counts).arrays())
    settings = {"optimizer": optimizer, "max_steps": 200}
    return type2_mle(hj.Model(), arrays, jnp.asarray(1e-10), **settings).eta


def of_sizes(show: Callable[..., None]) -> None:
    """One data set of each size."""
    model = hj.Model()
    for units in SIZES:
        counts = counts_of(units)
        arrays = jax.tree.map(jnp.asarray, hj.Tally.of(counts).arrays())
        exact = jax.jit(partial(quadrature, model))
        show("exact posterior (tally given)", units, *best(partial(exact, arrays)))
        for optimizer in ("lbfgs", "newton"):
            climb = partial(
                type2_mle, model, arrays, jnp.asarray(1e-10), optimizer=optimizer, max_steps=200
            )
            name = f"Type-2 MLE, {optimizer} (tally given)"
            show(name, units, *best(climb))
        show("Type-2 MLE, SciPy over betaln", units, 0.0, best(by_scipy(counts))[1])
        if units <= 1_000:
            fit = hj.fit(counts)
            draw = partial(fit.sample_rates, DRAWS, jax.random.key(0))
            compiled, seconds = best(draw)
            show(f"{DRAWS:,} joint draws, rates too", units, compiled, seconds, DRAWS / seconds)
        if units == 70:
            if peer := in_r("vgam.R"):
                show("Type-2 MLE, VGAM", units, 0.0, peer)
            if peer := in_r("bang.R"):
                show(f"{DRAWS:,} joint draws, bang", units, 0.0, peer, DRAWS / peer)


def of_many_units(show: Callable[..., None], units: int) -> None:
    """The ascent over a million units, counting the tally."""
    counts = counts_of(units)
    ours = best(partial(with_tally, counts, "newton"), 5.0)
    show("Type-2 MLE, newton, tally included", units, *ours)
    peer = best(by_scipy(counts), 0.0)[1]
    show("Type-2 MLE, SciPy over betaln", units, 0.0, peer, peer / ours[1])


def of_batches(show: Callable[..., None], data_sets: int) -> None:
    """Many data sets of the rats' size, each simulated anew."""
    rng, rats = np.random.default_rng(0), hj.datasets.rat_tumors()
    trials = np.tile(rats.trials, (data_sets, 1))
    successes = rng.binomial(trials, rng.beta(2.3, 14.0, trials.shape))

    @jax.jit
    def climb(arrays: Any) -> Any:
        def one(arrays: Any) -> Any:
            settings = {"optimizer": "newton", "max_steps": 40}
            return type2_mle(hj.Model(), arrays, jnp.asarray(1e-9), **settings).eta

        return jax.vmap(one)(arrays)

    def whole() -> Any:
        return climb(jax.tree.map(jnp.asarray, tally_batch(successes, trials)))

    compiled, seconds = best(whole, 5.0)
    name = f"Type-2 MLE of {data_sets:,} data sets, tallies included"
    show(name, 70, compiled, seconds, data_sets / seconds)
    batch = hj.DataSets(successes, trials)
    for name, method in (
        ("exact posteriors", None),
        ("Type-2 MLEs", hj.Type2MLE(optimizer="newton")),
    ):
        compiled, seconds = best(partial(answers, batch, method), 10.0)
        name = f"{data_sets:,} {name}, all units' means and 90 % intervals"
        show(name, 70, compiled, seconds, data_sets / seconds)

    if peer := in_r("rgbp.R"):
        show("a data set's intervals and their coverage, Rgbp", 70, 0.0, peer, 1 / peer)


def answers(batch: hj.DataSets, method: Any) -> Any:
    """Arrays of a batch's answers."""
    fits = hj.fit_batch(batch, method=method, level=0.9)
    return fits.mean, fits.low, fits.high


def main() -> None:
    """Measures and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=1_000_000)
    parser.add_argument("--data-sets", type=int, default=10_000)
    parser.add_argument("--figure", type=Path, help="where to draw how run time grows")
    options = parser.parse_args()
    versions = f"Python {platform.python_version()}, jax {jax.__version__}"
    print(f"{versions}, {jax.devices()[0].device_kind}\n")
    print("| work | units | compile, s | run, ms | a second, or ratio |\n|---|---|---|---|---|")
    rows = []

    def show(work: str, units: int, compiled: float, seconds: float, rate: float = 0.0) -> None:
        rows.append((work, units, seconds))
        compiling = f"{compiled:.1f}" if compiled > 0.05 else ""
        numbers = f"{compiling} | {1e3 * seconds:,.3f} | {f'{rate:,.0f}' if rate else ''}"
        print(f"| {work} | {units:,} | {numbers} |", flush=True)

    with jax.enable_x64(True):
        of_sizes(show)
        of_many_units(show, options.units)
        of_batches(show, options.data_sets)
    if options.figure:
        milliseconds = [(work, units, 1e3 * seconds) for work, units, seconds in rows]
        draw_growth(milliseconds, "run time after compilation, ms", options.figure)


if __name__ == "__main__":
    main()
