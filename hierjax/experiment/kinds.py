"""The kinds of configuration, by what `kind` says; an analysis where it says nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from hierjax.errors import did_you_mean

if TYPE_CHECKING:
    from hierjax.experiment.schema import Config
    from hierjax.experiment.study.schema import StudyConfig

    AnyConfig: TypeAlias = Config | StudyConfig

__all__ = ["KINDS", "json_schema", "kind_complaint", "schema_of"]

_STUDIES = "hierjax.experiment.study.schema"

#: Where the schema of each kind is: that of studies takes a third of a second to make.
KINDS: dict[str, tuple[str, str]] = {
    "analysis": ("hierjax.experiment.schema", "Config"),
    "calibration": (_STUDIES, "CalibrationConfig"),
    "coverage": (_STUDIES, "CoverageConfig"),
    "misspecification": (_STUDIES, "MisspecificationConfig"),
    "comparison": (_STUDIES, "ComparisonConfig"),
}


def schema_of(kind: str) -> "type[Config] | type[StudyConfig]":
    """The schema of a kind.

    Examples:
        >>> schema_of("analysis").__name__
        'Config'
    """
    module, name = KINDS[kind]
    return getattr(import_module(module), name)


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


def json_schema() -> dict[str, Any]:
    """The JSON Schema of configurations of every kind.

    Returns:
        One branch a kind; without `kind`, an analysis's holds.

    Examples:
        >>> len(json_schema()["oneOf"]) == len(KINDS)
        True
    """
    definitions: dict[str, Any] = {}
    models = [schema_of(kind) for kind in KINDS]
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
