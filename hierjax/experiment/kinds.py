"""The kinds of configuration, by what `kind` says; an analysis where it says nothing."""

from typing import Any

from hierjax.errors import did_you_mean
from hierjax.experiment.schema import Config
from hierjax.experiment.study_schema import (
    CalibrationConfig,
    ComparisonConfig,
    CoverageConfig,
    MisspecificationConfig,
    StudyConfig,
)

__all__ = ["KINDS", "AnyConfig", "json_schema", "kind_complaint"]

AnyConfig = Config | StudyConfig

#: Schemas by kind.
KINDS: dict[str, type[Config] | type[StudyConfig]] = {
    "analysis": Config,
    "calibration": CalibrationConfig,
    "coverage": CoverageConfig,
    "misspecification": MisspecificationConfig,
    "comparison": ComparisonConfig,
}


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
    for model in KINDS.values():
        schema = model.model_json_schema()
        definitions |= schema.pop("$defs", {})
        definitions[model.__name__] = schema
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of hierjax run",
        "oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in KINDS.values()],
        "$defs": definitions,
    }
