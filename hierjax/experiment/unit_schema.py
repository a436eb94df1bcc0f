"""Units that a configuration asks about without their being part of the data, by family."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Field, Tag, model_validator

from hierjax.experiment.schema_base import Count, Number, Strict, Text
from hierjax.table_columns import family_of

__all__ = ["NewUnit", "NewUnitConfig", "NewUnitOfGroup"]

Positive = Annotated[float, Field(ge=1e-100, le=1e100)]


class NewUnitConfig(Strict):
    """A unit to be asked about that is not part of the data."""

    family: ClassVar[str]
    label: Text | None = None
    """What the unit is called; by default what was observed of it."""

    @property
    def pair(self) -> tuple[Any, Any]:
        """Its observed value and its size."""
        named = ("label", "group")
        value, size = (name for name in type(self).model_fields if name not in named)
        return getattr(self, value), getattr(self, size)


class NewCounts(NewUnitConfig):
    """A unit of the family beta_binomial."""

    family: ClassVar[str] = "beta_binomial"
    successes: Count
    """Its successes."""
    trials: Count
    """Its trials."""

    @model_validator(mode="after")
    def _successes_among_trials(self) -> "NewCounts":
        if self.successes > self.trials:
            raise ValueError(
                f"expected successes of at most {self.trials} (trials), found {self.successes}"
            )
        return self


class NewEvents(NewUnitConfig):
    """A unit of the family gamma_poisson."""

    family: ClassVar[str] = "gamma_poisson"
    events: Count
    """Its events."""
    exposure: Positive
    """Its exposure."""


class NewMeasurement(NewUnitConfig):
    """A unit of the family normal_normal."""

    family: ClassVar[str] = "normal_normal"
    values: Number
    """What was measured."""
    errors: Positive
    """Its standard error."""


class _OfGroup(NewUnitConfig):
    """A unit that may be of one of the data's groups."""

    group: Text | None = None
    """Its group, one of the data's; by default one not seen."""


class NewCountsOfGroup(NewCounts, _OfGroup):
    """A unit of the family beta_binomial, and its group."""


class NewEventsOfGroup(NewEvents, _OfGroup):
    """A unit of the family gamma_poisson, and its group."""


class NewMeasurementOfGroup(NewMeasurement, _OfGroup):
    """A unit of the family normal_normal, and its group."""


def _family(given: Any) -> str:
    """Whose unit this is, by the names of its keys."""
    if isinstance(given, NewUnitConfig):
        return given.family
    keys = [str(key) for key in given] if isinstance(given, Mapping) else []
    return family_of(keys) or NewCounts.family


NewUnit = Annotated[
    Annotated[NewCounts, Tag(NewCounts.family)]
    | Annotated[NewEvents, Tag(NewEvents.family)]
    | Annotated[NewMeasurement, Tag(NewMeasurement.family)],
    Discriminator(_family),
]
NewUnitOfGroup = Annotated[
    Annotated[NewCountsOfGroup, Tag(NewCounts.family)]
    | Annotated[NewEventsOfGroup, Tag(NewEvents.family)]
    | Annotated[NewMeasurementOfGroup, Tag(NewMeasurement.family)],
    Discriminator(_family),
]
