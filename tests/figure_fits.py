"""Fits and runs for the tests of figures and of the report, most of them made up in no time."""

import numpy as np

import hierjax as hj
from hierjax.experiment.record import NewUnits, RunRecord
from hierjax.inference.result import Result, Status
from hierjax.posterior import HyperPosterior

UNIT_COLUMNS = [
    "method",
    "label",
    "successes",
    "trials",
    "raw_rate",
    "mean",
    "sd",
    "low",
    "median",
    "high",
    "shrinkage",
]
CENTER, SPREAD = np.array([-1.8, 2.75]), np.array([0.11, 0.34])


def point_fit(counts, eta=(-1.81, 2.796), method=None, covariance=None, **info):
    """A point estimate, wherever it is wanted."""
    eta = np.asarray(eta, np.float64)
    posterior = HyperPosterior(eta.reshape(1, 1, 2), np.ones((1, 1)))
    status = Status.BOUNDARY if np.isinf(eta).any() else Status.CONVERGED
    result = Result(posterior, status, covariance=covariance, info=info)
    return hj.Fit(counts, hj.Model(), method or hj.Type2MLE(), "float64", result)


def sampled_fit(counts, method=None, chains=4, draws=300, seed=0, **info):
    """A sampler's fit, of draws that are independent and normal."""
    rng = np.random.default_rng(seed)
    points = rng.normal(CENTER, SPREAD, (chains, draws, 2))
    posterior = HyperPosterior(points, np.full((chains, draws), 1 / (chains * draws)))
    size = chains * draws - 100.0
    judged = {"ess_bulk": [size, size], "ess_tail": [size, size], "r_hat": [1.001, 1.002]}
    result = Result(posterior, Status.CONVERGED, draws=points, info=judged | info)
    method = method or hj.Gibbs(chains=chains, draws=draws)
    return hj.Fit(counts, hj.Model(), method, "float64", result)


def five_fits(counts, quadrature):
    """All five methods on the rats."""
    path = np.array([[-1.7, 3.0], [-1.85, 2.97], [-1.8, 2.85], [-1.81, 2.796]])
    return {
        "moments": point_fit(counts, (-1.85, 2.32), hj.Moments()),
        "type2_mle": point_fit(counts, covariance=np.diag([0.012, 0.12]), path=path),
        "quadrature": quadrature,
        "nuts": sampled_fit(
            counts, hj.NUTS(draws=300), seed=1, acceptance=np.full(4, 0.85), divergences=0
        ),
        "gibbs": sampled_fit(counts, acceptance=np.full((4, 2), 0.44)),
    }


def units_table(fits, level):
    """Estimates of all units by all fits, one after another."""
    return hj.Table.stack([fit.units(level).with_columns(method=k) for k, fit in fits.items()])


def agreement_table(fits, reference, pairs=()):
    """Every fit against one of them."""
    return hj.Table.stack(
        [
            hj.checks.agreement(fit, fits[reference], pairs).with_columns(method=name)
            for name, fit in fits.items()
            if name != reference
        ]
    )


def record(counts, fits, *, new=((), (), ()), level=0.9, reference="quadrature", **changes):
    """What a run would hand to its report."""
    labels, successes, trials = map(list, new)
    predictions = hj.Table({column: np.empty(0) for column in UNIT_COLUMNS})
    if labels:
        predictions = hj.Table.stack(
            [
                fit.predict(successes, trials, level=level, label=labels).with_columns(method=name)
                for name, fit in fits.items()
            ]
        )
    hyper = [fit.summary(level).with_columns(method=name) for name, fit in fits.items()]
    loo = {"model": ["no_pooling", "partial_pooling"], "elpd": [-222.3, -156.12], "se": [2.9, 5.5]}
    given = {
        "name": "a run",
        "config": {"name": "a run", "seed": 7},
        "counts": counts,
        "fits": fits,
        "failures": {},
        "new_units": NewUnits(tuple(labels), tuple(successes), tuple(trials)),
        "level": level,
        "hyper": hj.Table.stack(hyper),
        "units": units_table(fits, level),
        "predictions": predictions,
        "agreement": agreement_table(fits, reference) if reference in fits else None,
        "loo": hj.Table(loo),
        "manifest": {"seed": 7, "versions": {"hierjax": "0.1.0", "jax": "0.8.0"}, "git": None},
    }
    return RunRecord(**(given | changes))


def quick_table(fit):
    """Estimates of units without intervals, for which nothing need be compiled for long."""
    found = fit._units.moments(*fit.counts.pair)
    return hj.Table({"label": fit.counts.labels, "raw_rate": fit.counts.raw, **found})
