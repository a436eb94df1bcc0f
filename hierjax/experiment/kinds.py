"""The kinds of configuration, by what `kind` says; an analysis where it says nothing."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from hierjax.errors import did_you_mean

if TYPE_CHECKING:
    from hierjax.experiment.groups.schema import GroupsConfig
    from hierjax.experiment.schema import Config
    from hierjax.experiment.study.schema import StudyConfig

    AnyConfig: TypeAlias = Config | GroupsConfig | StudyConfig

__all__ = [
    "KINDS",
    "has_groups",
    "json_schema",
    "kind_complaint",
    "schema_of",
    "without_empty_group",
]

_STUDIES = "hierjax.experiment.study.schema"

#: Where the schema of each kind is: that of studies takes a third of a second to make.
KINDS: dict[str, tuple[str, str]] = {
    "analysis": ("hierjax.experiment.schema", "Config"),
    "calibration": (_STUDIES, "CalibrationConfig"),
    "coverage": (_STUDIES, "CoverageConfig"),
    "misspecification": (_STUDIES, "MisspecificationConfig"),
    "comparison": (_STUDIES, "ComparisonConfig"),
}


#: That of analyses of units in groups.
_GROUPS = ("hierjax.experiment.groups.schema", "GroupsConfig")


def schema_of(
    kind: str, groups: bool = False
) -> "type[Config] | type[GroupsConfig] | type[StudyConfig]":
    """The schema of a kind.

    Args:
        kind: One of `KINDS`.
        groups: Of an analysis, whether it is of units in groups.

    Examples:
        >>> schema_of("analysis").__name__
        'Config'
    """
    module, name = _GROUPS if groups else KINDS[kind]
    return getattr(import_module(module), name)


def has_groups(given: Mapping[str, Any]) -> bool:
    """Whether a configuration as plain data is of an analysis of units in groups.

    Examples:
        >>> has_groups({"data": {"path": "a.csv", "group": "lab"}})
        True
    """
    data = given.get("data")
    named = isinstance(data, Mapping) and data.get("group") is not None
    return named and given.get("kind", "analysis") == "analysis"


def kind_complaint(kind: Any) -> str | None:
    """What is wrong with a kind, if something is.

    Examples:
        >>> kind_complaint("coverage") is None
        True
        >>> kind_complaint("converage").partition(", found ")[2]
        "'converage'; did you mean 'coverage'?"
    """
    if isinstance(kind, str) and kind in KINDS:
        return None
    near = did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
    return f"expected one of {', '.join(KINDS)}, found {kind!r}{near}"


def without_empty_group(given: dict[str, Any]) -> dict[str, Any]:
    """A configuration as plain data in which a group that is null is none.

    Examples:
        >>> without_empty_group({"data": {"path": "a.csv", "group": None}})
        {'data': {'path': 'a.csv'}}
    """
    data = given.get("data")
    if not isinstance(data, Mapping) or data.get("group", "") is not None:
        return given
    return {**given, "data": {key: value for key, value in data.items() if key != "group"}}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of configurations of every kind.

    Returns:
        One branch a kind, and one of analyses of units in groups; without `kind`, an analysis's
        holds.

    Examples:
        >>> len(json_schema()["oneOf"]) == len(KINDS) + 1
        True
    """
    definitions: dict[str, Any] = {}
    models = [*map(schema_of, KINDS), schema_of("analysis", groups=True)]
    for model in models:
        schema = model.model_json_schema()
        definitions |= schema.pop("$defs", {})
        definitions[model.__name__] = schema
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of hierjax run",
        "oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in models],
        "$defs": definitions,
    }
