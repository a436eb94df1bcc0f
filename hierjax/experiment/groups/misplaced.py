"""Keys of two levels beside `data.group`, and groups where there are two levels."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["misplaced"]

# What keys are for that two levels alone have.
_WORDS = {
    "questions": "questions about units",
    "interval": "other intervals than central ones",
    "empirical_bayes": "corrected point estimates",
}


def misplaced(given: Mapping[str, Any], groups: bool) -> list[tuple[tuple[str | int, ...], str]]:
    """What a configuration says that belongs to another number of levels.

    Args:
        given: The configuration as plain data.
        groups: Whether it is of units in groups.

    Returns:
        For each key where it is, and a sentence.

    Examples:
        >>> given = {"data": {"path": "a.csv", "group": "lab"}, "questions": {"top": 3}}
        >>> misplaced(given, True)[0][1]
        'expected none with data.group: three levels have no questions about units'
    """
    return list(_of_two_levels(given) if groups else _of_three_levels(given))


def _of_two_levels(given: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    # Their schemas import JAX, as a file that is no YAML at all does not need.
    from hierjax.experiment.groups.schema import GroupsConfig
    from hierjax.experiment.schema import Config

    for key in sorted(Config.model_fields.keys() - GroupsConfig.model_fields.keys()):
        if given.get(key):
            what = _WORDS.get(key, f"key {key}")
            yield (key,), f"expected none with data.group: three levels have no {what}"
    model = given.get("model")
    hyperprior = model.get("hyperprior") if isinstance(model, Mapping) else None
    if isinstance(hyperprior, Mapping) and "kind" in hyperprior:
        yield (
            ("model", "hyperprior", "kind"),
            "expected none with data.group: three levels have one kind of hyperprior, of location, "
            f"location_spread, log_concentration and log_concentration_spread, found "
            f"{hyperprior['kind']!r}",
        )


def _of_three_levels(given: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    kind = given.get("kind", "analysis")
    for key in ("data", "like"):
        part = given.get(key)
        if isinstance(part, Mapping) and part.get("group") is not None and kind != "analysis":
            text = f"expected none, as a study has two levels, found {part['group']!r}"
            yield (key, "group"), text
