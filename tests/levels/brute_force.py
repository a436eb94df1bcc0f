"""Three levels by brute force, in NumPy and SciPy alone: product rules, and splines between."""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import betaln, gammaln
from scipy.stats import beta, gamma, halfnorm, norm

HERMITE = 12


class Answer(NamedTuple):
    """Over the grid of a lab's coordinates, `labs` holds each lab's weights, `new` a new lab's."""

    log_evidence: float
    mean: np.ndarray
    sd: np.ndarray
    lab_location: np.ndarray
    grid: tuple[np.ndarray, np.ndarray]
    labs: list[np.ndarray]
    new: np.ndarray


def log_beta_binomial(y, n, u, w):
    mean = 1 / (1 + np.exp(-u))
    alpha, beta = mean * np.exp(w), (1 - mean) * np.exp(w)
    coefficient = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    return coefficient + betaln(alpha + y, beta + n - y) - betaln(alpha, beta)


def log_negative_binomial(y, e, u, w):
    shape, rate = np.exp(u + w), np.exp(w)
    ratio = gammaln(shape + y) - gammaln(shape) - gammaln(y + 1)
    return ratio - shape * np.log1p(e / rate) - y * np.log1p(rate / e)


def log_normal(y, s, u, w):
    return norm.logpdf(y, u, np.sqrt(s**2 + np.exp(-w)))


def beta_of(y, n, u, w):
    mean = 1 / (1 + np.exp(-u))
    return beta(mean * np.exp(w) + y, (1 - mean) * np.exp(w) + n - y)


def gamma_of(y, e, u, w):
    return gamma(np.exp(u + w) + y, scale=1 / (np.exp(w) + e))


def normal_of(y, s, u, w):
    precision, own = np.exp(w), 1 / s**2
    return norm((precision * u + own * y) / (precision + own), 1 / np.sqrt(precision + own))


UNITS = {"beta_binomial": beta_of, "gamma_poisson": gamma_of, "normal_normal": normal_of}
LIKELIHOODS = {
    "beta_binomial": log_beta_binomial,
    "gamma_poisson": log_negative_binomial,
    "normal_normal": log_normal,
}


def nodes(center, sd, scale, reach, rows=36, columns=33):
    """Means and standard deviations above the labs, with the hyperprior in their weights."""
    x, share = np.polynomial.legendre.leggauss(rows)
    s, share = 0.5 * (x + 1), 0.5 * share
    # Closer together towards 0.
    tau, d_tau = reach[1] * s**2, 2 * reach[1] * s * share
    mean = np.linspace(*reach[0], columns)
    grid = np.stack(np.meshgrid(tau, mean, indexing="ij"), axis=-1).reshape(-1, 2)[:, ::-1]
    weight = np.repeat(d_tau, columns) * (mean[1] - mean[0])
    density = norm.pdf(grid[:, 0], center, sd) * halfnorm.pdf(grid[:, 1], scale=scale)
    return grid, weight * density


def operator(top, grid):
    """Rows that integrate values at a grid against each normal density."""
    step = grid[1] - grid[0]
    rows = norm.pdf(grid, top[:, :1], np.maximum(top[:, 1:], step)) * step
    # A density beyond the grid meets what is at its ends.
    rows[:, 0] += norm.cdf(grid[0] - step / 2, *top.T)
    rows[:, -1] += norm.sf(grid[-1] + step / 2, *top.T)
    narrow = np.flatnonzero(top[:, 1] < 3 * step)
    x, share = np.polynomial.hermite_e.hermegauss(HERMITE)
    at = np.clip(top[narrow, :1] + top[narrow, 1:] * x, grid[0], grid[-1])
    spline = CubicSpline(grid, np.eye(len(grid)))
    rows[narrow] = np.einsum("i,pik->pk", share / share.sum(), spline(at))
    return rows


def solve(data, labs, prior, reach_u, reach_w, box_u, box_w):
    """Evidence, moments above the labs and the labs' mean locations.

    `prior` holds center, sd and scale of both blocks; `reach` the ranges of means and of standard
    deviations; `box` those of a lab's coordinates, beyond which likelihoods stay as they are.
    """
    likelihood = LIKELIHOODS[data.family]
    top_u, weight_u = nodes(*prior[0], reach_u)
    top_w, weight_w = nodes(*prior[1], reach_w)
    grid_u, grid_w = np.linspace(*box_u, 1201), np.linspace(*box_w, 241)
    over_u, over_w = operator(top_u, grid_u), operator(top_w, grid_w)
    integrals, locations, tables, largest = [], [], [], 0.0
    for lab in np.unique(labs):
        pairs = zip(data.values[labs == lab], data.sizes[labs == lab], strict=True)
        table = sum(likelihood(y, n, grid_u[:, None], grid_w[None]) for y, n in pairs)
        largest += table.max()
        values = np.exp(table - table.max())
        tables.append(values)
        integrals.append(over_u @ values @ over_w.T)
        locations.append(over_u @ (grid_u[:, None] * values) @ over_w.T)
    joint = np.prod(integrals, axis=0) * weight_u[:, None] * weight_w
    total = joint.sum()
    joint /= total
    means, sds = [], []
    for i, top in enumerate((top_u, top_w)):
        each = joint.sum(axis=1 - i)
        mean = each @ top
        means.append(mean)
        sds.append(np.sqrt(each @ (top - mean) ** 2))
    lab_means = [
        np.sum(joint * location / integral)
        for location, integral in zip(locations, integrals, strict=True)
    ]
    others = [
        values * (over_u.T @ (joint / integral) @ over_w)
        for values, integral in zip(tables, integrals, strict=True)
    ]
    return Answer(
        float(np.log(total) + largest),
        np.concatenate(means),
        np.concatenate(sds),
        np.array(lab_means),
        (grid_u, grid_w),
        others,
        over_u.T @ joint @ over_w,
    )


def unit_below(family, answer, weights, y, size, parameters, seen=False):
    """Mean of a unit's parameter, and the probabilities of less than some parameters.

    The unit is of a lab whose coordinates have these weights over the grid. They have seen its
    data, or these say something of them.
    """
    u, w = answer.grid[0][:, None], answer.grid[1][None]
    joint = weights
    if not seen and size not in (0, np.inf):
        joint = joint * np.exp(LIKELIHOODS[family](y, size, u, w))
    joint = joint / joint.sum()
    counts = joint > 1e-12 * joint.max()
    u, w = (np.broadcast_to(x, joint.shape)[counts] for x in (u, w))
    unit, joint = UNITS[family](y, size, u, w), joint[counts]
    return joint @ unit.mean(), np.array([joint @ unit.cdf(x) for x in parameters])
