"""Simulated units in labs, of every family."""

import numpy as np

import hierjax as hj


def simulated(family, labs, units, seed=0, spread=(0.5, 0.5)):
    """Labs whose coordinates have these standard deviations (locations of measurements four)."""
    generator = np.random.default_rng(seed)
    lab = np.repeat(np.arange(labs), units)
    count, names = len(lab), np.char.mod("%05d", lab)
    location = generator.normal(0, spread[0], labs)
    concentration = np.exp(generator.normal(0, spread[1], labs))[lab]
    if family == "beta_binomial":
        mean, kappa = (1 / (1 + np.exp(1 - location)))[lab], 20 * concentration
        rate = generator.beta(mean * kappa, (1 - mean) * kappa)
        trials = generator.integers(5, 50, count)
        return hj.Counts(generator.binomial(trials, rate), trials, groups=names)
    if family == "gamma_poisson":
        mean, kappa = np.exp(location - 5)[lab], 400 * concentration
        rate = generator.gamma(mean * kappa, 1 / kappa)
        exposure = np.round(np.exp(generator.normal(6.5, 0.7, count)))
        return hj.Events(generator.poisson(rate * exposure), exposure, groups=names)
    effect = generator.normal(10 + 4 * location[lab], 3 / np.sqrt(concentration))
    error = np.round(generator.uniform(1, 5, count), 1)
    return hj.Measurements(generator.normal(effect, error), error, groups=names)
