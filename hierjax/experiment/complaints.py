"""What is wrong with a configuration, in one or two lines that name the key.

What was expected is read off the JSON Schema, so that it is said in one way everywhere, limits
included, and never goes stale.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hierjax.errors import did_you_mean

__all__ = ["Path", "complaints", "key_text"]

Path = tuple[str | int, ...]
Schema = dict[str, Any]

_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys with values",
    "null": "null",
}
# Keys that decide between the branches of a union.
_TAGS = ("kind", "method", "family")
_LIMITS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
}


def complaints(
    error: ValidationError, model: type[BaseModel], given: Any
) -> list[tuple[Path, str]]:
    """Every error of a validation, as a path and a sentence about it.

    Args:
        error: What pydantic raised.
        model: The schema.
        given: What was validated.

    Returns:
        For each error where it is and what was expected and found there.

    Examples:
        >>> from hierjax.experiment.schema import Config
        >>> given = {"data": {"dataset": "rat_tumors"}, "level": "high", "sed": 2}
        >>> try:
        ...     Config.model_validate(given)
        ... except ValidationError as error:
        ...     for path, text in complaints(error, Config, given):
        ...         print(f"{key_text(path)}: {text}")
        level: expected a number above 0 and below 1, found 'high'
        sed: expected no such key; did you mean 'seed'?
    """
    schema = model.model_json_schema()
    return [_complaint(detail, schema, given) for detail in error.errors(include_url=False)]


def key_text(path: Path) -> str:
    """A key's path as people write it.

    Examples:
        >>> key_text(("methods", 2, "draws"))
        'methods[2].draws'
    """
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def _complaint(detail: ErrorDetails, schema: Schema, given: Any) -> tuple[Path, str]:
    kind = detail["type"]
    missing_key = kind == "missing" and isinstance(detail["loc"][-1], str)
    path, value = _locate(detail["loc"], given, missing_key)
    if kind == "value_error":
        return path, detail["msg"].removeprefix("Value error, ")
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        tag = detail["ctx"]["discriminator"].strip("'")
        path = (*path, tag)
        missing_key = kind == "union_tag_not_found" and tag not in value
        value = value.get(tag)
    found_schema = _schema_at(path, schema, given)
    if kind == "extra_forbidden":
        keys = _resolve(_schema_at(path[:-1], schema, given), schema, _value_at(path[:-1], given))
        names = list(keys.get("properties", {}))
        near = did_you_mean(str(path[-1]), names)
        return path, f"expected no such key{near or '; the keys are ' + ', '.join(names)}"
    expected = _describe(found_schema, schema)
    if missing_key:
        return path, f"expected {expected}, found nothing"
    near = ""
    if isinstance(value, str):
        near = did_you_mean(value, [str(option) for option in _options(found_schema)])
    return path, f"expected {expected}, found {_shown(value)}{near}"


def _locate(location: Path, given: Any, missing: bool) -> tuple[Path, Any]:
    """An error's path through what was given, without the branches of unions, and its value."""
    path: list[str | int] = []
    value, told = given, False
    for depth, part in enumerate(location):
        if isinstance(value, Mapping) and not told and part in (value.get(tag) for tag in _TAGS):
            told = True  # a union's branch, though a key may be called so too
            continue
        inside = isinstance(value, Mapping) and part in value
        inside |= isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)
        if inside:
            value, told = value[part], False
        if inside or (missing and depth == len(location) - 1):
            path.append(part)
    return tuple(path), value


def _value_at(path: Path, given: Any) -> Any:
    for part in path:
        given = given[part]
    return given


def _schema_at(path: Path, schema: Schema, given: Any) -> Schema:
    """The part of the JSON Schema that speaks of a path, unions decided by what was given."""
    here: Schema = schema
    value = given
    for part in path:
        here = _resolve(here, schema, value)
        if isinstance(part, int):
            items = here.get("prefixItems")
            here = items[part] if items and part < len(items) else here.get("items", {})
            value = value[part]
            continue
        if "discriminator" in here and part == here["discriminator"]["propertyName"]:
            return {"enum": list(here["discriminator"]["mapping"])}
        here = here.get("properties", {}).get(part) or here.get("additionalProperties") or {}
        value = value.get(part) if isinstance(value, Mapping) else None
    return here


def _resolve(here: Schema, schema: Schema, value: Any) -> Schema:
    """Follows references, and a union to the branch that the value's discriminator names."""
    while True:
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rsplit("/", 1)[-1]]
        elif "anyOf" in here and isinstance(value, list | tuple):
            here = next((s for s in here["anyOf"] if s.get("type") == "array"), {})
        elif _one_or_many(here):
            many = isinstance(value, list | tuple)
            branches = [s for s in here["oneOf"] if (s.get("type") == "array") == many]
            here = _branch_of(branches, schema, value)
        elif "anyOf" in here and isinstance(value, Mapping):
            here = next((s for s in here["anyOf"] if s.get("type") != "null"), {})
        elif "discriminator" in here and isinstance(value, Mapping):
            tag = value.get(here["discriminator"]["propertyName"])
            mapping = here["discriminator"]["mapping"]
            if not isinstance(tag, str) or tag not in mapping:
                return here
            here = {"$ref": mapping[tag]}
        else:
            return here


def _branch_of(branches: Sequence[Schema], schema: Schema, value: Any) -> Schema:
    """The branch of a union that a value's first key of one branch alone belongs to."""
    if len(branches) > 1 and isinstance(value, Mapping):
        known = [set(_resolve(each, schema, value).get("properties", {})) for each in branches]
        for key in value:
            if sum(key in keys for keys in known) == 1:
                return next(b for b, keys in zip(branches, known, strict=True) if key in keys)
    return branches[0]


def _one_or_many(here: Schema) -> bool:
    """Whether one of something or a list of them may stand there."""
    return "oneOf" in here and "discriminator" not in here


def _options(here: Schema) -> Sequence[Any]:
    return here.get("enum", [])


def _describe(here: Schema, schema: Schema) -> str:
    """The values that a part of the JSON Schema allows, in words."""
    if _one_or_many(here):
        return f"{_describe(here['oneOf'][0], schema)}, or a list of them"
    here = _resolve(here, schema, None)
    if "const" in here:
        return str(here["const"])
    if options := _options(here):
        return ("one of " if len(options) > 1 else "") + ", ".join(map(str, options))
    if "anyOf" in here:
        return " or ".join(_describe(branch, schema) for branch in here["anyOf"])
    text = _TYPES.get(
        "object" if "discriminator" in here else here.get("type", ""), "another value"
    )
    if here.get("type") == "array" and "prefixItems" in here:
        items = [_describe(item, schema) for item in here["prefixItems"]]
        return f"a list of {len(items)}: {', '.join(items)}"
    limits = [f"{words} {here[key]}" for key, words in _LIMITS.items() if key in here]
    if here.get("minItems") or here.get("minLength"):
        text = {"array": "a list that is not empty", "string": "text that is not empty"}[
            here["type"]
        ]
    if here.get("pattern"):
        text = "letters, digits, spaces and _.,+=()-, a letter or digit first"
    return f"{text} {' and '.join(limits)}".rstrip()


def _shown(value: Any) -> str:
    """A value as an error shows it: on one line and never long."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"keys {', '.join(map(str, value))}" if value else "no keys"
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
