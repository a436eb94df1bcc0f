"""Three levels by brute force, in NumPy and SciPy alone: product rules, and splines between."""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline, RectBivariateSpline
from scipy.special import betaln, gammaln
from scipy.stats import halfnorm, norm

HERMITE = 24


class Answer(NamedTuple):
    log_evidence: float
    mean: np.ndarray
    sd: np.ndarray
    lab_location: np.ndarray


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


def solve(data, labs, prior, reach_u, reach_w, box_u, box_w):
    """Evidence, moments above the labs and the labs' mean locations.

    `prior` holds center, sd and scale of both blocks; `reach` the ranges of means and of standard
    deviations; `box` those of a lab's coordinates, beyond which likelihoods stay as they are.
    """
    likelihood = LIKELIHOODS[data.family]
    top_u, weight_u = nodes(*prior[0], reach_u)
    top_w, weight_w = nodes(*prior[1], reach_w)
    x, share = np.polynomial.hermite_e.hermegauss(HERMITE)
    share = share / share.sum()
    grid_u, grid_w = np.linspace(*box_u, 401), np.linspace(*box_w, 181)
    at_u = np.clip(top_u[:, :1] + top_u[:, 1:] * x, *box_u)
    at_w = np.clip(top_w[:, :1] + top_w[:, 1:] * x, *box_w)
    spline = CubicSpline(grid_w, np.eye(len(grid_w)))
    by_w = np.einsum("i,qik->qk", share, spline(at_w))
    integrals, locations, largest = [], [], 0.0
    for lab in np.unique(labs):
        pairs = zip(data.values[labs == lab], data.sizes[labs == lab], strict=True)
        table = sum(likelihood(y, n, grid_u[:, None], grid_w[None]) for y, n in pairs)
        largest += table.max()
        order = np.argsort(at_u.ravel())
        log_values = np.empty((at_u.size, len(grid_w)))
        log_values[order] = RectBivariateSpline(grid_u, grid_w, table - table.max())(
            at_u.ravel()[order], grid_w
        )
        values = np.exp(log_values).reshape(*at_u.shape, -1)
        integrals.append(np.einsum("i,pik->pk", share, values) @ by_w.T)
        locations.append(np.einsum("i,pi,pik->pk", share, at_u, values) @ by_w.T)
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
    return Answer(
        float(np.log(total) + largest),
        np.concatenate(means),
        np.concatenate(sds),
        np.array(lab_means),
    )
