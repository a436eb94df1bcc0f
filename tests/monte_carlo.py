"""How tests judge draws: first whether there are enough of them, then whether they are right."""

from functools import cache

import numpy as np

import hierjax as hj
from hierjax.inference.convergence import effective_sample_sizes, mean_error

COORDINATES = ("logit_mean", "log_concentration")
ENOUGH = 1000
LARGEST_R_HAT = 1.01
# A normal error exceeds four standard errors once in 15,800 times. `require_agreement` compares
# nine, so a right sampler fails for at most one seed in 1,700.
MOST_ERRORS = 4


@cache
def exact(model=None, current=False):
    """Quadrature of the rats, computed once for all tests."""
    return hj.fit(hj.datasets.rat_tumors(current), model)


def require_enough(fit):
    """Effective sample sizes and R-hat of both coordinates."""
    for i, name in enumerate(COORDINATES):
        bulk, tail, r_hat = effective_sample_sizes(fit.draws[..., i])
        assert min(bulk, tail) >= ENOUGH, f"effective sample size of {name}: {bulk}, {tail}"
        assert r_hat <= LARGEST_R_HAT, f"R-hat of {name}: {r_hat}"


def errors(draws, truth):
    """Difference of the draws' mean from the truth, in Monte Carlo standard errors."""
    return (draws.mean() - truth) / mean_error(draws)


def rate_given_draws(fit, successes, trials):
    """Posterior mean of a unit's rate given every draw of the hyperparameters."""
    draws = np.asarray(fit.draws, np.float64)
    concentration = np.exp(draws[..., 1])
    mean = 1 / (1 + np.exp(-draws[..., 0]))
    return (mean * concentration + successes) / (concentration + trials)


def all_errors(fit, reference):
    """Errors of means, and of the probabilities below the exact quantiles, by name."""
    summary = reference.summary()
    draws = np.asarray(fit.draws, np.float64)
    found = {}
    for i, name in enumerate(COORDINATES):
        found[name] = errors(draws[..., i], summary["mean"][i])
        for column, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
            below = (draws[..., i] < summary[column][i]).astype(float)
            found[f"{column} {name}"] = errors(below, level)
    rate = reference.predict(4, 14)["mean"][0]
    found["rate of 4 in 14"] = errors(rate_given_draws(fit, 4, 14), rate)
    return found


def require_agreement(fit, reference):
    """The gate, and then every error; what is wrong is named."""
    require_enough(fit)
    found = all_errors(fit, reference)
    # NaN, where all draws are on one side of a quantile, is wrong too.
    wrong = {name: round(z, 1) for name, z in found.items() if not abs(z) <= MOST_ERRORS}
    assert not wrong, f"standard errors from the exact posterior: {wrong}"
