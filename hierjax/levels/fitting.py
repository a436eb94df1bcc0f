"""fit_groups: a table, a model and a method to a fit of three levels."""

from dataclasses import replace
from pathlib import Path

import jax
from jaxtyping import Array, Key

from hierjax.asked import of_kind
from hierjax.errors import ConfigError, ModelError
from hierjax.families import FAMILIES
from hierjax.fitted import DTYPES, Precision
from hierjax.fitting import Fit, fit
from hierjax.inference.result import Progress
from hierjax.levels.group_fit import GroupFit, GroupMethod
from hierjax.levels.labs import Labs
from hierjax.levels.methods import GroupProblem, GroupQuadrature
from hierjax.levels.model import GroupModel
from hierjax.observations import Observations

__all__ = ["fit_groups"]


def fit_groups(
    data: Observations,
    model: GroupModel | None = None,
    method: GroupMethod | None = None,
    *,
    key: Key[Array, ""] | None = None,
    checkpoint: Path | None = None,
    precision: Precision = "float64",
    progress: Progress | None = None,
) -> GroupFit | Fit:
    """Infers a hierarchy of three levels: units in groups, groups in a population of groups.

    Args:
        data: Validated observations with the group of every unit.
        model: Family and hyperprior; by default the data's family.
        method: Settings of the method; by default nested quadrature.
        key: Typed random key, for methods that draw.
        checkpoint: File that a sampler goes on from if it is there, and writes as it goes.
        precision: Floating type of what is above the groups; groups' likelihoods are worked out
            in float64.
        progress: Called by samplers with steps done and steps in all.

    Returns:
        The fit. Look at its `status`. Of a single group, where nothing tells how groups differ,
        the two-level fit under its own default hyperprior, whose message says so.

    Raises:
        DataError: If units have no groups.
        ModelError: If the model's family is not the data's.
        ConfigError: If the precision is unknown, or an argument is of another kind.

    Example:
        >>> import hierjax as hj
        >>> labs = ["a"] * 3 + ["b"] * 3 + ["c"] * 3
        >>> data = hj.Counts([1, 2, 1, 5, 6, 4, 2, 3, 4], [20] * 9, groups=labs)
        >>> fitted = hj.fit_groups(data)
        >>> fitted.groups()["mean"].round(2).tolist()
        [0.1, 0.22, 0.15]
    """
    if precision not in DTYPES:
        raise ConfigError(f"precision: expected 'float64' or 'float32', found {precision!r}")
    model = model or GroupModel()
    settings: GroupMethod = GroupQuadrature() if method is None else method
    of_kind("data", data, Observations, "observations, such as Counts")
    of_kind("model", model, GroupModel, "a GroupModel")
    of_kind("method", settings, GroupMethod, "a method's settings, such as GroupQuadrature()")
    family = FAMILIES[data.family] if model.family is None else model.family
    if family.name != data.family:  # type: ignore[union-attr]
        raise ModelError(
            f"family: expected {data.family}, that of the data, found {family.name}"  # type: ignore[union-attr]
        )
    model = replace(model, family=family)
    labs = Labs.of(data)
    if len(labs) == 1:
        found = fit(data, precision=precision)
        said = f"one group ({labs.names[0]}): the two-level model was fitted"
        message = f"{said}; {found.message}" if found.message else said
        return replace(found, result=replace(found.result, message=message))
    with jax.enable_x64(precision == "float64"):
        dtype = DTYPES[precision]
        problem = GroupProblem(model, family, labs, dtype, key, progress, checkpoint)  # type: ignore[arg-type]
        result = settings.run(problem)
    return GroupFit(data, model, settings, precision, labs, result)
