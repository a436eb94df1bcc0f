# ruff: noqa: RUF001 -- readers are shown Greek letters
"""What a family's units are called in figures and reports."""

from typing import NamedTuple

__all__ = ["EVENTS", "MEASUREMENTS", "SUCCESSES", "UnitWords", "per_text"]


class UnitWords(NamedTuple):
    """Words for a unit's parameter and data.

    Attributes:
        parameter: What a unit has of its own.
        raw: What the unit alone says of it.
        size: What a unit has the more of, the more it tells.
        amount: What it has where it tells little.
        unit: An observed value and its size, to be formatted with `value` and `size`.
        told: How much a unit tells, to be formatted.
        sizes: What sizes are called.
        chance: What a value's error comes from.
        data: What a unit's data are called.
        value: What an observed value is called.
        one: One of what units of value zero lack.
        weighs: As how much data of its own all others weigh in a unit's estimate.
        population: Symbols of the population's parameters.
        size_of_unit: Heading of sizes.
        next_value: What of a next size is predicted.
        next_title: The same, as a question.
        story: What is observed of a unit j.
        likelihood: The distribution of a value.
        prior: The distribution of a parameter.
    """

    parameter: str
    raw: str
    size: str
    amount: str
    unit: str
    told: str
    sizes: str
    chance: str
    data: str
    value: str
    one: str
    weighs: str
    population: str
    size_of_unit: str
    next_value: str
    next_title: str
    story: str
    likelihood: str
    prior: str


SUCCESSES = UnitWords(
    parameter="rate",
    raw="raw rate",
    size="trials of the unit",
    amount="few trials",
    unit="{value:,} of {size:,}",
    told="n = {:,.0f}",
    sizes="numbers of trials",
    chance="trials",
    data="counts",
    value="count",
    one="a success",
    weighs="{} trials of its own",
    population="α and β",
    size_of_unit="Trials of a unit",
    next_value="The number of successes among {:,} further trials",
    next_title="What will the next {:,} trials bring?",
    likelihood="y_j ~ Binomial(n_j, θ_j)",
    prior="θ_j ~ Beta(α, β)",
    story=(
        "Every unit j has a rate θ_j of its own, "
        "of which its y_j successes among n_j trials say something. "
        "The rates come from one population, of which all units together say the rest."
    ),
)
EVENTS = UnitWords(
    parameter="rate",
    raw="raw rate",
    size="exposure of the unit",
    amount="little exposure",
    unit="{value:,} in {size:,.6g}",
    told="e = {:,.12g}",
    sizes="exposures",
    chance="exposure",
    data="events",
    value="number of events",
    one="an event",
    weighs="an exposure of its own of {}",
    population="a and b",
    size_of_unit="Exposure of a unit",
    next_value="The number of events in a further exposure of {:,.6g}",
    next_title="What will a further exposure of {:,.6g} bring?",
    likelihood="y_j ~ Poisson(e_j λ_j)",
    prior="λ_j ~ Gamma(a, b)",
    story=(
        "Every unit j has a rate λ_j of its own, "
        "of which its y_j events in an exposure of e_j say something. "
        "The rates come from one population, of which all units together say the rest."
    ),
)
MEASUREMENTS = UnitWords(
    parameter="effect",
    raw="measurement",
    size="precision of the unit, 1 / error²",
    amount="large errors",
    unit="{value:,.6g} with error {size:,.6g}",
    told="1 / s² = {:.3g}",
    sizes="precisions",
    chance="measurement",
    data="data",
    value="measurement",
    one="a measurement",
    weighs="one measurement of its own with error {}",
    population="μ and τ",
    size_of_unit="Errors",
    next_value="A further measurement with error {:,.6g}",
    next_title="What will a further measurement with error {:,.6g} be?",
    likelihood="y_j ~ Normal(θ_j, s_j)",
    prior="θ_j ~ Normal(μ, τ)",
    story=(
        "Every unit j has an effect θ_j of its own, "
        "of which its measurement y_j with standard error s_j says something. "
        "The effects come from one population, of which all units together say the rest."
    ),
)


def per_text(per: float | int | None) -> str:
    """What is said after the word rate.

    Examples:
        >>> per_text(100_000), per_text(1e6), per_text(2.5), per_text(None)
        (' per 100,000', ' per 1,000,000', ' per 2.5', '')
    """
    if per is None:
        return ""
    whole = float(per).is_integer() and abs(per) < 1e15
    return f" per {int(per):,}" if whole else f" per {per:g}"
