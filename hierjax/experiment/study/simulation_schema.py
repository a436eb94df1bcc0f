"""What configurations of studies say of the data sets that are simulated.

Populations and distributions of trials are made from their own classes, so a new one appears here,
in the JSON Schema and in the errors without being written down again.
"""

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_type_hints

from pydantic import Discriminator, Field, Tag, create_model, model_validator

from hierjax.datasets.populations import POPULATIONS
from hierjax.datasets.trials import TRIALS
from hierjax.errors import HierjaxError
from hierjax.experiment.method_entries import NO_SOURCE, argument_texts
from hierjax.experiment.schema_base import Strict

__all__ = [
    "GridConfig",
    "PartConfig",
    "PriorSimulationConfig",
    "SimulationConfig",
    "listed",
]

Units = Annotated[int, Field(ge=2)]


class PartConfig(Strict):
    """A population or a distribution of trials, by its kind and its parameters."""

    part_class: ClassVar[type]

    kind: str
    """Which it is."""

    def build(self) -> Any:
        """The object that the part describes."""
        names = [field.name for field in fields(self.part_class)]
        return self.part_class(**{name: getattr(self, name) for name in names})

    @model_validator(mode="after")
    def _can_be_built(self) -> "PartConfig":
        try:
            self.build()
        except HierjaxError as error:
            raise ValueError(str(error)) from None
        return self


def _part_models(parts: dict[str, type], ending: str) -> Any:
    """The union of the schemas of parts, told apart by their kind."""
    models = []
    for kind, part in parts.items():
        texts, types = argument_texts(part.__doc__), get_type_hints(part)
        entries: dict[str, Any] = {"kind": (Literal[kind], ...)}
        for field in fields(part):
            default = ... if field.default is MISSING else field.default
            described = Field(description=texts.get(field.name))
            entries[field.name] = (Annotated[_plain(types[field.name]), described], default)
        name = f"{part.__name__}{ending}"
        model = create_model(name, __base__=PartConfig, __cls_kwargs__=NO_SOURCE, **entries)
        model.part_class = part
        model.__doc__ = (part.__doc__ or kind).split("\n", 1)[0]
        models.append(model)
    return Annotated[Union[tuple(models)], Field(discriminator="kind")]  # noqa: UP007


def _plain(annotation: Any) -> Any:
    """A parameter's type as YAML has it."""
    if annotation is float:
        return Annotated[float, Field(allow_inf_nan=False)]
    return annotation if annotation is int else Annotated[list[int], Field(min_length=1)]


def _how_many(value: Any) -> str:
    return "many" if isinstance(value, list) else "one"


def _one_or_many(item: Any) -> Any:
    """One of something, or a list of them, of which errors concern one alone."""
    many = Annotated[list[item], Field(min_length=1), Tag("many")]
    return Annotated[Annotated[item, Tag("one")] | many, Discriminator(_how_many)]


def listed(value: Any) -> list[Any]:
    """A value or a list of values, as a list.

    Examples:
        >>> listed(70), listed([10, 70])
        ([70], [10, 70])
    """
    return value if isinstance(value, list) else [value]


if TYPE_CHECKING:
    AnyPopulation = PartConfig
    AnyTrials = PartConfig
    Populations = PartConfig | list[PartConfig]
    Trials = PartConfig | list[PartConfig]
    Sizes = int | list[int]
else:
    # The members of the unions are known at run time only.
    AnyPopulation = _part_models(POPULATIONS, "Config")
    AnyTrials = _part_models(TRIALS, "Config")
    Populations, Trials, Sizes = map(_one_or_many, (AnyPopulation, AnyTrials, Units))


class PriorSimulationConfig(Strict):
    """Data sets whose hyperparameters are drawn from the model's hyperprior."""

    units: Units
    """Units of every data set."""
    trials: AnyTrials
    """How many trials units have."""


class SimulationConfig(Strict):
    """Data sets drawn from one population."""

    population: AnyPopulation
    """Where the units' rates come from."""
    units: Units
    """Units of every data set."""
    trials: AnyTrials
    """How many trials units have."""


class GridConfig(Strict):
    """Data sets drawn from populations; lists are crossed with one another."""

    population: Populations
    """Where the units' rates come from; of a list each."""
    units: Sizes
    """Units of every data set; of a list each."""
    trials: Trials
    """How many trials units have; of a list each."""

    @model_validator(mode="after")
    def _all_differ(self) -> "GridConfig":
        for key in ("population", "units", "trials"):
            values = listed(getattr(self, key))
            if twice := [value for i, value in enumerate(values) if value in values[:i]]:
                text = twice[0] if key == "units" else twice[0].kind
                raise ValueError(f"expected each of {key} once, found {text} again")
        return self
