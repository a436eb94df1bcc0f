"""What every kind of configuration has in it: data, and the beta-binomial model."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from hierjax import datasets
from hierjax.containers import CONTAINERS
from hierjax.table_columns import family_of

__all__ = [
    "Count",
    "DataConfig",
    "DistributionConfig",
    "GroupedDataConfig",
    "ModelConfig",
    "Name",
    "Number",
    "PairColumns",
    "Strict",
    "Text",
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

    def disagreements(self) -> list[tuple[tuple[str | int, ...], str]]:
        """What is wrong with parts that are right alone: the key of one, and a sentence."""
        return []


class Source(Strict):
    """Where a table of data is."""

    dataset: Text | None = None
    """Name of a data set that hierjax ships."""
    path: Text | None = None
    """CSV, TSV, Parquet or JSON lines file or pattern of files, relative to the configuration."""


class PairColumns(Strict):
    """Columns that hold a value and a size of each unit, as their family calls them."""

    successes: Text | None = None
    """Column of successes."""
    trials: Text | None = None
    """Column of trials."""
    events: Text | None = None
    """Column of events, of the family gamma_poisson."""
    exposure: Text | None = None
    """Column of exposures, which are positive, of the family gamma_poisson."""
    values: Text | None = None
    """Column of measurements, of the family normal_normal."""
    errors: Text | None = None
    """Column of their standard errors, which are positive, of the family normal_normal."""


class DataConfig(PairColumns, Source):
    """Where the data come from: a data set that hierjax ships, or a table in a file."""

    label: Text | None = None
    """Column of the units' labels."""
    weight: Text | None = None
    """Column of the units' weights."""
    success_column: Text | None = None
    """In a table of one row an event, column of what came of each: 0 or 1, false or true."""
    unit: Text | None = None
    """Column of the unit of each event."""

    @model_validator(mode="after")
    def _one_source(self) -> "DataConfig":
        table = self.model_dump(exclude_none=True, exclude={"dataset"})
        if self.dataset is not None and self.dataset not in datasets.TABLES:
            if table:
                raise ValueError(f"expected no more keys beside dataset, found {', '.join(table)}")
            return self
        required, whole = self._columns(table)
        if self.dataset is not None:
            required, whole = required[1:], whole.replace("dataset, or path", "dataset")
        optional = [] if "unit" in required else ["label", "group", "weight"]
        if odd := [key for key in table if key not in (*required, *optional)]:
            raise ValueError(f"expected {whole} alone, found {', '.join(odd)} beside them")
        if missing := [key for key in required if key not in table]:
            raise ValueError(f"expected {whole}; found no {' and no '.join(missing)}")
        return self

    @staticmethod
    def _columns(table: Mapping[str, str]) -> tuple[list[str], str]:
        """The keys that a table needs, and what errors call them."""
        if table.keys() & {"success_column", "unit"}:
            return ["path", "success_column", "unit"], "path, success_column and unit"
        family = family_of(list(table)) or "beta_binomial"
        value, size = CONTAINERS[family].keys
        source = "dataset, or path" if family == "beta_binomial" else "path"
        return ["path", value, size], f"{source}, {value} and {size}"


class GroupedDataConfig(DataConfig):
    """Where data come from of which every unit is of a group."""

    group: Text
    """Column of the units' groups."""


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
    """The hierarchy of counts of successes among trials."""

    family: Literal["beta_binomial"] = "beta_binomial"
    """Conjugate family."""
    hyperprior: HyperpriorConfig = PowerLawConfig(kind="power_law")
    """Density of the hyperparameters."""
