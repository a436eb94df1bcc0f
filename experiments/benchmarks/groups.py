"""1,000 labs of 1,000 units by nested quadrature: compiling apart from running.

python experiments/benchmarks/groups.py [--labs 1000] [--units 1000] [--precision float64]
"""

import argparse
import time

import jax
import numpy as np

import hierjax as hj


def simulated(labs, units, seed):
    """Counts of up to 50 trials in labs that differ in mean and concentration."""
    generator = np.random.default_rng(seed)
    lab = np.repeat(np.arange(labs), units)
    mean = 1 / (1 + np.exp(-generator.normal(-1, 0.5, labs)))
    concentration = np.exp(generator.normal(3, 0.5, labs))
    rate = generator.beta((mean * concentration)[lab], ((1 - mean) * concentration)[lab])
    trials = generator.integers(5, 50, len(lab))
    return hj.Counts(generator.binomial(trials, rate), trials, groups=np.char.mod("%06d", lab))


def timed(function):
    """Seconds, and what the function returns, which is on the host: nothing is left to wait for."""
    start = time.perf_counter()
    found = jax.block_until_ready(function())
    return time.perf_counter() - start, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--labs", type=int, default=1000)
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--precision", default="float64")
    arguments = parser.parse_args()
    labs, units = arguments.labs, arguments.units
    # Other data of the same shapes: what they take beyond a second fit is compiling.
    first, second = (simulated(labs, units, seed) for seed in (1, 2))
    cold, _ = timed(lambda: hj.fit_groups(first, precision=arguments.precision))
    warm, fit = timed(lambda: hj.fit_groups(second, precision=arguments.precision))
    print(f"{labs} labs of {units} units, {arguments.precision}, {jax.devices()[0].platform}")
    print(f"first fit {cold:.1f} s, second {warm:.1f} s, compiling {cold - warm:.1f} s")
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in fit.result.seconds.items())
    print(f"stages of the second: {stages}")
    print(fit.summary())
    print(fit.evidence)
    groups, _ = timed(fit.groups)
    print(f"table of the labs {groups:.1f} s")
    estimate, found = timed(lambda: hj.fit_groups(second, method=hj.GroupType2MLE()))
    print(f"Type-2 maximum likelihood {estimate:.1f} s, {found.status}")
    print(found.summary())


if __name__ == "__main__":
    main()
