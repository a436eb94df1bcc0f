"""New data for a fit: the union of its data with more, and the fit of that union."""

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Int, Key

from hierjax.containers import CONTAINERS
from hierjax.entries import ArrayLike, Source
from hierjax.errors import DataError, DataWarning
from hierjax.families import FAMILIES
from hierjax.inference.result import Problem
from hierjax.observations import Observations

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["refit", "union"]

_OPTIONAL = ("groups", "weights")

Data = TypeVar("Data", bound=Observations)


def union(old: Data, new: Data | Mapping[str, ArrayLike]) -> Data:
    """Adds rows to data: those of old labels to their units, others as units at the end.

    Counts and exposures of one unit add up; of measurements the mean is taken, weighted by
    1 / error^2. Labels alone say what belongs together, so data made without labels, whose units
    are called "1", "2" and so on, add to the units at the same positions.

    Args:
        old: The data so far.
        new: More of them, or a mapping of columns successes, trials (or events, exposures; values,
            errors) and labels (and groups, weights), which may hold a single row.

    Returns:
        The data of all, old units first. New units weigh 1 unless told otherwise.

    Raises:
        DataError: If a row breaks a rule of the data, its label is that of more than one old
            unit, or its group or weight is not that of its unit.

    Example:
        >>> from hierjax.counts import Counts
        >>> counts = Counts([0, 1], [20, 20], labels=["a", "b"])
        >>> both = union(counts, {"successes": [4, 2], "trials": [14, 9], "labels": ["c", "a"]})
        >>> both.labels.tolist(), both.successes.tolist(), both.trials.tolist()
        (['a', 'b', 'c'], [2, 1, 4], [29, 20, 14])
    """
    rows = _stacked(old, _columns(old, new))
    place = _places(old, rows)
    first = np.full(place.max() + 1, len(rows))
    np.minimum.at(first, place, np.arange(len(rows)))
    for name, values in (("group", rows.groups), ("weight", rows.weights)):
        if values is not None:
            _require_equal(name, values, first[place], rows)
    host = FAMILIES[old.family].on_host
    pair = host.combined(*rows.pair, place, first)
    columns: dict[str, Any] = {}
    for name in ("labels", *_OPTIONAL):
        values = getattr(rows, name)
        columns[name] = None if values is None else values[first]
    if old.weights is None and np.all(columns["weights"] == 1):
        columns["weights"] = None
    with _without_warnings():
        return type(old)(*pair, **columns)


def _without_warnings() -> Any:
    """Labels that occur twice were warned of when the data were made."""
    return warnings.catch_warnings(action="ignore", category=DataWarning)


def _columns(
    old: Observations, new: Observations | Mapping[str, ArrayLike]
) -> dict[str, list[Any] | None]:
    needed = (*old.columns, "labels")
    if isinstance(new, type(old)):
        given: dict[str, Any] = {name: getattr(new, name) for name in (*needed, *_OPTIONAL)}
    elif not isinstance(new, Mapping):
        kind = CONTAINERS[old.family].__name__.lower()
        raise DataError(f"new rows: expected {kind}, or columns by name, found {new!r}")
    else:
        given = {name: new.get(name) for name in (*needed, *_OPTIONAL)}
        unknown = set(new) - set(given)
        if unknown or any(given[name] is None for name in needed):
            raise DataError(
                f"new rows: expected columns {', '.join(needed)} (and {', '.join(_OPTIONAL)}), "
                f"found {', '.join(map(str, new)) or 'none'}"
            )
    columns = {name: None if values is None else list(values) for name, values in given.items()}
    lengths = {name: len(values) for name, values in columns.items() if values is not None}
    if len(set(lengths.values())) > 1 or not lengths["labels"]:
        found = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise DataError(f"new rows: expected one or more, with columns as long, found {found}")
    return columns


def _stacked(old: Data, new: dict[str, list[Any] | None]) -> Data:
    """Old units and new rows one after the other, checked as data are."""
    labels: list[Any] = new["labels"] or []
    units = {label: j for j, label in enumerate(old.labels.tolist())}
    known = [units.get(str(label).strip()) for label in labels]
    groups, weights = new["groups"], new["weights"]
    if old.groups is None and groups is not None:
        raise DataError("new rows: expected no groups, as of the units of the fit, found groups")
    if old.groups is not None and groups is None:
        groups = [None if j is None else old.groups[j] for j in known]
    own = np.ones(len(old)) if old.weights is None else old.weights
    if weights is None:
        weights = [1.0 if j is None else own[j] for j in known]

    def row(i: int) -> str:
        return f"unit {i + 1}" if i < len(old) else f"new row {i - len(old) + 1}"

    with _without_warnings():
        value, size = (
            [*column, *(new[name] or [])]
            for name, column in zip(old.columns, old.pair, strict=True)
        )
        return type(old)(
            value,
            size,
            [*old.labels, *labels],
            None if old.groups is None or groups is None else [*old.groups, *groups],
            [*own, *weights],
            source=Source("new rows", row),
        )


def _places(old: Observations, rows: Observations) -> Int[np.ndarray, "rows"]:
    """The unit that every row belongs to; old units keep their places, whatever their labels."""
    counted, places = Counter(old.labels.tolist()), list(range(len(old)))
    units = {label: j for j, label in enumerate(old.labels.tolist())}
    size = len(old)
    for i, label in enumerate(rows.labels[len(old) :].tolist()):
        if counted[label] > 1:
            raise DataError(
                f"new row {i + 1}: expected the label of one unit, found {label!r}, which "
                f"{counted[label]} units of the fit have"
            )
        if label not in units:
            units[label], size = size, size + 1
        places.append(units[label])
    return np.array(places)


def _require_equal(
    name: str, values: np.ndarray, first: Int[np.ndarray, "rows"], rows: Observations
) -> None:
    differ = np.flatnonzero(values != values[first])
    if len(differ):
        i = int(differ[0])
        label, expected, found = rows.labels[i], values[first[i]], values[i]
        raise DataError(
            f"new rows, label {str(label)!r}: expected {name} {expected}, as of its unit, "
            f"found {found}"
        )


def refit(
    fit: "Fit",
    new: Any,
    key: Key[Array, ""] | None = None,
) -> "Fit":
    """Fits the union of a fit's data with new rows, with the same model, method and precision.

    The result is that of fitting the union from scratch: the same numbers by moments, by
    quadrature, and by a sampler given the same key; by Type-2 maximum likelihood, which starts
    from the maximum it had, equal to rounding.

    Args:
        fit: The fit so far.
        new: New rows, as for `union`.
        key: Typed random key, for methods that draw.

    Returns:
        A new fit; the old one is not changed.

    Raises:
        DataError: As `union` does.
        TypeError: If a method that draws is given no typed key.
        ModelError: If the method cannot do the union.

    Example:
        >>> import hierjax as hj
        >>> fit = hj.fit(hj.datasets.rat_tumors())
        >>> fit.update({"successes": [4], "trials": [14], "labels": ["71"]})
        Fit(method='quadrature', units=71, status='converged')
    """
    counts = union(fit.counts, new)
    start = None
    if fit.result.posterior is not None and fit.is_point:
        eta = np.asarray(fit.posterior.points[0, 0])
        start = eta if np.all(np.isfinite(eta)) else None
    with jax.enable_x64(fit.precision == "float64"):
        problem = Problem(fit.model, counts, fit.dtype, key, start=start)
        return replace(fit, counts=counts, result=fit.method.run(problem).on_host())
