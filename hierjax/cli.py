"""The command ``hierjax``.

Only Typer is imported before a command runs, and a command imports what it needs once its cheap
input has been checked: help and most errors come at once.
"""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hierjax import cli_options

__all__ = ["app", "main"]

_INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    settings: cli_options.Settings = None,
    resume: cli_options.Resume = False,
    device: cli_options.Device = None,
    precision: cli_options.Precision = None,
    seed: cli_options.Seed = None,
    level: cli_options.Level = None,
) -> None:
    """Run a configuration: an analysis of one table, or a study of many data sets.

    Writes a directory of tables, draws, figures and a report.
    """
    from hierjax.experiment import commands

    flags = {"device": device, "precision": precision, "seed": seed, "level": level}
    commands.run(config, out, _changes(settings, flags), resume)


@app.command("fit")
def fit_command(
    file: cli_options.File,
    successes: cli_options.Successes = None,
    trials: cli_options.Trials = None,
    events: cli_options.Events = None,
    exposure: cli_options.Exposure = None,
    values: cli_options.Values = None,
    errors: cli_options.Errors = None,
    family: cli_options.Family = None,
    success_column: cli_options.SuccessColumn = None,
    unit: cli_options.Unit = None,
    label: cli_options.Label = None,
    group: cli_options.Group = None,
    method: cli_options.Method = None,
    hyper_only: cli_options.HyperOnly = False,
    new: cli_options.New = None,
    above: cli_options.Above = None,
    fdr: cli_options.Fdr = None,
    top: cli_options.Top = None,
    control: cli_options.Control = None,
    per: cli_options.Per = None,
    interval: cli_options.Interval = None,
    empirical_bayes: cli_options.EmpiricalBayes = None,
    next_size: cli_options.Next = None,
    out: cli_options.Out = None,
    settings: cli_options.Settings = None,
    resume: cli_options.Resume = False,
    device: cli_options.Device = None,
    precision: cli_options.Precision = None,
    seed: cli_options.Seed = None,
    level: cli_options.Level = None,
) -> None:
    """Fit one method to the units in a file.

    The file holds one unit a row (--successes and --trials, --events and --exposure, or --values
    and --errors, perhaps --label) or one event a row (--success-column and --unit). Prints
    hyperparameters, units and what is asked of them; with --out writes what `hierjax run` does, or
    the table itself with columns raw_rate, mean, sd, low, median, high and shrinkage added
    (mean_fit for a mean that is there already).
    """
    from hierjax.experiment import commands

    columns = {"successes": successes, "trials": trials, "label": label, "group": group}
    columns |= {"success_column": success_column, "unit": unit}
    columns |= {"events": events, "exposure": exposure, "values": values, "errors": errors}
    flags: dict[str, object] = {"device": device, "precision": precision}
    flags |= {
        "seed": seed,
        "level": level,
        "per": per,
        "interval": interval,
        "empirical_bayes": empirical_bayes,
    }
    questions = {"above": above, "fdr": fdr, "top": top, "control": control}
    questions["next"] = next_size
    asked = {name: value for name, value in questions.items() if value is not None}
    changes = _changes(settings, flags)
    commands.fit(file, columns, method, new or [], asked, out, changes, resume, hyper_only, family)


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
