"""The models that a configuration may name: a family, and a hyperprior that is made for it.

Entries of hyperpriors are made from the hyperpriors' own arguments, so a new one appears in the
configurations, in the JSON Schema and in the errors without being written down again.
"""

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, create_model

from hierjax.experiment.method_entries import NO_SOURCE, argument_texts
from hierjax.experiment.schema_base import (
    DistributionConfig,
    ModelConfig,
    Number,
    Strict,
)
from hierjax.families import FAMILIES
from hierjax.hyperpriors import HYPERPRIORS_OF, default_hyperprior

__all__ = ["AnyModelConfig"]


def _entry(family: str, hyperprior: type) -> type[Strict]:
    """The schema of one hyperprior's entry, from the arguments of its class."""
    texts = argument_texts(hyperprior.__doc__)
    kind: str = hyperprior.kind  # type: ignore[attr-defined]
    entries: dict[str, Any] = {"kind": (Literal[kind], ...)}
    for each in fields(hyperprior):
        annotation: Any = DistributionConfig if "Distribution" in str(each.type) else Number
        if "None" in str(each.type):
            annotation = annotation | None
        default = ... if each.default is MISSING else each.default
        described = Field(description=texts.get(each.name))
        entries[each.name] = (Annotated[annotation, described], default)
    name = "".join(part.title() for part in (*family.split("_"), *kind.split("_")))
    made = create_model(f"{name}Config", __base__=Strict, __cls_kwargs__=NO_SOURCE, **entries)
    made.__doc__ = (hyperprior.__doc__ or kind).split("\n", 1)[0]
    return made


def _model_config(family: str) -> type[Strict]:
    """The schema of the models of a family."""
    made = [_entry(family, each) for each in HYPERPRIORS_OF[family].values()]
    kinds: Any = Annotated[Union[tuple(made)], Field(discriminator="kind")]  # noqa: UP007
    default = default_hyperprior(family)
    chosen = made[0].model_validate({"kind": default.kind, **vars(default)})
    entries: dict[str, Any] = {
        "family": (Annotated[Literal[family], Field(description="Conjugate family.")], ...),
        "hyperprior": (
            Annotated[kinds, Field(description="Density of the hyperparameters.")],
            chosen,
        ),
    }
    name = "".join(part.title() for part in family.split("_"))
    model = create_model(f"{name}ModelConfig", __base__=Strict, __cls_kwargs__=NO_SOURCE, **entries)
    model.__doc__ = f"The hierarchy of the family {family}."
    return model


if TYPE_CHECKING:
    AnyModelConfig = ModelConfig
else:
    # The members of the union are known at run time only.
    _MODELS = [_model_config(family) for family in FAMILIES if family != "beta_binomial"]
    AnyModelConfig = Annotated[
        Union[(ModelConfig, *_MODELS)],
        Field(discriminator="family"),
    ]
