# ruff: noqa: RUF002 -- readers are shown Greek letters and true minus signs
"""Figures of the hyperparameters: their posterior, and the way to its likelihood's maximum."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hierjax.families.protocol import AnyFamily
from hierjax.fitting import Fit
from hierjax.plots.style import (
    INK,
    MUTED,
    MethodStyle,
    is_complete_pooling,
    method_styles,
    named,
    new_axes,
    point_key,
    reference,
    rows_shown,
    styled,
)
from hierjax.plots.surface import Box, density_levels, evaluate, weighted_quantiles

__all__ = ["contours", "optimizer_path"]

_MOST_DRAWS = 1000


def _posterior_box(fit: Fit) -> Box:
    """Where all but a few thousandths of the posterior lie, with a margin."""
    points, weights = map(np.asarray, fit.posterior)
    sides = []
    for k in range(2):
        low, high = weighted_quantiles(points[..., k], weights, (0.0015, 0.9985))
        margin = 0.08 * (high - low) + 1e-6
        sides.append((low - margin, high + margin))
    return sides[0], sides[1]


def _natural_axes(ax: Axes, family: AnyFamily) -> None:
    """Adds the mean and the concentration themselves to the other sides of the axes."""
    each = {parameter.name: parameter for parameter in family.hyperparameters.each}
    first, second = (each[name] for name in family.coordinates)
    mean, concentration = each["mean"], each["concentration"]
    ax.set_xlabel(f"{first.symbol}, {first.words}")
    ax.set_ylabel(f"{second.symbol}, log of the concentration")
    if mean is not first:
        host, most = family.on_host, family.limits[1]

        def place(m: Any) -> Any:
            return np.asarray(host.place_of(np.clip(m, 1e-300, most)))

        top = ax.secondary_xaxis("top", functions=(host.parameter_at, place))
        top.set_xlabel(f"{mean.words} {mean.symbol}")
        ax.spines["top"].set_visible(True)
        _ticks_between(top.set_xticks, ax.get_xlim(), host.parameter_at)
    right = ax.secondary_yaxis("right", functions=(np.exp, lambda c: np.log(np.maximum(c, 1e-300))))
    right.set_ylabel(f"concentration {concentration.symbol}")
    ax.spines["right"].set_visible(True)
    ax.locator_params(axis="x", nbins=6)
    _ticks_between(right.set_yticks, ax.get_ylim(), np.exp)


def _ticks_between(
    place: Callable[..., Any],
    ends: tuple[float, float],
    forward: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Places a few round numbers: evenly where they span little, else in steps of 1, 2, 5."""
    low, high = (float(value) for value in forward(np.array(ends)))
    if high < 6 * low:
        ticks = np.asarray(MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high))
    else:
        first, last = math.floor(math.log10(max(low, 1e-300))), math.ceil(math.log10(high))
        ticks = np.array([d * 10.0**k for k in range(first, last + 1) for d in (1, 2, 5)])
    inside = ticks[(ticks > low) & (ticks < high)]
    inside = inside[:: 1 + len(inside) // 8]
    place(inside, [_short(tick) for tick in inside.tolist()])


def _short(value: float) -> str:
    text = f"{value:,.6g}" if 1e-3 <= value < 9e5 else f"{value:.4g}"
    return text.replace("e+", "e").replace("e-0", "e-").replace("e0", "e")


@styled
def contours(fits: Fit | Mapping[str, Fit], ax: Axes | None = None) -> Axes:
    """Highest-density regions of the hyperparameters, with samplers' draws and point estimates.

    The regions are of the exact posterior density, evaluated on a grid; draws are thinned to at
    most 1,000 a sampler. A fit with infinite concentration is an arrow at the upper edge.

    Args:
        fits: One fit, or fits of the same data and model by name; one must average over the
            hyperparameters.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes.

    Raises:
        ValueError: If all fits are point estimates.

    Example:
        >>> import hierjax as hj
        >>> contours(hj.fit(hj.datasets.rat_tumors())).get_xlabel()
        'log(α / β), log-odds of the mean rate'
    """
    fits = named(fits)
    name = reference(fits)
    if name is None:
        raise ValueError(
            f"fits: expected one that averages over the hyperparameters, found {list(fits)}"
        )
    ax, styles, handles = new_axes(ax, height=5.0), method_styles(fits), []
    box = _posterior_box(fits[name])
    surface = evaluate(fits[name].log_posterior, box)
    levels = density_levels(surface, (0.5, 0.9, 0.99))
    color = INK if fits[name].draws is not None else styles[name].color
    shades = [(*to_rgb(color), alpha) for alpha in (0.05, 0.12, 0.22)]
    edges = [*levels, surface.values.max() + 1]
    ax.contourf(*surface, levels=edges, colors=shades[-len(levels) :])
    for fit, style in zip(fits.values(), styles.values(), strict=True):
        if fit.draws is not None:
            handles.append(_scatter_draws(ax, fit.draws, style))
    ax.contour(*surface, levels=levels, colors=color, linewidths=1.2, linestyles="solid")
    regions = "exact posterior: 50, 90, 99%"
    handles.insert(0, Line2D([], [], color=color, linewidth=1.2, label=regions))
    ax.set(xlim=box[0], ylim=box[1])
    handles += [
        _mark_point(ax, fits[key], styles[key], box)
        for key in fits
        if fits[key].posterior.weights.size == 1
    ]
    _natural_axes(ax, fits[name].model.family)
    _legend_below(ax, handles)
    return ax


def _legend_below(ax: Axes, handles: list[Any], columns: int = 2) -> None:
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=columns)


