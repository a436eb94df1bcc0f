"""What a NumPyro user would write for the rat tumours: the joint model in its own language.

    python numpyro_joint.py rat_tumors.csv [SEED]

Prints the smaller bulk effective sample size of logit_mean and log_concentration by ArviZ; with a
seed, compile seconds (the first run's excess over a second), sampling seconds and that size alone.
"""

import csv
import sys
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

warnings.simplefilter("ignore", FutureWarning)


def model(tumors, rats):
    """Rates of every experiment under (alpha + beta)^(-5/2) on (logit_mean, log_concentration)."""
    real = dist.constraints.real
    logit_mean = numpyro.sample("logit_mean", dist.ImproperUniform(real, (), ()))
    log_concentration = numpyro.sample("log_concentration", dist.ImproperUniform(real, (), ()))
    log_mean, log_rest = jax.nn.log_sigmoid(logit_mean), jax.nn.log_sigmoid(-logit_mean)
    numpyro.factor("hyperprior", -0.5 * log_concentration + log_mean + log_rest)
    alpha = jnp.exp(log_concentration + log_mean)
    beta = jnp.exp(log_concentration + log_rest)
    with numpyro.plate("experiments", len(rats)):
        theta = numpyro.sample("theta", dist.Beta(alpha, beta))
        numpyro.sample("tumors", dist.Binomial(rats, theta), obs=tumors)


def main():
    """Runs four chains and reports."""
    with open(sys.argv[1], newline="") as file:
        rows = list(csv.DictReader(file))
    tumors, rats = (np.array([int(row[name]) for row in rows]) for name in ("tumors", "rats"))
    start = time.perf_counter()
    mcmc = MCMC(
        NUTS(model),
        num_warmup=1000,
        num_samples=1000,
        num_chains=4,
        chain_method="vectorized",
        progress_bar=False,
    )
    split = len(sys.argv) > 2
    key = jax.random.key(int(sys.argv[2]) if split else 0)
    mcmc.run(key, tumors, rats)
    draws = jax.block_until_ready(mcmc.get_samples(group_by_chain=True))
    seconds = time.perf_counter() - start
    if split:
        start = time.perf_counter()
        mcmc.run(jax.random.fold_in(key, 1), tumors, rats)
        jax.block_until_ready(mcmc.get_samples())
        again = time.perf_counter() - start
    import arviz

    names = ("logit_mean", "log_concentration")
    ess = min(float(arviz.ess(np.asarray(draws[name]), method="bulk")) for name in names)
    if split:
        print(f"{seconds - again:.2f} {again:.2f} {ess:.0f}")
    else:
        print(f"ESS {ess:.0f}, {ess / seconds:.0f} a second with compilation")


if __name__ == "__main__":
    main()
