"""From a file of YAML and the command line to a checked configuration, and from that to objects."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierjax import datasets
from hierjax.asked import unit_position
from hierjax.errors import ConfigError
from hierjax.experiment import yaml_text
from hierjax.experiment.record import NewUnits
from hierjax.observations import Observations
from hierjax.reading import read_table
from hierjax.table_columns import table_columns

# The schema asks the methods for their settings, and so imports JAX: a file that is no YAML at
# all is refused without.
if TYPE_CHECKING:
    from hierjax.experiment.complaints import Path as KeyPath
    from hierjax.experiment.groups.schema import GroupsConfig
    from hierjax.experiment.kinds import AnyConfig
    from hierjax.experiment.schema import Config, DataConfig, QuestionsConfig

__all__ = [
    "analysis",
    "check_questions",
    "load",
    "load_counts",
    "new_units",
    "resolved",
    "validated",
]

_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def load(path: Path, settings: Iterable[str] = ()) -> "AnyConfig":
    """Reads and checks a configuration.

    Args:
        path: The YAML file. Its name is the run's where the file gives none, and the data's path
            is relative to its directory.
        settings: Changes to what the file says, as ``methods[3].draws=500``; a later one wins.

    Returns:
        The configuration, the data's path made absolute.

    Raises:
        ConfigError: If the file cannot be read, is not YAML or breaks the schema. The message
            names the file, the line and the key.
    """
    given, lines = yaml_text.read(path)
    if not isinstance(given, dict):
        found = (
            "an empty file" if given is None else "a list" if isinstance(given, list) else "text"
        )
        raise ConfigError(f"{path}: expected keys with values, found {found}")
    given.setdefault("name", path.stem)
    return validated(given, str(path), settings, lines, path.parent)


def validated(
    given: dict[str, Any],
    source: str,
    settings: Iterable[str] = (),
    lines: yaml_text.Lines | None = None,
    directory: Path | None = None,
) -> "AnyConfig":
    """Checks a configuration.

    Args:
        given: The configuration as plain data.
        source: What errors call it.
        settings: Changes to it, as ``seed=2``.
        lines: The line of every key, for errors.
        directory: Where the data's path starts; the current directory by default.

    Returns:
        The configuration.

    Raises:
        ConfigError: If it breaks the schema.

    Examples:
        >>> given = {"data": {"dataset": "rat_tumors"}}
        >>> validated(given, "example", ["methods[0].method=moments", "level=0.5"]).level
        0.5
        >>> validated(given, "example", ["level=2"])
        Traceback (most recent call last):
            ...
        hierjax.errors.ConfigError: --set level=2: expected a number above 0 and below 1, found 2
    """
    from pydantic import ValidationError

    from hierjax.experiment import complaints
    from hierjax.experiment.groups.misplaced import misplaced
    from hierjax.experiment.kinds import (
        has_groups,
        kind_complaint,
        schema_of,
        without_empty_group,
    )

    origins: dict[KeyPath, str] = {}
    for setting in settings:
        given, path = _changed(given, setting)
        origins[path] = setting
    kind = given.get("kind", "analysis")
    if wrong := kind_complaint(kind):
        raise ConfigError(_placed(("kind",), wrong, source, lines or {}, origins))
    if kind == "analysis":
        from hierjax.experiment.schema import with_family

        given = with_family(given)
    given, groups = without_empty_group(given), has_groups(given)
    if odd := misplaced(given, groups):
        raise ConfigError(_told(odd, source, lines or {}, origins))
    schema = schema_of(kind, groups)
    try:
        config: Any = schema.model_validate(given)
    except ValidationError as error:
        found = complaints.complaints(error, schema, given)
        raise ConfigError(_told(found, source, lines or {}, origins)) from None
    if found := config.disagreements():
        raise ConfigError(_told(found, source, lines or {}, origins))
    key, data = _data_of(config)
    located = {key: data, "map": getattr(config, "map", None)}
    update = {
        name: each.model_copy(update={"path": _absolute(each.path, directory)})
        for name, each in located.items()
        if each is not None and each.path is not None
    }
    return config.model_copy(update=update)


def _absolute(path: str, directory: Path | None) -> str:
    return os.path.abspath((directory or Path()) / Path(path).expanduser())


def analysis(config: "AnyConfig") -> "Config":
    """A configuration that is known to be an analysis's.

    Raises:
        ConfigError: If it is a study's, or of units in groups.
    """
    from hierjax.experiment.schema import Config

    if config.kind == "analysis" and not isinstance(config, Config):
        raise ConfigError(
            "data.group: expected none for an analysis of two levels, found one; hierjax fit has "
            "--group"
        )
    if not isinstance(config, Config):
        raise ConfigError(f"kind: expected analysis, found {config.kind!r}")
    return config


def _data_of(config: "AnyConfig") -> "tuple[str, DataConfig | None]":
    """Where a configuration names data, if it does, and what it says there."""
    key = "data" if config.kind == "analysis" else "like"
    return key, getattr(config, key, None)


def resolved(config: "AnyConfig") -> dict[str, Any]:
    """The whole configuration as plain data, every default written out.

    Args:
        config: A checked configuration.

    Returns:
        Mappings, lists, text and numbers; checked again they give the same configuration.

    Examples:
        >>> given = {"data": {"dataset": "rat_tumors"}, "methods": [{"method": "moments"}]}
        >>> resolved(validated(given, "example"))["methods"]
        [{'method': 'moments', 'name': 'moments', 'estimator': 'noise_corrected'}]
    """
    plain = config.model_dump(mode="json")
    key, data = _data_of(config)
    if data is not None:
        plain[key] = data.model_dump(exclude_none=True)
    for source in {"simulate", "like"} & plain.keys():
        if plain[source] is None:
            del plain[source]
    for entry, method in zip(plain["methods"], config.methods, strict=True):
        entry["name"] = method.display_name
    plain["methods"] = [
        {"method": entry.pop("method"), "name": entry.pop("name")} | entry
        for entry in plain["methods"]
    ]
    if config.kind == "analysis":
        from hierjax.experiment.schema import NEXT, OPTIONAL

        for key in OPTIONAL:
            if plain.get(key) is None:
                plain.pop(key, None)
            elif isinstance(plain[key], dict):
                plain[key] = {name: each for name, each in plain[key].items() if each is not None}

        for question, family in NEXT.items():
            if "questions" in plain and family != config.model.family:
                del plain["questions"][question]
        labels = new_units(config).labels  # type: ignore[arg-type]
        for unit, label in zip(plain["new_units"], labels, strict=True):
            unit["label"] = label
    return plain


def new_units(config: "Config | GroupsConfig") -> NewUnits:
    """The units asked about, in columns; those without a label are called by their data."""
    units = config.new_units
    pairs = [unit.pair for unit in units]
    named = (f"{value:.12g}/{size:.12g}" for value, size in pairs)
    return NewUnits(
        tuple(unit.label or name for unit, name in zip(units, named, strict=True)),
        tuple(value for value, _ in pairs),
        tuple(size for _, size in pairs),
    )


def load_counts(config: "AnyConfig") -> Observations:
    """The data that a configuration names: an analysis's own, or those that a study is like.

    Raises:
        ConfigError: If there is no such data set.
        DataError: If the file cannot be read or its data break a rule.
    """
    _, data = _data_of(config)
    assert data is not None
    named = data.model_dump(exclude_none=True, exclude={"path", "dataset"})
    columns = table_columns(**named) if named else None
    if data.path is None or columns is None:
        return datasets.load(data.dataset or "", columns)
    return read_table(data.path, columns)


def _told(
    found: "Sequence[tuple[KeyPath, str]]",
    source: str,
    lines: yaml_text.Lines,
    origins: "Mapping[KeyPath, str]",
) -> str:
    """The first two complaints, and how many more there are."""
    texts = [_placed(path, text, source, lines, origins) for path, text in found[:2]]
    more = f" (and {len(found) - 2} more)" if len(found) > 2 else ""
    return "\n".join(texts) + more


def _placed(
    path: "KeyPath",
    text: str,
    source: str,
    lines: yaml_text.Lines,
    origins: "Mapping[KeyPath, str]",
) -> str:
    """An error with where its key was written: in the file, or on the command line."""
    from hierjax.experiment import complaints

    key = complaints.key_text(path)
    for origin, setting in reversed(list(origins.items())):
        if path[: len(origin)] == origin:
            within = key if path != origin else ""
            return ": ".join(filter(None, (f"--set {setting}", within, text)))
    line = next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)
    place = source if line is None else f"{source}, line {line}"
    return ": ".join(filter(None, (place, key, text)))


def _changed(given: dict[str, Any], setting: str) -> "tuple[dict[str, Any], KeyPath]":
    """A configuration with one value changed, and the path of that value."""
    key, equals, value = setting.partition("=")
    parts = _PART.findall(key)
    if not equals or not parts or _PART.sub("", key):
        raise ConfigError(f"--set {setting}: expected key=value, as methods[3].draws=500")
    path: KeyPath = ()
    root: Any = {"": given}
    at: Any = ""
    here = root
    for name, index in parts:
        here[at] = _filled(here[at], path, root[""])
        here, at = here[at], _step(here[at], name or index, setting, path)
        path = (*path, at)
    here[at], _ = yaml_text.parse(value, f"--set {setting}")
    if path == ("data", "path"):  # in place of a data set that comes with the package
        here.pop("dataset", None)
    return root[""], path


def _filled(value: Any, path: "KeyPath", given: Any) -> Any:
    """A copy of a value to be changed inside; a part not given starts from its defaults."""
    if isinstance(value, dict | list):
        return value.copy()
    if path == ("methods",) and given.get("kind", "analysis") != "analysis":
        raise ConfigError("methods: expected a list of methods, as a study needs, found nothing")
    if value is None and path in (("methods",), ("model",), ("model", "hyperprior")):
        from hierjax.experiment.kinds import has_groups, schema_of
        from hierjax.experiment.schema import family_given

        data, groups = {"dataset": "-"}, has_groups(given)
        if groups:
            data = {"path": "-", "successes": "-", "trials": "-", "group": "-"}
        schema = schema_of("analysis", groups)
        filled = {"data": data, "model": {"family": family_given(given)}}
        plain: Any = resolved(schema.model_validate(filled))
        for part in path:
            plain = plain[part]
        return plain
    return {} if value is None else value


def _step(value: Any, part: str, setting: str, path: "KeyPath") -> str | int:
    """One part of a path as the key or index that it is in a value, which must have room for it."""
    from hierjax.experiment import complaints

    place = f"--set {setting}: {complaints.key_text(path)}"
    if isinstance(value, list):
        if not part.isdecimal() or int(part) >= len(value):
            raise ConfigError(
                f"{place}: expected an index from 0 to {len(value) - 1}, found {part}"
            )
        return int(part)
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: expected keys with values, found {value!r}")
    value.setdefault(part, None)
    return part


def check_questions(questions: "QuestionsConfig", counts: Observations) -> None:
    """Refuses questions that these units cannot answer.

    Args:
        questions: What is asked.
        counts: The units.

    Raises:
        ConfigError: If more units are to be at the top than there are, or the control is not one
            unit's label.
    """
    units = len(counts)
    if questions.top is not None and questions.top > units:
        raise ConfigError(
            f"questions.top: expected at most {units} (the number of units), found {questions.top}"
        )
    if questions.control is not None:
        unit_position("questions.control", counts.labels, questions.control, ConfigError)
