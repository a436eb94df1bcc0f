# ruff: noqa: RUF002 -- readers are shown Greek letters and true minus signs
"""Figures of samplers: traces and ranks of their chains, and agreement with a reference."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.protocol import AnyFamily
from hierjax.fitting import Fit
from hierjax.plots.style import (
    INK,
    MUTED,
    MethodStyle,
    method_styles,
    new_axes,
    outside_legend,
    rows_shown,
    styled,
)
from hierjax.table import Table

__all__ = ["agreement", "ranks", "trace"]

_BETA_BINOMIAL = BetaBinomial()
#: How axes name hyperparameters, in studies.
SYMBOLS = {parameter.name: parameter.symbol for parameter in BetaBinomial.hyperparameters.each}
_MOST_DRAWS = 800
_MOST_CHAINS = 12
_BINS = 20


def _coordinate(fit: Fit, parameter: str) -> tuple[Float[np.ndarray, "chains draws"], str]:
    family = fit.model.family
    if parameter not in family.coordinates:
        raise ValueError(f"parameter: expected one of {family.coordinates}, found {parameter!r}")
    if fit.draws is None:
        raise ValueError(f"fit: expected a sampler's, found {fit.method.name}, which has no draws")
    place = family.coordinates.index(parameter)
    return fit.draws[..., place], family.hyperparameters.each[place].symbol


def _shades(color: str, chains: int) -> list[tuple[float, ...]]:
    """The method's color from light to dark, one shade a chain."""
    base = np.array(to_rgb(color))
    mixes = np.linspace(0.45, -0.45, chains) if chains > 1 else np.zeros(1)
    toward = [np.ones(3) if mix > 0 else np.zeros(3) for mix in mixes]
    return [
        tuple((base + abs(mix) * (end - base)).tolist())
        for mix, end in zip(mixes, toward, strict=True)
    ]


@styled
def trace(fit: Fit, parameter: str = "log_concentration", ax: Axes | None = None) -> Axes:
    """Draws of a hyperparameter in the order they were made, one line a chain.

    Args:
        fit: A sampler's fit.
        parameter: `logit_mean` or `log_concentration`.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes. Long chains are thinned to 800 draws each, evenly.

    Raises:
        ValueError: If the parameter is another, or the fit has no draws.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> gibbs = hj.Gibbs(warmup=500, draws=2_000)
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=gibbs, key=jax.random.key(0))
        >>> len(trace(fit).lines)
        4
    """
    draws, symbol = _coordinate(fit, parameter)
    ax = new_axes(ax, height=2.6)
    shown = rows_shown(draws.shape[1], _MOST_DRAWS)
    colors = _shades(method_styles({"": fit})[""].color, len(draws))
    for chain, color in zip(draws, colors, strict=True):
        ax.plot(shown + 1, chain[shown], color=color, linewidth=0.6, alpha=0.8)
    ax.set(xlabel="draw", ylabel=symbol, xlim=(1, draws.shape[1]))
    ax.set_xticks([1, draws.shape[1]], ["1", f"{draws.shape[1]:,}"])
    return ax


def _rank_counts(draws: Float[np.ndarray, "chains draws"]) -> Int[np.ndarray, "chains bins"]:
    """How many of each chain's draws fall into each bin of ranks among all chains' draws."""
    order = np.argsort(draws, axis=None, kind="stable")
    place = np.empty(draws.size, np.int64)
    place[order] = np.arange(draws.size)
    bins = place.reshape(draws.shape) * _BINS // draws.size
    return np.stack([np.bincount(chain, minlength=_BINS) for chain in bins])


