"""Three levels as a plate diagram: a plate of units inside a plate of groups."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from hierjax.levels import GroupFit
from hierjax.levels.model import TopPrior
from hierjax.levels.typical import prior_of
from hierjax.plots.diagram import arrow, node
from hierjax.plots.style import INK, MUTED, RAW, new_axes, styled

__all__ = ["group_plate"]

_LEVELS = (5.2, 3.75, 2.1, 0.85)
_TOP = (r"$\mu_u$", r"$\tau_u$", r"$\mu_w$", r"$\tau_w$")


@styled
def group_plate(fit: GroupFit, ax: Axes | None = None) -> Axes:
    """The model as a plate diagram: circles are unknown, shaded shapes known, squares given.

    Args:
        fit: A fit of three levels.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes.

    Example:
        >>> import hierjax as hj
        >>> data = hj.Counts([1, 2, 5, 6], [20] * 4, groups=["a", "a", "b", "b"])
        >>> ax = group_plate(hj.fit_groups(data, method=hj.GroupType2MLE()))
        >>> [text.get_text() for text in ax.texts][-2:]
        ['g = 1, …, 2', 'j = 1, …, 4']
    """
    family: Any = fit.model.family
    ax, diagram = new_axes(ax, 6.8, 4.9), family.diagram
    ax.set(xlim=(-1.5, 7.3), ylim=(-0.45, 5.75), aspect="equal")
    ax.set_axis_off()
    top, group, middle, bottom = _LEVELS
    unit, seen, given = (0.6, middle), (0.6, bottom), (-0.5, bottom)
    parameter = node(ax, unit, diagram.parameter, observed=False)
    data = node(ax, seen, diagram.data, observed=True)
    corner = (given[0] - 0.26, bottom - 0.26)
    known = Rectangle(corner, 0.52, 0.52, facecolor=RAW, edgecolor=INK, linewidth=1.2)
    ax.add_patch(known)
    ax.text(*given, diagram.known, ha="center", va="center", fontsize=14)
    for k, symbol in enumerate((r"$u_g$", r"$w_g$")):
        at = (-0.35 + 1.9 * k, group)
        coordinate = node(ax, at, symbol, observed=False)
        for i in range(2):
            above = (at[0] - 0.42 + 0.84 * i, top)
            arrow(ax, (node(ax, above, _TOP[2 * k + i], observed=False), above), (coordinate, at))
        arrow(ax, (coordinate, at), (parameter, unit))
    arrow(ax, (parameter, unit), (data, seen))
    arrow(ax, (known, given), (data, seen))
    for corner, width, height in (((-1.3, -0.35), 3.5, 4.6), ((-0.95, 0.05), 2.45, 2.55)):
        box = FancyBboxPatch(
            corner,
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor="none",
            edgecolor=MUTED,
            linewidth=1.0,
        )
        ax.add_patch(box)
    first, second = diagram.coordinates
    statements = (
        prior_text(prior_of(fit)),
        r"$u_g \sim \mathrm{N}(\mu_u, \tau_u)$, $w_g \sim \mathrm{N}(\mu_w, \tau_w)$",
        diagram.in_group,
        diagram.statements[1],
    )
    words = (
        "population of groups, inferred",
        f"group g, inferred: {first} and {second}",
        f"{diagram.words[1].removesuffix(', inferred')} in group g, inferred",
        diagram.words[2],
    )
    for level, statement, said in zip(_LEVELS, statements, words, strict=True):
        ax.text(2.7, level + 0.04, statement, ha="left", va="bottom", fontsize=11.5)
        ax.text(2.7, level - 0.1, said, ha="left", va="top", fontsize=9.5, color=MUTED)
    for place, said in (
        ((-1.18, -0.27), f"g = 1, …, {len(fit.labs):,}"),
        ((-0.85, 0.13), f"j = 1, …, {len(fit.data):,}"),
    ):
        ax.text(*place, said, ha="left", va="bottom", fontsize=9.5)
    return ax


def prior_text(prior: TopPrior) -> str:
    """Densities of what is above the groups, in two lines, as matplotlib's mathematical text."""
    return "\n".join(
        rf"$\mu_{name} \sim \mathrm{{N}}({prior.centers[k]:.3g}, {prior.sds[k]:.3g})$, "
        rf"$\tau_{name} \sim \mathrm{{N}}^+(0, {prior.scales[k]:.3g})$"
        for k, name in enumerate("uw")
    )
