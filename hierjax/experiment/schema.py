"""The schema of an analysis: what a YAML file of a run may say, and what it means by default.

The methods' part is made from the methods' own settings, so a new method or setting appears here,
in the JSON Schema and in the errors without being written down again.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, field_validator, model_validator

from hierjax import datasets
from hierjax.containers import CONTAINERS
from hierjax.counts import Counts
from hierjax.experiment.later import LaterConfig, unsuited_later
from hierjax.experiment.map_file import MapConfig
from hierjax.experiment.method_entries import MethodEntry, entry_model, require_names_differ
from hierjax.experiment.model_schema import AnyModelConfig
from hierjax.experiment.schema_base import (
    DataConfig,
    DistributionConfig,
    ModelConfig,
    Name,
    Number,
    Strict,
)
from hierjax.experiment.unit_schema import NewUnit, NewUnitConfig, Positive
from hierjax.families import FAMILIES
from hierjax.inference import METHODS
from hierjax.table_columns import family_of

__all__ = [
    "Config",
    "DataConfig",
    "DistributionConfig",
    "MethodEntry",
    "ModelConfig",
    "NewUnitConfig",
    "family_given",
    "with_family",
]

#: What predictions of every unit's next value are asked by, and of which family.
NEXT = {
    "next_trials": "beta_binomial",
    "next_exposure": "gamma_poisson",
    "next_error": "normal_normal",
}


#: Keys that a resolved configuration has only where they are given.
OPTIONAL = ("later", "per", "map")


class QuestionsConfig(Strict):
    """What is asked of the units beyond their estimates; nothing by default."""

    above: Number | None = None
    """Rate, or parameter, that units are to exceed, for a list of those that do."""
    fdr: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Expected share of false discoveries allowed on that list."""
    top: Annotated[int, Field(ge=1)] | None = None
    """How many units are to be at the top, for ranks."""
    control: str | None = None
    """Label of the unit that every other is to be compared with."""
    next_trials: Annotated[int, Field(ge=1, le=2**53 - 1)] | None = None
    """Number of next trials of every unit, for predictions of their successes."""
    next_exposure: Positive | None = None
    """Next exposure of every unit, for predictions of its events."""
    next_error: Positive | None = None
    """Standard error of every unit's next measurement, for predictions of it."""

    @property
    def next_size(self) -> int | float | None:
        """Size of every unit's next value, whatever its family calls it."""
        given = (getattr(self, key) for key in NEXT)
        return next((size for size in given if size is not None), None)

    @model_validator(mode="after")
    def _share_of_a_list(self) -> "QuestionsConfig":
        """A resolved configuration has the default without a list."""
        if self.above is None and self.fdr != type(self).model_fields["fdr"].default:
            raise ValueError(f"expected above beside fdr, found fdr={self.fdr} alone")
        return self


_ENTRIES = {name: entry_model(name, settings) for name, settings in METHODS.items()}
# Methods that a run is to name: one Gibbs sampler is enough to compare with.
_ON_REQUEST = ("collapsed_gibbs",)
if TYPE_CHECKING:
    AnyMethod = MethodEntry
else:
    # The members of the union are known at run time only.
    AnyMethod = Annotated[Union[tuple(_ENTRIES.values())], Field(discriminator="method")]  # noqa: UP007


