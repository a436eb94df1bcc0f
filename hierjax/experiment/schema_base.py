"""What every kind of configuration has in it: data, and a model."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

__all__ = [
    "Count",
    "DataConfig",
    "DistributionConfig",
    "ModelConfig",
    "Name",
    "Number",
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
