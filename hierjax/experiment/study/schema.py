"""The schema of studies: configurations that simulate many data sets and infer each of them."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, field_validator, model_validator

from hierjax.datasets.populations import POPULATIONS
from hierjax.experiment.method_entries import MethodEntry, entry_model, require_names_differ
from hierjax.experiment.schema_base import DataConfig, ModelConfig, Name, Strict
from hierjax.experiment.study.simulation_schema import (
    GridConfig,
    PriorSimulationConfig,
    SimulationConfig,
    listed,
)
from hierjax.inference import METHODS

__all__ = [
    "BASELINES",
    "CalibrationConfig",
    "ComparisonConfig",
    "CoverageConfig",
    "FittedStudyConfig",
    "MisspecificationConfig",
    "StudyConfig",
    "StudyEntry",
]

#: Rows of tables that stand beside the methods'.
BASELINES = ("no_pooling", "complete_pooling")

_POINTS = ("moments", "type2_mle")
# A lattice that is as fine as many data sets need; see `hierjax.fit_batch`.
_LEAN = {"quadrature": {"rows": 24, "columns": 16, "tolerance": 0.03}}
Positive = Annotated[int, Field(ge=1)]


class StudyEntry(MethodEntry):
    """A method of a study."""

    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the study's data sets that the method is given, the first; by default all."""

    def size(self, data_sets: int) -> int:
        """How many of the study's data sets the method is given."""
        return max(1, round(self.share * data_sets))

    @property
    def is_point(self) -> bool:
        """Whether the method gives a single point."""
        return self.settings_class.name in _POINTS  # type: ignore[attr-defined]

    @property
    def correction(self) -> Literal["plug_in", "corrected"]:
        """What becomes of the error of a point estimate; plug_in for others, which make none."""
        return getattr(self, "empirical_bayes", "plug_in")


class PointStudyEntry(StudyEntry):
    """A point estimate in a study."""

    empirical_bayes: Literal["plug_in", "corrected"] = "plug_in"
    """Whether units' answers leave out the estimate's error, or carry it."""

    @property
    def display_name(self) -> str:
        """What tables and files call it."""
        ending = "_corrected" if self.empirical_bayes == "corrected" else ""
        return self.name or f"{self.settings_class.name}{ending}"  # type: ignore[attr-defined]


def _study_entry(name: str, settings: type) -> type[MethodEntry]:
    base = PointStudyEntry if name in _POINTS else StudyEntry
    return entry_model(name, settings, base, _LEAN.get(name))


if TYPE_CHECKING:
    AnyStudyMethod = StudyEntry
else:
    _ENTRIES = tuple(_study_entry(name, settings) for name, settings in METHODS.items())
    AnyStudyMethod = Annotated[Union[_ENTRIES], Field(discriminator="method")]  # noqa: UP007


class StudyConfig(Strict):
    """What all studies have in common."""

    name: Name = "run"
    """What the run is called; by default as its file is."""
    kind: str
    """What is done."""
    data_sets: Positive = 1000
    """How many data sets to simulate, of each setting."""
    model: ModelConfig = ModelConfig()
    """The hierarchy that methods infer."""
    methods: Annotated[list[AnyStudyMethod], Field(min_length=1)]
    """How to infer it."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """Seed of all random numbers."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    chunk: Positive | None = None
    """Data sets in one call of compiled code, which bounds memory; chosen for the device."""

    @field_validator("methods")
    @classmethod
    def _names_differ(cls, methods: list[StudyEntry]) -> list[StudyEntry]:
        require_names_differ(methods)
        for index, entry in enumerate(methods):
            if entry.display_name.casefold() in BASELINES:
                raise ValueError(
                    f"expected names other than {' and '.join(BASELINES)}, which stand beside the "
                    f"methods, found {entry.display_name!r} for methods[{index}]"
                )
        return methods


class FittedStudyConfig(StudyConfig):
    """What studies have in common whose answers are judged, not their speed."""

    precision: Literal["float64", "float32"] = "float64"
    """Floating type to compute in."""


