"""The rat tumours by nutpie: PyMC's joint model, compiled by numba.

    python nutpie_joint.py rat_tumors.csv [SEED]

Prints compile seconds, sampling seconds (tuning included) and the smaller bulk effective sample
size of logit_mean and log_concentration by ArviZ.
"""

import csv
import logging
import sys
import time
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)

import arviz  # noqa: E402
import numpy as np  # noqa: E402
import nutpie  # noqa: E402
import pymc as pm  # noqa: E402


def joint(tumors, rats):
    """Rates of every experiment under (alpha + beta)^(-5/2) on (logit_mean, log_concentration)."""
    with pm.Model() as model:
        logit_mean = pm.Flat("logit_mean")
        log_concentration = pm.Flat("log_concentration")
        log_mean, log_rest = -pm.math.log1pexp(-logit_mean), -pm.math.log1pexp(logit_mean)
        pm.Potential("hyperprior", -0.5 * log_concentration + log_mean + log_rest)
        alpha = pm.math.exp(log_concentration + log_mean)
        beta = pm.math.exp(log_concentration + log_rest)
        theta = pm.Beta("theta", alpha, beta, shape=len(rats))
        pm.Binomial("tumors", n=rats, p=theta, observed=tumors)
    return model


def main():
    """Compiles, runs four chains and reports."""
    with open(sys.argv[1], newline="") as file:
        rows = list(csv.DictReader(file))
    tumors, rats = (np.array([int(row[name]) for row in rows]) for name in ("tumors", "rats"))
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    start = time.perf_counter()
    point = {"logit_mean": -1.5, "log_concentration": 2.0}
    compiled = nutpie.compile_pymc_model(joint(tumors, rats), initial_points=point)
    compiling = time.perf_counter() - start
    start = time.perf_counter()
    trace = nutpie.sample(compiled, draws=1000, tune=1000, chains=4, seed=seed, progress_bar=False)
    seconds = time.perf_counter() - start
    draws = (np.asarray(trace.posterior[name]) for name in ("logit_mean", "log_concentration"))
    ess = min(float(arviz.ess(values, method="bulk")) for values in draws)
    print(f"{compiling:.2f} {seconds:.2f} {ess:.0f}")


if __name__ == "__main__":
    main()
