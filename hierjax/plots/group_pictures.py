"""The figures of a run of three levels: which there are, and what they say."""

from typing import Any

from hierjax.experiment.groups.record import GroupsRecord
from hierjax.plots.group_diagram import group_plate
from hierjax.plots.groups import group_caterpillar, group_shrinkage
from hierjax.plots.picture import Picture

__all__ = ["group_pictures"]


def group_pictures(run: GroupsRecord) -> list[Picture]:
    """The figures that a run has, none of them drawn yet.

    Args:
        run: What the run found.

    Returns:
        The figures; none if no method found anything.
    """
    name = run.leading
    if name is None:
        return []
    fit = run.fits[name]
    family: Any = fit.model.family
    words = family.unit_words
    groups, units = run.of_method(run.groups, name), run.of_method(run.units, name)
    return [
        Picture(
            "model",
            "model",
            "As a diagram",
            "Circles are unknown, shaded shapes are data. The inner box exists once for every "
            "unit, the outer once for every group; what is outside both is shared by all groups, "
            "and is how they inform each other.",
            f"Plate diagram: the population of groups leads to each group's coordinates, these to "
            f"the {words.parameter} of each of its units, which leads to its {words.value}.",
            lambda: group_plate(fit),
        ),
        Picture(
            "group_shrinkage",
            "groups",
            "Two stages of shrinkage",
            f"Left, a line leads from each unit's {words.raw} by its estimate to its group's mean; "
            f"marks at the left are larger where a unit tells more. Right, a line leads from what "
            "all units of a group say together to the estimate of its mean, and so towards a "
            "typical group (dashed). Colors run from the group of the lowest mean to that of the "
            "highest. What lies beyond the axis is drawn at its end.",
            f"Two panels of lines: {words.raw}s of units drawn together to means of their groups, "
            "and these drawn together to a typical group's.",
            lambda: group_shrinkage(fit, groups=groups, units=units)[0],
        ),
        Picture(
            "groups",
            "groups",
            "Groups",
            f"Means of the groups with {100 * run.level:g}% intervals, in order, and the number "
            "of each group's units in brackets. Open circles are what a group's units say "
            "together, without the other groups.",
            "Intervals of the means of the groups, one row a group, in order.",
            lambda: group_caterpillar(fit, level=run.level, table=groups),
        ),
    ]
