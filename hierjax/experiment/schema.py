"""The schema of an analysis: what a YAML file of a run may say, and what it means by default.

The methods' part is made from the methods' own settings, so a new method or setting appears here,
in the JSON Schema and in the errors without being written down again.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, field_validator, model_validator

from hierjax.experiment.method_entries import MethodEntry, entry_model, require_names_differ
from hierjax.experiment.schema_base import (
    Count,
    DataConfig,
    DistributionConfig,
    ModelConfig,
    Name,
    Strict,
    Text,
)
from hierjax.inference import METHODS

__all__ = [
    "Config",
    "DataConfig",
    "DistributionConfig",
    "MethodEntry",
    "ModelConfig",
    "NewUnitConfig",
]


class NewUnitConfig(Strict):
    """A unit to be asked about that is not part of the data."""

    label: Text | None = None
    """What the unit is called; its counts by default."""
    successes: Count
    """Its successes."""
    trials: Count
    """Its trials."""

    @model_validator(mode="after")
    def _successes_among_trials(self) -> "NewUnitConfig":
        if self.successes > self.trials:
            raise ValueError(
                f"expected successes of at most {self.trials} (trials), found {self.successes}"
            )
        return self


class QuestionsConfig(Strict):
    """What is asked of the units beyond their estimates; nothing by default."""

    above: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Rate that units are to exceed, for a list of those that do."""
    fdr: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Expected share of false discoveries allowed on that list."""
    top: Annotated[int, Field(ge=1)] | None = None
    """How many units are to be at the top, for ranks."""
    control: str | None = None
    """Label of the unit that every other is to be compared with."""
    next_trials: Annotated[int, Field(ge=1, le=2**53 - 1)] | None = None
    """Number of next trials of every unit, for predictions of their successes."""

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
    """What is done: one analysis of one table of counts."""
    data: DataConfig
    """Where the counts come from."""
    model: ModelConfig = ModelConfig()
    """The hierarchy."""
    methods: Annotated[list[AnyMethod], Field(min_length=1)] = Field(
        default_factory=lambda: [
            entry.model_validate({"method": name})
            for name, entry in _ENTRIES.items()
            if name not in _ON_REQUEST
        ]
    )
    """How to infer the model; by default all but collapsed_gibbs, each with its own defaults."""
    new_units: list[NewUnitConfig] = Field([])
    """Units to be asked about that are not part of the data."""
    questions: QuestionsConfig = QuestionsConfig()
    """What is asked of the units."""
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
