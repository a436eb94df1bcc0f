"""The schema of configurations: what a YAML file of a run may say, and what it means by default.

The methods' part is made from the methods' own settings, so a new method or setting appears here,
in the JSON Schema and in the errors without being written down again.
"""

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
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

# Names become names of files, on systems that may not tell capitals apart.
Name = Annotated[str, StringConstraints(pattern=r"^\w[\w .,+=()-]*$", max_length=80)]
Text = Annotated[str, StringConstraints(min_length=1)]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Strict(BaseModel):
    """A part of a configuration: no unknown keys, and no value taken for another type."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class DataConfig(Strict):
    """Where the counts come from: a data set that hierjax ships, or a table in a file."""

    dataset: Text | None = None
    """Name of a data set that hierjax ships."""
    path: Text | None = None
    """CSV, TSV, Parquet or JSON lines file or pattern of files, relative to the configuration."""
    successes: Text | None = None
    """Column of successes."""
    trials: Text | None = None
    """Column of trials."""
    label: Text | None = None
    """Column of the units' labels."""
    group: Text | None = None
    """Column of the units' groups."""
    weight: Text | None = None
    """Column of the units' weights."""
    success_column: Text | None = None
    """In a table of one row an event, column of what came of each: 0 or 1, false or true."""
    unit: Text | None = None
    """Column of the unit of each event."""

    @model_validator(mode="after")
    def _one_source(self) -> "DataConfig":
        table = self.model_dump(exclude_none=True, exclude={"dataset"})
        if self.dataset is not None:
            if table:
                raise ValueError(f"expected no more keys beside dataset, found {', '.join(table)}")
            return self
        if table.keys() & {"success_column", "unit"}:
            required, whole = ["path", "success_column", "unit"], "path, success_column and unit"
            if odd := [key for key in table if key not in required]:
                raise ValueError(f"expected {whole} alone, found {', '.join(odd)} beside them")
        else:
            required, whole = (
                ["path", "successes", "trials"],
                "dataset, or path, successes and trials",
            )
        if missing := [key for key in required if key not in table]:
            raise ValueError(f"expected {whole}; found no {' and no '.join(missing)}")
        return self


class DistributionConfig(Strict):
    """A distribution of NumPyro, by the name of its class, its parameters as further keys."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]

    distribution: Text
    """Class in numpyro.distributions, as Beta or LogNormal."""


class PowerLawConfig(Strict):
    """The improper hyperprior (alpha + beta)^(-exponent)."""

    kind: Literal["power_law"]
    exponent: Annotated[float, Field(gt=2, allow_inf_nan=False)] = 2.5
    """Exponent; 2.5 is Gelman et al., Bayesian Data Analysis, eq. 5.9."""


class MeanConcentrationConfig(Strict):
    """Independent proper densities of the population's mean and its concentration."""

    kind: Literal["mean_concentration"]
    mean: DistributionConfig
    """Distribution of alpha / (alpha + beta), on (0, 1)."""
    concentration: DistributionConfig
    """Distribution of alpha + beta, on positive numbers."""


class ShapesConfig(Strict):
    """Independent proper densities of alpha and beta."""

    kind: Literal["shapes"]
    alpha: DistributionConfig
    """Distribution of alpha, on positive numbers."""
    beta: DistributionConfig
    """Distribution of beta, on positive numbers."""


HyperpriorConfig = Annotated[
    PowerLawConfig | MeanConcentrationConfig | ShapesConfig, Field(discriminator="kind")
]


class ModelConfig(Strict):
    """The hierarchy."""

    family: Literal["beta_binomial"] = "beta_binomial"
    """Conjugate family."""
    hyperprior: HyperpriorConfig = PowerLawConfig(kind="power_law")
    """Density of the hyperparameters."""


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
            raise ValueError(first["msg"].removeprefix("Value error, ")) from None
        return self


def _setting_names(settings: type) -> list[str]:
    return [field.name for field in fields(settings) if field.init]


def _argument_texts(docstring: str) -> dict[str, str]:
    """What a Google docstring says of each argument."""
    section = re.search(r"^ *Args:\n(.*?)(?:\n\n|\Z)", docstring, re.S | re.M)
    entries = re.findall(
        r"^ {8}(\w+): (.*(?:\n {12}.*)*)", section.group(1) if section else "", re.M
    )
    return {name: " ".join(text.split()) for name, text in entries}


def _entry_model(name: str, settings: type) -> type[MethodEntry]:
    """The schema of one method's entry, from the method's settings."""
    texts = _argument_texts(settings.__doc__ or "")
    entries: dict[str, Any] = {"method": (Literal[name], ...)}
    for key, info in settings.__pydantic_fields__.items():  # type: ignore[attr-defined]
        described = Field(description=texts.get(key))
        entries[key] = (Annotated[info.annotation, *info.metadata, described], info.default)
    model = create_model(f"{settings.__name__}Entry", __base__=MethodEntry, **entries)
    model.settings_class = settings
    model.__doc__ = (settings.__doc__ or name).split("\n", 1)[0]
    return model


_ENTRIES = {name: _entry_model(name, settings) for name, settings in METHODS.items()}
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
    new_units: list[NewUnitConfig] = []
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
        seen: dict[str, int] = {}
        for index, entry in enumerate(methods):
            first = seen.setdefault(entry.display_name.casefold(), index)
            if first != index:
                raise ValueError(
                    f"expected a name for each method, found {entry.display_name!r} for "
                    f"methods[{first}] and methods[{index}]; give one of them another `name`"
                )
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