@styled
def ranks(fit: Fit, parameter: str = "log_concentration", ax: Axes | None = None) -> Axes:
    """Histogram of each chain's ranks among the draws of all chains, one row a chain.

    Chains that have mixed have flat histograms (Vehtari et al. 2021, *Bayesian Analysis* 16,
    section 5.3); one that stays apart piles up at an end. The line is the flat height.

    Args:
        fit: A sampler's fit.
        parameter: `logit_mean` or `log_concentration`.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes. With more than 12 chains, evenly spaced ones are drawn.

    Raises:
        ValueError: If the parameter is another, or the fit has no draws.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> gibbs = hj.Gibbs(warmup=500, draws=2_000)
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=gibbs, key=jax.random.key(0))
        >>> ranks(fit).get_xlabel()
        'rank of log(α + β) among all draws'
    """
    draws, symbol = _coordinate(fit, parameter)
    ax = new_axes(ax, height=2.6)
    counts = _rank_counts(draws)
    shown = rows_shown(len(counts), _MOST_CHAINS)
    colors = _shades(method_styles({"": fit})[""].color, len(counts))
    flat = draws.shape[1] / _BINS
    edges = np.arange(_BINS) * draws.size / _BINS
    # Rows are one apart; a flat histogram takes up half of its row.
    for row, chain in enumerate(shown):
        heights = np.minimum(0.5 * counts[chain] / flat, 0.96)
        ax.bar(
            edges,
            heights,
            draws.size / _BINS,
            bottom=row,
            align="edge",
            color=colors[chain],
            edgecolor="white",
            linewidth=0.4,
        )
        ax.hlines(row + 0.5, 0, draws.size, color=INK, linewidth=0.7, linestyle=(0, (4, 2)))
    ax.set(xlabel=f"rank of {symbol} among all draws", ylabel="chain")
    ax.set(xlim=(0, draws.size), ylim=(0, len(shown)))
    ax.set_xticks([0, draws.size], ["0", f"{draws.size:,}"])
    ax.set_yticks(np.arange(len(shown)) + 0.25, [f"{chain + 1}" for chain in shown])
    ax.tick_params(axis="y", length=0)
    return ax


@styled
def agreement(
    table: Table,
    styles: Mapping[str, MethodStyle] | None = None,
    ax: Axes | None = None,
    *,
    family: AnyFamily = _BETA_BINOMIAL,
) -> Axes:
    """Differences between samplers and the exact answer, in Monte Carlo standard errors.

    Args:
        table: Columns `method`, `quantity` and `z`, as `hierjax.checks.agreement` gives them with
            the method's name added. Rows without a number are left out.
        styles: Look of each method, as `method_styles` gives it; any by default.
        ax: Where to draw; a new figure by default.
        family: Conjugate family, whose hyperparameters have symbols.

    Returns:
        The axes. The band holds 95% of the differences of a sampler that is right.

    Example:
        >>> table = Table({"method": ["gibbs"], "quantity": ["logit_mean"], "z": [0.4]})
        >>> agreement(table).get_xlabel()
        'difference from quadrature, in Monte Carlo standard errors'
    """
    keep = np.isfinite(table["z"].astype(float))
    quantities = list(dict.fromkeys(table["quantity"][keep].tolist()))[::-1]
    methods = list(dict.fromkeys(table["method"][keep].tolist()))
    ax = new_axes(ax, height=1.4 + 0.3 * max(len(quantities), 1))
    ax.axvspan(-1.96, 1.96, color="#eeeeee", linewidth=0, label="95% if right")
    ax.axvline(0, color=MUTED, linewidth=0.8)
    offsets = np.linspace(0.18, -0.18, len(methods)) if len(methods) > 1 else np.zeros(len(methods))
    for method, offset in zip(methods, offsets, strict=True):
        mine = keep & (table["method"] == method)
        rows = [quantities.index(quantity) + offset for quantity in table["quantity"][mine]]
        style = (styles or {}).get(method) or MethodStyle(method, INK, (0, ()), "o")
        ax.plot(
            table["z"][mine],
            rows,
            linestyle="",
            marker=style.marker,
            markersize=6,
            color=style.color,
            label=style.label,
        )
    extent = max(4.0, 1.1 * float(np.abs(table["z"][keep].astype(float)).max(initial=0.0)))
    ax.set(xlim=(-extent, extent), ylim=(-0.6, len(quantities) - 0.4))
    symbols = {parameter.name: parameter.symbol for parameter in family.hyperparameters.each}
    ax.set_yticks(range(len(quantities)), [symbols.get(name, name) for name in quantities])
    ax.set_xlabel("difference from quadrature, in Monte Carlo standard errors")
    ax.tick_params(axis="y", length=0)
    outside_legend(ax)
    return ax