class Config(Strict):
    """A run: data, a model, and the methods that are to infer it."""

    name: Name = "run"
    """What the run is called; by default as its file is."""
    kind: Literal["analysis"] = "analysis"
    """What is done: one analysis of one table of units."""
    data: DataConfig
    """Where the data come from."""
    model: AnyModelConfig = ModelConfig()
    """The hierarchy; by default of the family that the data are for."""
    methods: Annotated[list[AnyMethod], Field(min_length=1)] = Field(
        default_factory=lambda: [
            entry.model_validate({"method": name})
            for name, entry in _ENTRIES.items()
            if name not in _ON_REQUEST
        ]
    )
    """How to infer the model; by default all but collapsed_gibbs, each with its own defaults."""
    new_units: list[NewUnit] = Field([])
    """Units to be asked about that are not part of the data."""
    questions: QuestionsConfig = QuestionsConfig()
    """What is asked of the units."""
    later: LaterConfig | None = None
    """What came of the same units later, to be predicted from the data."""
    per: Positive | None = None
    """How many units of exposure shown rates are per, as 100000; tables in files have per one."""
    map: MapConfig | None = None
    """Outlines of the units, for a map of them."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Probability of every interval."""
    interval: Literal["equal_tailed", "highest_density"] = "equal_tailed"
    """Kind of the units' intervals."""
    empirical_bayes: Literal["plug_in", "corrected"] = "plug_in"
    """Whether units' answers by point estimates leave out the estimate's error, or carry it."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """Seed of all random numbers."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    precision: Literal["float64", "float32"] = "float64"
    """Floating type to compute in."""

    @field_validator("methods")
    @classmethod
    def _names_differ(cls, methods: list[MethodEntry]) -> list[MethodEntry]:
        require_names_differ(methods)
        return methods

    @field_validator("empirical_bayes")
    @classmethod
    def _something_to_correct(cls, value: str, info: Any) -> str:
        names = [entry.method for entry in info.data.get("methods", [])]
        if value == "corrected" and names and not {"type2_mle", "moments"} & set(names):
            raise ValueError(
                f"expected a point estimate, as by type2_mle, to correct, found {', '.join(names)}"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _family_of_the_data(cls, given: Any) -> Any:
        """A model without a family is one of the data's."""
        return with_family(given)

    def disagreements(self) -> list[tuple[tuple[str | int, ...], str]]:
        """What suits another family than the model's."""
        return list(_of_another_family(self))


def with_family(given: Any) -> Any:
    """A configuration as plain data, with its family said if anything else tells of it.

    Examples:
        >>> with_family({"data": {"dataset": "pumps"}})["model"]
        {'family': 'gamma_poisson'}
    """
    if not isinstance(given, dict) or not isinstance(given.get("model", {}), dict):
        return given
    return {**given, "model": {"family": family_given(given), **given.get("model", {})}}


def family_given(given: Any) -> str:
    """The family that a configuration is for, be the rest of it right or wrong.

    Args:
        given: The configuration as plain data.

    Returns:
        The model's family where it is said, else that of the data, else beta_binomial.

    Examples:
        >>> family_given({"data": {"path": "a.csv", "values": "y", "errors": "s"}})
        'normal_normal'
    """
    model, data = (given.get(key) for key in ("model", "data"))
    if isinstance(model, dict) and isinstance(model.get("family"), str):
        return model["family"]
    data = data if isinstance(data, dict) else {}
    found = family_of([key for key, value in data.items() if value is not None])
    return found or datasets.family_of(data.get("dataset")) or Counts.family


def _of_another_family(config: Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    family, data = config.model.family, config.data
    named = data.model_dump(exclude_none=True)
    asked = family_of(list(named)) or datasets.family_of(data.dataset) or family
    if asked != family:
        yield ("model", "family"), f"expected {asked}, as the data are for it, found {family}"
    for index, unit in enumerate(config.new_units):
        if unit.family != family:
            keys, found = (" and ".join(CONTAINERS[each].keys) for each in (family, unit.family))
            yield ("new_units", index), f"expected {keys}, as of {family}, found {found}"
    questions = config.questions
    low, high = FAMILIES[family].limits
    if questions.above is not None and not low < questions.above < high:
        limits = (
            f"above {low:g}" if low > -math.inf else "",
            f"below {high:g}" * (high < math.inf),
        )
        text = " and ".join(filter(None, limits))
        yield ("questions", "above"), f"expected a number {text}, found {questions.above:g}"
    for key, owner in NEXT.items():
        if getattr(questions, key) is not None and owner != family:
            right = next(each for each, its in NEXT.items() if its == family)
            yield ("questions", key), f"expected {right}, as of {family}, found {key}"
    yield from unsuited_later(config.later, data, family)
    if config.per is not None and CONTAINERS[family].keys[1] != "exposure":
        yield (
            ("per",),
            f"expected the family gamma_poisson, whose rates are per exposure, found {family}",
        )
