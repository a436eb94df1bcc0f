"""NUTS on the joint of all rates, beside NumPyro's own language and nutpie in the same run.

    python -m pip install '.[peers]' && python experiments/benchmarks/nuts.py

Four chains of 1,000 + 1,000 each, in a fresh process with nothing compiled. The effective sample
size is the smaller of logit_mean's and log_concentration's in bulk, by ArviZ. Sampling counts
warm-up, for all; overall counts compilation too. A peer that is not installed is skipped.
"""

import argparse
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
RATS = HERE.parents[1] / "hierjax" / "datasets" / "rat_tumors.csv"


def ours(seed: int) -> None:
    """In a process of its own: compile seconds, sampling seconds and effective sample size."""
    import jax

    import hierjax as hj
    from hierjax.inference.convergence import effective_sample_sizes

    counts = hj.datasets.rat_tumors()
    start = time.perf_counter()
    fit = hj.fit(counts, method=hj.NUTS(), key=jax.random.key(seed))
    total, seconds = time.perf_counter() - start, fit.result.seconds["run"]
    ess = min(effective_sample_sizes(fit.draws[..., i])[0] for i in range(2))
    print(f"{total - seconds:.2f} {seconds:.2f} {ess:.0f}")


def measured(command: list[str]) -> tuple[float, float, float] | None:
    """Three numbers that a process prints last; None if it fails."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        print(f"{command[1]}: skipped, {done.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    compiling, seconds, ess = map(float, done.stdout.strip().splitlines()[-1].split())
    return compiling, seconds, ess


def main() -> None:
    """Measures and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--nutpie-python", default=sys.executable, help="where nutpie is installed")
    parser.add_argument("--ours", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours is not None:
        ours(options.ours)
        return
    commands = {
        "hierjax NUTS": [sys.executable, str(Path(__file__)), "--ours"],
        "NumPyro's language": [sys.executable, str(HERE / "peers" / "numpyro_joint.py"), str(RATS)],
        "nutpie (PyMC, numba)": [
            options.nutpie_python,
            str(HERE / "peers" / "nutpie_joint.py"),
            str(RATS),
        ],
    }
    if options.nutpie_python == sys.executable and not importlib.util.find_spec("nutpie"):
        print("nutpie: skipped, not installed")
        del commands["nutpie (PyMC, numba)"]
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    head = "| sampler | compile, s | sampling, s | ESS | ESS/s sampling | ESS/s overall |"
    print(f"{head}\n|---|---|---|---|---|---|", flush=True)
    for name, command in commands.items():
        found = [measured([*command, str(seed)]) for seed in range(options.repeats)]
        for compiling, seconds, ess in [max((x for x in found if x), key=lambda x: x[2] / x[1])]:
            rates = f"{ess / seconds:,.0f} | {ess / (compiling + seconds):,.0f}"
            print(
                f"| {name} | {compiling:.1f} | {seconds:.2f} | {ess:,.0f} | {rates} |", flush=True
            )


if __name__ == "__main__":
    main()
