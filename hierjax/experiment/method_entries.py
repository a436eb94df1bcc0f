"""Entries of methods in a configuration, made from the methods' own settings.

A new method or setting so appears in the configurations, in the JSON Schema and in the errors
without being written down again.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, create_model, model_validator

from hierjax.experiment.schema_base import Name, Strict

__all__ = ["MethodEntry", "argument_texts", "entry_model", "require_names_differ"]


#: For models without source code: looking for docstrings in it takes a tenth of a second in all.
NO_SOURCE = {"use_attribute_docstrings": False}


class MethodEntry(Strict):
    """A method, its settings and what to call it."""

    settings_class: ClassVar[type]

    name: Name | None = None
    """What the run calls it; the method's own name by default."""

    @property
    def display_name(self) -> str:
        """What tables and files call it."""
        return self.name or self.settings_class.name  # type: ignore[attr-defined]

    @property
    def is_sampler(self) -> bool:
        """Whether the method draws: it needs a key, and can be compiled ahead."""
        return hasattr(self.settings_class, "compile")

    def settings(self) -> Any:
        """The settings as the Python API takes them."""
        return self.settings_class(
            **{key: getattr(self, key) for key in _setting_names(self.settings_class)}
        )

    @model_validator(mode="before")
    @classmethod
    def _tuples(cls, given: Any) -> Any:
        """YAML has lists where settings have tuples."""
        if not isinstance(given, dict):
            return given
        return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}

    @model_validator(mode="after")
    def _settings_agree(self) -> "MethodEntry":
        """Settings may have rules of their own, about several of them at once."""
        try:
            self.settings()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = "".join(f"{part}: " for part in first["loc"])
            raise ValueError(place + first["msg"].removeprefix("Value error, ")) from None
        return self


def _setting_names(settings: type) -> list[str]:
    return [field.name for field in fields(settings) if field.init]


def argument_texts(docstring: str | None) -> dict[str, str]:
    """What a Google docstring says of each argument.

    Args:
        docstring: The docstring.

    Returns:
        One line an argument.

    Examples:
        >>> from hierjax.inference import Moments
        >>> list(argument_texts(Moments.__doc__))
        ['estimator']
    """
    text = inspect.cleandoc(docstring or "")
    section = re.search(r"^Args:\n(.*?)(?:\n\n|\Z)", text, re.S | re.M)
    entries = re.findall(
        r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section.group(1) if section else "", re.M
    )
    return {name: " ".join(text.split()) for name, text in entries}


def entry_model(
    name: str,
    settings: type,
    base: type[MethodEntry] = MethodEntry,
    defaults: Mapping[str, Any] | None = None,
) -> type[MethodEntry]:
    """The schema of one method's entry, from the method's settings.

    Args:
        name: The method's name.
        settings: Its settings' class.
        base: What the entry has beside the settings; its name ends the entry's.
        defaults: Defaults other than the settings' own.

    Returns:
        The schema.
    """
    texts = argument_texts(settings.__doc__)
    entries: dict[str, Any] = {"method": (Literal[name], ...)}
    for key, info in settings.__pydantic_fields__.items():  # type: ignore[attr-defined]
        described = Field(description=texts.get(key))
        default = (defaults or {}).get(key, info.default)
        entries[key] = (Annotated[info.annotation, *info.metadata, described], default)
    kind = "Entry" if base is MethodEntry else base.__name__
    model = create_model(
        f"{settings.__name__}{kind}", __base__=base, __cls_kwargs__=NO_SOURCE, **entries
    )
    model.settings_class = settings
    model.__doc__ = (settings.__doc__ or name).split("\n", 1)[0]
    return model


def require_names_differ(methods: Sequence[MethodEntry]) -> None:
    """Refuses methods that would write the same rows and files.

    Args:
        methods: The methods of a run.

    Raises:
        ValueError: If two have one name, capitals aside.
    """
    seen: dict[str, int] = {}
    for index, entry in enumerate(methods):
        first = seen.setdefault(entry.display_name.casefold(), index)
        if first != index:
            raise ValueError(
                f"expected a name for each method, found {entry.display_name!r} for "
                f"methods[{first}] and methods[{index}]; give one of them another `name`"
            )
