"""The command ``hierjax``.

Only Typer is imported before a command runs, and a command imports what it needs once its cheap
input has been checked: help and most errors come at once.
"""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

__all__ = ["app", "main"]

_INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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


def _print_version(asked: bool) -> None:
    if asked:
        from hierjax import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Partial pooling of many rates: hierarchical count models, inferred in JAX."""


@app.command("run")
def run_command(
    config: Annotated[Path, typer.Argument(help="YAML file that describes the run.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory of the run; runs/NAME by default.", show_default=False),
    ] = None,
    settings: Settings = None,
    resume: Resume = False,
    device: Device = None,
    precision: Precision = None,
    seed: Seed = None,
    level: Level = None,
) -> None:
    """Run every method of a configuration.

    Writes a directory of tables, draws, figures and a report.
    """
    from hierjax.experiment import commands

    flags = {"device": device, "precision": precision, "seed": seed, "level": level}
    commands.run(config, out, _changes(settings, flags), resume)


@app.command("fit")
def fit_command(
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, TSV, Parquet or JSON lines file, or a quoted pattern of files, as 'a*.csv'."
        ),
    ],
    successes: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of successes, one unit a row.")
    ] = None,
    trials: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of trials, one unit a row.")
    ] = None,
    success_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of 0 and 1 (false and true), one event a row."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the unit of each event.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the units' labels.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the units' groups.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="moments, type2_mle, quadrature (exact), nuts, gibbs or collapsed_gibbs.",
        ),
    ] = "quadrature",
    new: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LABEL=]Y/N",
            help="A unit to ask about that is not in the file, as 4/14; may be repeated.",
        ),
    ] = None,
    above: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="List the units whose rate exceeds this one."),
    ] = None,
    fdr: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Expected share of false discoveries on that list; 0.05 by default.",
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="K", help="Rank the units, and find the top K.")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="Compare every unit's rate with this one's."),
    ] = None,
    interval: Annotated[
        Literal["equal_tailed", "highest_density"] | None,
        typer.Option(help="Kind of the units' intervals; equal_tailed by default."),
    ] = None,
    empirical_bayes: Annotated[
        Literal["plug_in", "corrected"] | None,
        typer.Option(
            help="Intervals of units by moments and type2_mle. plug_in, the default, takes the "
            "estimated hyperparameters for the truth: it leaves out their error, and intervals are "
            "too short, the more so the fewer the units. corrected averages over the estimate's "
            "approximate distribution."
        ),
    ] = None,
    next_trials: Annotated[
        int | None,
        typer.Option(
            "--next", metavar="TRIALS", help="Predict the successes in every unit's next trials."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory to write the run to; or a file that ends in .csv or .parquet, for the "
            "table with the answers as further columns. Neither is written over. None by default.",
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    resume: Resume = False,
    device: Device = None,
    precision: Precision = None,
    seed: Seed = None,
    level: Level = None,
) -> None:
    """Fit one method to the counts in a file.

    The file holds one unit a row (--successes and --trials, perhaps --label) or one event a row
    (--success-column and --unit). Prints hyperparameters, units and what is asked of them;
    with --out writes what `hierjax run` does, or the table itself with columns raw_rate, mean, sd,
    low, median, high and shrinkage added (mean_fit for a mean that is there already).
    """
    from hierjax.experiment import commands

    columns = {
        "successes": successes,
        "trials": trials,
        "label": label,
        "group": group,
        "success_column": success_column,
        "unit": unit,
    }
    flags = {
        "device": device,
        "precision": precision,
        "seed": seed,
        "level": level,
        "interval": interval,
        "empirical_bayes": empirical_bayes,
    }
    questions = {
        "above": above,
        "fdr": fdr,
        "top": top,
        "control": control,
        "next_trials": next_trials,
    }
    asked = {name: value for name, value in questions.items() if value is not None}
    changes = _changes(settings, flags)
    commands.fit(file, columns, method, new or [], asked, out, changes, resume)


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of configurations."""
    from hierjax.experiment import commands

    commands.schema()


@app.command("info")
def info_command() -> None:
    """Print versions, devices and precision."""
    from hierjax.experiment import commands

    commands.info()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and leaves the process with its exit code.

    Args:
        arguments: What follows ``hierjax``; the process's own by default.

    Raises:
        SystemExit: Always: 0 if results were found, 1 if every method failed, 2 if the input was
            wrong, 130 if interrupted.
    """
    from hierjax.errors import HierjaxError

    # Imports and traces make very many objects that stay; looking through them time and again
    # for garbage takes a tenth of a short command's time.
    gc.set_threshold(50_000, 20, 50)
    try:
        given = sys.argv[1:] if arguments is None else list(arguments)
        code = app(given or ["--help"], prog_name="hierjax", standalone_mode=False)
        sys.stdout.flush()
    except HierjaxError as error:
        _fail(str(error))
    except BrokenPipeError:
        # Whoever read the output has gone; Python would complain once more on leaving.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}")
    except Exception as error:
        # Typer's errors of usage have no public class in common.
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message())
    if code == _INTERRUPTED:
        print("interrupted; a run that was begun goes on with --resume", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _changes(settings: list[str] | None, flags: Mapping[str, object]) -> list[str]:
    """Changes to the configuration; a flag of its own wins."""
    given = [f"{key}={value}" for key, value in flags.items() if value is not None]
    return [*(settings or ()), *given]
