"""Wall seconds and peak memory of whole processes, as a user at a terminal meets them.

    python experiments/benchmarks/whole_process.py

Every command runs as a process of its own. Cold means an empty compilation cache; warm means the
cache that the cold run left. Peers put the same posterior (70 experiments, hyperprior
(alpha+beta)^(-5/2)) in the same script, where they are installed.
"""

import argparse
import importlib.util
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RATS = ROOT / "hierjax" / "datasets" / "rat_tumors.csv"
CONFIG = ROOT / "configs" / "rat_tumors.yaml"


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Runs a command to its end: wall seconds, peak resident megabytes, last line printed."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace").strip()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{text}")
    return seconds, usage.ru_maxrss / 1024, text.splitlines()[-1] if text else ""


def hierjax_rows(repeats: int) -> list[tuple[str, str, str, str]]:
    """The project's own commands, against their targets."""
    hierjax = [sys.executable, "-m", "hierjax"]
    columns = ["--successes", "tumors", "--trials", "rats", "--label", "experiment"]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        fit = [*hierjax, "fit", str(RATS), *columns, "--new", "4/14"]
        run = [*hierjax, "run", str(CONFIG), "--out"]
        commands = (
            ("hierjax --help", lambda i: [*hierjax, "--help"], ("0.5", "0.5"), repeats),
            ("hierjax fit, quadrature", lambda i: fit, ("4", "2.5"), repeats),
            ("hierjax run, all methods", lambda i: [*run, f"{scratch}/run{i}"], ("30", "15"), 2),
        )
        for name, command, targets, times in commands:
            cache = Path(scratch, "cache")
            shutil.rmtree(cache, ignore_errors=True)
            environment = os.environ | {"HIERJAX_CACHE_DIR": str(cache)}
            found = [measure(command(i), environment) for i in range(times + 1)]
            warm = statistics.median(seconds for seconds, _, _ in found[1:])
            for state, seconds, target in (
                ("cold", found[0][0], targets[0]),
                ("warm", warm, targets[1]),
            ):
                memory = max(megabytes for _, megabytes, _ in found)
                rows.append((f"{name}, {state}", f"{seconds:.2f}", f"{memory:.0f}", f"< {target}"))
                print("  ".join(rows[-1]), flush=True)
    return rows


def peer_rows() -> list[tuple[str, str, str, str]]:
    """The same posterior by other programs, whole processes too."""
    peers = []
    if importlib.util.find_spec("numpyro"):
        program = [sys.executable, str(HERE / "peers" / "numpyro_joint.py"), str(RATS)]
        peers.append(("NumPyro, joint NUTS, 4 x (1,000 + 1,000)", program))
    if shutil.which("Rscript"):
        program = ["Rscript", str(HERE / "peers" / "jags.R"), str(RATS), str(HERE / "peers")]
        peers.append(("JAGS by rjags, 4 x (2,000 + 10,000)", program))
    rows = []
    for name, command in peers:
        try:
            seconds, megabytes, note = measure(command, dict(os.environ))
        except SystemExit as error:
            print(f"{name}: skipped, {str(error).splitlines()[-1]}")
            continue
        rows.append((f"{name} ({note})", f"{seconds:.2f}", f"{megabytes:.0f}", ""))
        print("  ".join(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Measures and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="warm runs of the short commands")
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    rows = hierjax_rows(arguments.repeats)
    if not arguments.no_peers:
        rows += peer_rows()
    import jax

    versions = f"Python {platform.python_version()}, jax {jax.__version__}"
    print(f"\n{os.cpu_count()} cores, {platform.machine()}, {versions}\n")
    print("| process | seconds | peak MB | target |\n|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
