"""The model as a plate diagram."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from hierjax.families.diagram import Diagram
from hierjax.hyperpriors import MeanConcentration, PowerLaw, Shapes
from hierjax.model import Model
from hierjax.plots.style import INK, MUTED, RAW, new_axes, styled

__all__ = ["arrow", "distribution_text", "node", "plate"]


_RADIUS = 0.36
_LEVELS = (3.6, 2.1, 0.85)


def distribution_text(distribution: Any) -> str:
    """A numpyro distribution as a reader writes it: its name and its parameters.

    Args:
        distribution: A scalar numpyro distribution.

    Returns:
        Plain text.

    Example:
        >>> import numpyro.distributions as dist
        >>> distribution_text(dist.Gamma(2.0, 0.5))
        'Gamma(2, 0.5)'
    """
    values = []
    for name in distribution.arg_constraints:
        try:
            values.append(f"{float(getattr(distribution, name)):g}")
        except (AttributeError, TypeError, ValueError):
            return type(distribution).__name__
    return f"{type(distribution).__name__}({', '.join(values)})"


def _hyperprior_statement(hyperprior: Any, diagram: Diagram) -> str:
    match hyperprior:
        case PowerLaw(exponent):
            return rf"$p(\alpha, \beta) \propto (\alpha + \beta)^{{-{float(exponent):g}}}$"
        case MeanConcentration(mean, concentration):
            return (
                rf"$\alpha/(\alpha+\beta) \sim$ {distribution_text(mean)}," + "\n"
                rf"$\alpha+\beta \sim$ {distribution_text(concentration)}"
            )
        case Shapes(alpha, beta):
            return (
                rf"$\alpha \sim$ {distribution_text(alpha)}," + "\n"
                rf"$\beta \sim$ {distribution_text(beta)}"
            )
    symbols = ", ".join(symbol.strip("$") for symbol in diagram.hyperparameters)
    return rf"${symbols} \sim p({symbols})$"


def node(ax: Axes, at: tuple[float, float], symbol: str, observed: bool) -> Circle:
    """Draws a circle with a symbol in it, shaded where it is observed."""
    face = RAW if observed else "white"
    circle = Circle(at, _RADIUS, facecolor=face, edgecolor=INK, linewidth=1.2)
    ax.add_patch(circle)
    ax.text(*at, symbol, ha="center", va="center", fontsize=14)
    return circle


def arrow(
    ax: Axes,
    start: tuple[Circle | Rectangle, tuple[float, float]],
    end: tuple[Circle, tuple[float, float]],
) -> None:
    """Draws an arrow between two shapes, each with its middle, from edge to edge."""
    ax.add_patch(
        FancyArrowPatch(
            start[1],
            end[1],
            patchA=start[0],
            patchB=end[0],
            arrowstyle="-|>",
            mutation_scale=12,
            color=INK,
            linewidth=1.1,
            shrinkA=0,
            shrinkB=0,
        )
    )


@styled
def plate(model: Model, units: int, ax: Axes | None = None) -> Axes:
    """The model as a plate diagram: circles are unknown, shaded shapes known, squares given.

    Args:
        model: Family and hyperprior.
        units: Number of units, which the plate stands for.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes.

    Example:
        >>> import hierjax as hj
        >>> ax = plate(hj.Model(), 70)
        >>> [text.get_text() for text in ax.texts][-1]
        'j = 1, …, 70'
    """
    ax, diagram = new_axes(ax, 6.0, 3.7), model.family.diagram
    ax.set(xlim=(-1.1, 6.3), ylim=(-0.1, 4.1), aspect="equal")
    ax.set_axis_off()
    top, middle, bottom = _LEVELS
    unit, seen, given = (0.6, middle), (0.6, bottom), (-0.59, bottom)
    parameter = node(ax, unit, diagram.parameter, observed=False)
    data = node(ax, seen, diagram.data, observed=True)
    known = Rectangle(
        (given[0] - 0.26, bottom - 0.26), 0.52, 0.52, facecolor=RAW, edgecolor=INK, linewidth=1.2
    )
    ax.add_patch(known)
    ax.text(*given, diagram.known, ha="center", va="center", fontsize=14)
    for k, symbol in enumerate(diagram.hyperparameters):
        at = (0.6 + 1.2 * (k - (len(diagram.hyperparameters) - 1) / 2), top)
        arrow(ax, (node(ax, at, symbol, observed=False), at), (parameter, unit))
    arrow(ax, (parameter, unit), (data, seen))
    arrow(ax, (known, given), (data, seen))
    box = FancyBboxPatch(
        (-1.0, 0.0),
        2.4,
        2.65,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor="none",
        edgecolor=MUTED,
        linewidth=1.0,
    )
    ax.add_patch(box)
    statements = (_hyperprior_statement(model.hyperprior, diagram), *diagram.statements)
    for level, statement, words in zip(_LEVELS, statements, diagram.words, strict=True):
        ax.text(1.9, level + 0.04, statement, ha="left", va="bottom", fontsize=12.5)
        ax.text(1.9, level - 0.1, words, ha="left", va="top", fontsize=9.5, color=MUTED)
    ax.text(-0.88, 0.1, f"j = 1, …, {units:,}", ha="left", va="bottom", fontsize=9.5)
    return ax
