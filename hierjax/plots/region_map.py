"""Maps of raw rates and of what the hierarchy makes of them, region by region."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize
from matplotlib.path import Path

from hierjax.fitting import Fit
from hierjax.plots.style import MUTED, new_panels, styled, told
from hierjax.regions import Regions, matched
from hierjax.table import Table

__all__ = ["region_map"]

_COLORS, _NOTHING = "cividis", "#e6e6e6"


@styled
def region_map(fit: Fit, regions: Regions, *, table: Table | None = None) -> Axes:
    """Two maps in the same colors: raw rates, and posterior means.

    The colors span the posterior means; raw rates beyond take those of the ends. Regions without a
    unit, and units without data, are grey. Coordinates that can be longitudes and latitudes are
    drawn as wide as they are in the middle of the map, others as they are.

    Args:
        fit: A fit that found something.
        regions: Outlines, called as the units are labelled.
        table: What `Fit.unit_table` gave, where it is known already.

    Returns:
        The first of two axes of a new figure.

    Raises:
        DataError: If no unit has a region.
    """
    table = fit.unit_table() if table is None else table
    at = np.array(matched(regions, fit.counts.labels.tolist(), "regions")[0])
    words, used = fit.model.family.unit_words, (at >= 0) & (told(fit) > 0)
    mean, raw = (table[name].astype(float) for name in ("mean", "raw_rate"))
    low, high = float(mean[used].min()), float(mean[used].max())
    if not high > low:
        low, high = low - 0.05 * abs(low) - 1e-12, high + 0.05 * abs(high) + 1e-12
    scale = ScalarMappable(Normalize(low, high), colormaps[_COLORS])
    box = _box([ring for position in at[at >= 0] for ring in regions.rings[position]])
    aspect = _aspect(box)
    (left, right), (bottom, top) = box
    width = 7.2
    height = float(np.clip(width * aspect * (top - bottom) / max(right - left, 1e-300), 2.0, 9.0))
    panels = new_panels(2, 1, width, 2 * height + 0.6)[:, 0]
    shown = ((raw, words.raw), (mean, f"posterior mean of the {words.parameter}"))
    for ax, (values, title) in zip(panels, shown, strict=True):
        colors: list[Any] = [_NOTHING] * len(regions)
        for position, value in zip(at[used].tolist(), values[used].tolist(), strict=True):
            colors[position] = scale.to_rgba(value)
        paths = [_path(rings) for rings in regions.rings]
        ax.add_collection(
            PathCollection(paths, facecolors=colors, edgecolors=MUTED, linewidths=0.15),
            autolim=False,
        )
        ax.set(xlim=box[0], ylim=box[1], aspect=aspect, xticks=[], yticks=[])
        ax.set_title(title)
        for spine in ax.spines.values():
            spine.set_visible(False)
    figure = panels[0].get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(scale, ax=list(panels), extend="both", shrink=0.5, pad=0.01)
    bar.set_label(words.parameter)
    return panels[0]


def _path(rings: tuple[np.ndarray, ...]) -> Path:
    """All rings of a region as one path, whose holes stay empty."""
    # Files wind holes as they please, and what is filled depends on it.
    turned = [ring if (_area(ring) > 0) == _is_outer(ring, rings) else ring[::-1] for ring in rings]
    return Path.make_compound_path(*(Path(ring, closed=True) for ring in turned if len(ring) > 2))


def _area(ring: Float[np.ndarray, "points 2"]) -> float:
    x, y = (ring - ring[0]).T
    return 0.5 * float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))


def _is_outer(ring: np.ndarray, rings: tuple[np.ndarray, ...]) -> bool:
    """Whether a ring lies within an even number of others."""
    if len(rings) == 1:
        return True
    around = sum(bool(Path(other).contains_point(ring[0])) for other in rings if other is not ring)
    return around % 2 == 0


def _box(rings: list[np.ndarray]) -> tuple[tuple[float, float], tuple[float, float]]:
    """What encloses the rings, with a small margin."""
    points = np.concatenate(rings)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.01 * (high - low).max()
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    return (left, right), (bottom, top)


def _aspect(box: tuple[tuple[float, float], tuple[float, float]]) -> float:
    """Height of a unit over its width: of degrees, at the map's middle."""
    (left, right), (bottom, top) = box
    if max(abs(left), abs(right)) > 185 or max(abs(bottom), abs(top)) > 92:
        return 1.0
    return 1 / max(float(np.cos(np.radians(0.5 * (bottom + top)))), 0.1)
