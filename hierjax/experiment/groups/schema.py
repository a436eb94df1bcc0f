"""The schema of analyses of units in groups, which `data.group` asks for.

Entries of methods are made from their settings, as those of two levels are.
"""

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, field_validator, model_validator

from hierjax import datasets
from hierjax.errors import ConfigError
from hierjax.experiment.method_entries import MethodEntry, entry_model, require_names_differ
from hierjax.experiment.schema import with_family
from hierjax.experiment.schema_base import GroupedDataConfig, Name, Number, Strict
from hierjax.experiment.unit_schema import NewUnitOfGroup, Positive
from hierjax.levels import (
    GroupGibbs,
    GroupHyperprior,
    GroupModel,
    GroupNUTS,
    GroupQuadrature,
    GroupType2MLE,
)
from hierjax.table_columns import family_of

__all__ = ["GROUP_METHODS", "GroupEntry", "GroupModelConfig", "GroupsConfig"]

#: Methods of three levels, by what configurations call them.
GROUP_METHODS: dict[str, type] = {
    "quadrature": GroupQuadrature,
    "type2_mle": GroupType2MLE,
    "nuts": GroupNUTS,
    "gibbs": GroupGibbs,
}
# Samplers take far longer: they run where they are named.
_BY_DEFAULT = ("quadrature", "type2_mle")
CenterAndSpread = tuple[Number, Positive]


class GroupEntry(MethodEntry):
    """A method of three levels."""

    @property
    def display_name(self) -> str:
        """What tables and files call it."""
        return self.name or self.method  # type: ignore[attr-defined]

    @property
    def is_sampler(self) -> bool:
        """Whether the method draws, and so needs a key."""
        return "draws" in {field.name for field in fields(self.settings_class)}


_ENTRIES = {name: entry_model(name, each, GroupEntry) for name, each in GROUP_METHODS.items()}
if TYPE_CHECKING:
    AnyGroupMethod = GroupEntry
else:
    # The members of the union are known at run time only.
    AnyGroupMethod = Annotated[Union[tuple(_ENTRIES.values())], Field(discriminator="method")]  # noqa: UP007


def _default() -> "list[GroupEntry]":
    return [_ENTRIES[name].model_validate({"method": name}) for name in _BY_DEFAULT]  # type: ignore[misc]


class GroupHyperpriorConfig(Strict):
    """Densities of what is above the groups: means are normal, standard deviations half-normal."""

    location: CenterAndSpread | None = None
    """Center and standard deviation of the groups' mean location; by default the family's."""
    location_spread: Positive | None = None
    """Scale of the standard deviation of the groups' locations; by default the family's."""
    log_concentration: CenterAndSpread | None = None
    """Center and standard deviation of the groups' mean log-concentration; by default the
    family's."""
    log_concentration_spread: Positive = GroupHyperprior.log_concentration_spread
    """Scale of the standard deviation of the groups' log-concentrations."""

    @model_validator(mode="before")
    @classmethod
    def _pairs(cls, given: Any) -> Any:
        """YAML has lists where settings have tuples."""
        if not isinstance(given, dict):
            return given
        return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}


class GroupModelConfig(Strict):
    """Units in groups, and groups in a population of groups."""

    family: Literal["beta_binomial", "gamma_poisson", "normal_normal"] = "beta_binomial"
    """Conjugate family of the units."""
    hyperprior: GroupHyperpriorConfig = GroupHyperpriorConfig()
    """Density of what is above the groups."""

    def model(self) -> GroupModel:
        """The model as the Python API takes it.

        Raises:
            ConfigError: If the hyperprior's numbers do not suit it.
        """
        try:
            return GroupModel(self.family, GroupHyperprior(**dict(self.hyperprior)))
        except ConfigError as error:
            raise ConfigError(f"model.hyperprior.{error}") from None


class GroupsConfig(Strict):
    """A run of three levels: units in groups, and groups in a population of groups."""

    name: Name = "run"
    """What the run is called; by default as its file is."""
    kind: Literal["analysis"] = "analysis"
    """What is done: one analysis of one table of units."""
    data: GroupedDataConfig
    """Where the data come from, and which column says what group each unit is of."""
    model: GroupModelConfig = GroupModelConfig()
    """The hierarchy; by default of the family that the data are for."""
    methods: Annotated[list[AnyGroupMethod], Field(min_length=1)] = Field(default_factory=_default)
    """How to infer the model; by default quadrature and type2_mle."""
    new_units: list[NewUnitOfGroup] = Field([])
    """Units to be asked about that are not part of the data, of their groups or of a new one."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Probability of every interval, all of which are central."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """Seed of all random numbers."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    precision: Literal["float64", "float32"] = "float64"
    """Floating type to compute in."""

    @field_validator("methods")
    @classmethod
    def _names_differ(cls, methods: list[GroupEntry]) -> list[GroupEntry]:
        require_names_differ(methods)
        return methods

    @model_validator(mode="before")
    @classmethod
    def _family_of_the_data(cls, given: Any) -> Any:
        """A model without a family is one of the data's."""
        return with_family(given)

    def disagreements(self) -> list[tuple[tuple[str | int, ...], str]]:
        """What suits another family than the model's."""
        family = self.model.family
        found: list[tuple[tuple[str | int, ...], str]] = []
        named = self.data.model_dump(exclude_none=True)
        asked = family_of(list(named)) or datasets.family_of(self.data.dataset) or family
        if asked != family:
            text = f"expected {asked}, as the data are for it, found {family}"
            found.append((("model", "family"), text))
        found += [
            (("new_units", index), f"expected a unit of {family}, found one of {unit.family}")
            for index, unit in enumerate(self.new_units)
            if unit.family != family
        ]
        return found