class CalibrationConfig(FittedStudyConfig):
    """Simulation-based calibration: does each method find the posterior, by its draws' ranks?"""

    kind: Literal["calibration"]
    """What is done: data sets are simulated from the hyperprior, and the truth ranked."""
    simulate: PriorSimulationConfig
    """The data sets."""
    draws: Annotated[int, Field(ge=1, le=10_000)] = 99
    """Draws from the posterior of each data set, among which the truth is ranked."""
    rates: list[Annotated[int, Field(ge=0)]] = Field([0])
    """Units whose rates are ranked beside the hyperparameters, counted from 0."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """Probability that a method that is right passes, all its parameters together."""

    @field_validator("methods")
    @classmethod
    def _all_have_draws(cls, methods: list[StudyEntry]) -> list[StudyEntry]:
        for index, entry in enumerate(methods):
            if entry.is_point and entry.correction == "plug_in":
                raise ValueError(
                    "expected methods with a distribution of the hyperparameters to draw from, "
                    f"found a point estimate at methods[{index}]; give it "
                    "empirical_bayes: corrected"
                )
        return methods

    @field_validator("rates")
    @classmethod
    def _units_are_there(cls, rates: list[int], info: Any) -> list[int]:
        simulate = info.data.get("simulate")
        if simulate is not None and any(unit >= simulate.units for unit in rates):
            raise ValueError(f"expected units from 0 to {simulate.units - 1}, found {max(rates)}")
        if len(set(rates)) < len(rates):
            raise ValueError(f"expected each unit once, found {rates}")
        return rates

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> "CalibrationConfig":
        kind = self.model.hyperprior.kind
        if kind == "power_law":
            raise ValueError(
                "model.hyperprior: expected a proper one to simulate from, mean_concentration or "
                f"shapes, found {kind}, which is improper"
            )
        return self


class CoverageConfig(FittedStudyConfig):
    """Coverage, error and failures of methods on data sets whose truth is known."""

    kind: Literal["coverage"]
    """What is done: data sets are simulated from given populations, and answers compared."""
    simulate: GridConfig | None = None
    """The data sets."""
    like: DataConfig | None = None
    """Counts that data sets are to be like: with their trials, from the population fitted to them
    by Type-2 maximum likelihood (a parametric bootstrap); in place of `simulate`."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Probability of every interval."""

    @model_validator(mode="after")
    def _one_source(self) -> "CoverageConfig":
        _require_one_source(self.simulate, self.like)
        return self


def _require_one_source(simulate: Any, like: DataConfig | None) -> None:
    given = [key for key, value in (("simulate", simulate), ("like", like)) if value is not None]
    if len(given) != 1:
        found = " and ".join(given) or "neither"
        raise ValueError(f"expected either simulate or like, found {found}")


class MisspecificationConfig(FittedStudyConfig):
    """What still holds where the population is not the model's."""

    kind: Literal["misspecification"]
    """What is done: data sets are simulated from populations that are no Beta."""
    simulate: GridConfig
    """The data sets."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Probability of every interval."""

    @field_validator("simulate")
    @classmethod
    def _not_all_beta(cls, simulate: GridConfig) -> GridConfig:
        if all(part.kind == "beta" for part in listed(simulate.population)):
            others = ", ".join(kind for kind in POPULATIONS if kind != "beta")
            raise ValueError(
                f"expected a population that the model does not assume ({others}), found beta "
                "alone; kind: coverage is for that"
            )
        return simulate


class ComparisonConfig(StudyConfig):
    """Speed, memory and agreement of the same batch on every device, in every precision."""

    kind: Literal["comparison"]
    """What is done: the same data sets are inferred on every device, in every precision."""
    simulate: SimulationConfig | None = None
    """The data sets."""
    like: DataConfig | None = None
    """Counts that data sets are to be like, in place of `simulate`."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Probability of every interval."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to compute: auto on all devices there are, cpu there alone, gpu on both or not at all.
    """
    precision: Literal["both", "float64", "float32"] = "both"
    """Floating types to compute in."""

    @model_validator(mode="after")
    def _one_source(self) -> "ComparisonConfig":
        _require_one_source(self.simulate, self.like)
        return self
