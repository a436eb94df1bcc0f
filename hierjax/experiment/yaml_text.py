"""YAML as configurations use it: plain data of the core schema of YAML 1.2, safely loaded.

Loading builds mappings, lists, text, numbers, booleans and nothing else. Unlike YAML 1.1, as
which PyYAML reads by default, ``1e-4`` is a number, ``no`` is text and so is ``4:14``. Keys given
twice and aliases are refused.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hierjax.errors import ConfigError

__all__ = ["Lines", "dump", "parse", "read"]

# From a key's path, as ("methods", 0, "draws"), to the line on which the key stands.
Lines = dict[tuple[str | int, ...], int]

_CORE_SCHEMA = (
    ("null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
        r"|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
)
_TAGS = {
    f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map")
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  PyYAML's own attribute


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  PyYAML's own attribute

    def ignore_aliases(self, data: Any) -> bool:
        """Writes equal values in full, wherever they stand."""
        return True


for _kind, _pattern, _first in _CORE_SCHEMA:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _first
        )


def _whole_number(loader: _Loader, node: ScalarNode) -> int:
    """The integer in decimal: a leading zero does not make it octal."""
    return int(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read(path: Path) -> tuple[Any, Lines]:
    """Reads a file of YAML.

    Args:
        path: The file, of UTF-8 text.

    Returns:
        The value it holds, and the line of every key in it.

    Raises:
        ConfigError: If the file cannot be read or is not YAML; the message names file and line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable file, found: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise ConfigError(
            f"{path}, line {line}: expected UTF-8 text, found byte 0x{byte:02x}"
        ) from None
    return parse(text, str(path))


def parse(text: str, source: str) -> tuple[Any, Lines]:
    r"""Parses YAML.

    Args:
        text: The YAML.
        source: What errors call it.

    Returns:
        The value, and the line of every key in it.

    Raises:
        ConfigError: If the text is not YAML, gives a key twice or holds an alias.

    Examples:
        >>> parse("{tolerance: 1e-4, label: no}", "example")[0]
        {'tolerance': 0.0001, 'label': 'no'}
        >>> parse("seed: 1\nseed: 2", "example")
        Traceback (most recent call last):
            ...
        hierjax.errors.ConfigError: example, line 2: expected each key once, found 'seed' again
    """
    lines: Lines = {}
    try:
        _refuse_aliases(text, source)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, lines
            _find_lines(node, (), lines, source)
            return loader.construct_document(node), lines
        finally:
            loader.dispose()
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{place}: expected valid YAML; {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        found = " ".join(str(error).split())
        raise ConfigError(f"{source}: expected valid YAML; {found}") from None
    except RecursionError:
        raise ConfigError(f"{source}: expected YAML of a few levels, found very many") from None


def dump(value: Any) -> str:
    """Writes plain data as YAML that `parse` reads back equal.

    Args:
        value: Mappings, lists, text, numbers and booleans.

    Returns:
        The YAML, keys in the order of the mappings.

    Examples:
        >>> print(dump({"label": "no", "tolerance": 1e-10}), end="")
        label: no
        tolerance: 1.0e-10
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _refuse_aliases(text: str, source: str) -> None:
    """Aliases make small files expand without limit, and hide where a value came from."""
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            place = f"{source}, line {event.start_mark.line + 1}" if event.start_mark else source
            raise ConfigError(f"{place}: expected no aliases, found '*{event.anchor}'")


def _find_lines(node: Node, path: tuple[str | int, ...], lines: Lines, source: str) -> None:
    """Records the line of every key below a node; refuses keys given twice, and tags."""
    line = node.start_mark.line + 1
    if node.tag not in _TAGS:
        raise ConfigError(f"{source}, line {line}: expected plain YAML, found the tag {node.tag!r}")
    lines.setdefault(path, line)
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            _find_lines(item, (*path, index), lines, source)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                found = key.value if isinstance(key, ScalarNode) else f"a {key.id}"
                raise ConfigError(f"{source}, line {line}: expected a name as key, found {found}")
            at = (*path, key.value)
            if at in lines:
                raise ConfigError(
                    f"{source}, line {line}: expected each key once, found {key.value!r} again"
                )
            lines[at] = line
            _find_lines(value, at, lines, source)
