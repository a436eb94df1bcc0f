"""The options of the commands, with what ``--help`` says of each.

Nothing but Typer is imported: help must come at once.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

File = Annotated[
    str,
    typer.Argument(
        help="CSV, TSV, Parquet or JSON lines file, or a quoted pattern of files, as 'a*.csv'."
    ),
]
Successes = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of successes, one unit a row.")
]
Trials = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of trials, one unit a row.")
]
Events = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column of events, whose rate is per --exposure."),
]
Exposure = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of exposures, which are positive.")
]
Values = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of measurements, one unit a row.")
]
Errors = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of their standard errors.")
]
Family = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="beta_binomial (successes among trials), gamma_poisson (events by exposure) or "
        "normal_normal (values with errors); by default what the columns are for.",
    ),
]
SuccessColumn = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column of 0 and 1 (false and true), one event a row."),
]
Unit = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of the unit of each event.")
]
Label = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the units' labels.")]
Group = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of the units' groups, such as labs: fits a third level, units in groups and "
        "groups in a population of groups.",
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="moments, type2_mle, quadrature (exact, the default), nuts, gibbs or collapsed_gibbs; "
        "with --group quadrature, type2_mle, nuts or gibbs.",
    ),
]
HyperOnly = Annotated[
    bool,
    typer.Option(
        "--hyper-only",
        help="Print the hyperparameters alone, by type2_mle and by quadrature unless --method "
        "names one: one pass over the counts in the file, however many its rows.",
    ),
]
New = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[LABEL=]Y/N[@GROUP]",
        help="A unit to ask about that is not in the file: successes/trials as 4/14, "
        "events/exposure as 3/12.5 or value/error as -2.5/10; with --group its group, as 4/14@a, "
        "or else one not seen; may be repeated.",
    ),
]
Above = Annotated[
    float | None,
    typer.Option(metavar="RATE", help="List the units whose rate exceeds this one."),
]
Fdr = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Expected share of false discoveries on that list; 0.05 by default.",
    ),
]
Top = Annotated[int | None, typer.Option(metavar="K", help="Rank the units, and find the top K.")]
Control = Annotated[
    str | None,
    typer.Option(metavar="LABEL", help="Compare every unit's rate with this one's."),
]
Per = Annotated[
    float | None,
    typer.Option(
        metavar="UNITS",
        help="Show rates per so many units of --exposure, as 100000; in files they are per one.",
    ),
]
Interval = Annotated[
    Literal["equal_tailed", "highest_density"] | None,
    typer.Option(help="Kind of the units' intervals; equal_tailed by default."),
]
EmpiricalBayes = Annotated[
    Literal["plug_in", "corrected"] | None,
    typer.Option(
        help="Intervals of units by moments and type2_mle. plug_in, the default, takes the "
        "estimated hyperparameters for the truth: it leaves out their error, and intervals are "
        "too short, the more so the fewer the units. corrected averages over the estimate's "
        "approximate distribution."
    ),
]
Next = Annotated[
    float | None,
    typer.Option(
        "--next",
        metavar="SIZE",
        help="Predict the successes in so many next trials of every unit, the events in its next "
        "exposure, or its next measurement with this error.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Directory to write the run to; or a file that ends in .csv or .parquet, for the "
        "table with the answers as further columns. Neither is written over. None by default.",
        show_default=False,
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "gpu"] | None, typer.Option(help="Where to compute.", show_default=False)
]
Precision = Annotated[
    Literal["float64", "float32"] | None,
    typer.Option(help="Floating type to compute in.", show_default=False),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Seed of all random numbers.", min=0, max=2**32 - 1, show_default=False),
]
Level = Annotated[
    float | None, typer.Option(help="Probability of every interval.", show_default=False)
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value of the configuration, as methods[3].draws=500; may be repeated.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was cut short.")]