def _scatter_draws(
    ax: Axes, draws: Float[np.ndarray, "chains draws 2"], style: MethodStyle
) -> Line2D:
    """Scatters draws, thinned evenly over all chains."""
    flat = draws.swapaxes(0, 1).reshape(-1, 2)
    shown = flat[rows_shown(len(flat), _MOST_DRAWS)]
    look: dict[str, Any] = {"linestyle": "", "marker": ".", "color": style.color}
    ax.plot(*shown.T, markersize=4, alpha=0.55, markeredgewidth=0, **look)
    return point_key(f"{style.label}, draws", style.color, 8, ".")


def _mark_point(ax: Axes, fit: Fit, style: MethodStyle, box: Box) -> Line2D:
    """Marks a point estimate, or points towards it where it lies outside the box."""
    (u, w), label = fit.posterior.points[0, 0], style.label
    inside = box[0][0] < u < box[0][1] and box[1][0] < w < box[1][1]
    marker = "X" if inside else ("^" if w > box[1][1] else "v")
    if not inside:
        label += ", infinite" if is_complete_pooling(fit) else ", beyond the edge"
    inset = [0.02 * (high - low) for low, high in box]
    at = [
        [float(np.clip(value, low + gap, high - gap))]
        for value, (low, high), gap in zip((u, w), box, inset, strict=True)
    ]
    key = point_key(label, style.color, 9, marker, markeredgecolor="white")
    ax.plot(
        *at,
        linestyle="",
        marker=marker,
        zorder=5,
        color=style.color,
        markersize=9,
        markeredgecolor="white",
    )
    return key


@styled
def optimizer_path(fit: Fit, ax: Axes | None = None) -> Axes:
    """The path of Type-2 maximum likelihood over the contours of the log-marginal likelihood.

    Contours are drawn where the log-marginal lies 1/2, 2, 9/2, 8, ... below its maximum: one,
    two, three, four, ... standard errors away, were it quadratic.

    Args:
        fit: A fit by Type-2 maximum likelihood.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes.

    Raises:
        ValueError: If the fit has no path.

    Example:
        >>> import hierjax as hj
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=hj.Type2MLE())
        >>> optimizer_path(fit).get_ylabel()
        'log(α + β), log of the concentration'
    """
    path = fit.info.get("path")
    if path is None:
        raise ValueError(f"fit: expected one by Type-2 maximum likelihood, found {fit.method.name}")
    path = np.asarray(path, np.float64)
    path = path[np.isfinite(path).all(axis=1)]
    ax, color = new_axes(ax, height=4.6), method_styles({"": fit})[""].color
    box = _path_box(path)
    surface = evaluate(lambda points: log_marginal(fit, points), box)
    drops = 0.5 * np.arange(1, 13) ** 2
    levels = surface.values.max() - drops[::-1]
    ax.contour(
        *surface,
        levels=levels,
        colors=MUTED,
        linewidths=np.linspace(0.4, 1.1, len(levels)),
        linestyles="solid",
    )
    every = 1 + len(path) // 60
    look: dict[str, Any] = {"color": color, "linewidth": 1.2, "marker": "o", "markersize": 3.5}
    ax.plot(*path.T, markevery=every, label="steps", **look)
    ax.plot(*path[:1].T, linestyle="", marker="s", color=INK, label="start")
    last = "end, towards infinity" if is_complete_pooling(fit) else "maximum"
    ax.plot(
        *path[-1:].T,
        linestyle="",
        marker="X",
        markersize=9,
        color=color,
        markeredgecolor="white",
        zorder=5,
        label=last,
    )
    ax.set(xlim=box[0], ylim=box[1])
    _natural_axes(ax, fit.model.family)
    _legend_below(ax, ax.get_legend_handles_labels()[0], columns=3)
    return ax


def _path_box(path: Float[np.ndarray, "steps 2"]) -> Box:
    low, high = path.min(axis=0), path.max(axis=0)
    margin = np.maximum(0.15 * (high - low), (0.35, 0.6))
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    return (left, right), (bottom, top)


def log_marginal(fit: Fit, points: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch"]:
    """Log-marginal likelihood up to a constant: the log-posterior less the log-hyperprior."""
    flat = points.reshape(-1, 2)
    with jax.enable_x64(True):
        prior = jax.vmap(fit.model.hyperprior.log_density)(jnp.asarray(flat))
        return np.asarray(fit.log_posterior(points)) - np.asarray(prior).reshape(points.shape[:-1])
