"""What methods found, whatever the levels of the model: their fits, endings, notes and draws."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np

from hierjax.errors import InferenceError, ModelError
from hierjax.inference.result import Status
from hierjax.table import Table

__all__ = ["AGREEMENT", "HYPER", "MethodFits", "Stages", "disagreements", "stacked", "write_draws"]

HYPER = "method,parameter,mean,sd,low,median,high,ess_bulk,ess_tail,r_hat"
AGREEMENT = "method,quantity,value,reference,mcse,z"
# False alarms once in 16,000 quantities.
_LARGEST_Z = 4.0


class Stages(dict[str, float]):
    """Wall seconds by the name of a stage."""

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Adds what the block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self[name] = self.get(name, 0.0) + time.perf_counter() - start


@runtime_checkable
class _Ended(Protocol):
    """What is told of every fit."""

    @property
    def status(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def result(self) -> Any: ...


AnyFit = TypeVar("AnyFit", bound=_Ended)


@dataclass(frozen=True)
class MethodFits(Generic[AnyFit]):
    """What the methods found, by their display names.

    Attributes:
        fits: Of each method that found something, in the configuration's order.
        failures: Why each other method did not.
        seconds: Wall seconds of each method.
    """

    fits: dict[str, AnyFit] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    seconds: Stages = field(default_factory=Stages)

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Times what a method does in the block; if it cannot go on, keeps why."""
        with self.seconds.time(name):
            try:
                yield
            except (InferenceError, ModelError, jax.errors.JaxRuntimeError) as error:
                self.failures[name] = str(error).partition("\n")[0]

    def add(self, name: str, fit: AnyFit) -> bool:
        """Keeps a method's fit, or why there is none; tells whether it found something."""
        if fit.status == Status.FAILED:
            self.failures[name] = fit.message
            return False
        self.fits[name] = fit
        return True

    def statuses(self) -> dict[str, tuple[str, str]]:
        """Status of every method, and a message, which may be empty."""
        good = {name: (str(fit.status), fit.message) for name, fit in self.fits.items()}
        return good | {name: (str(Status.FAILED), text) for name, text in self.failures.items()}

    def endings(self, timed: bool) -> dict[str, dict[str, Any]]:
        """A manifest's part about methods.

        Args:
            timed: Whether seconds are in it, which differ from run to run.

        Returns:
            A mapping a method.
        """
        told: dict[str, dict[str, Any]] = {}
        for name, (status, message) in self.statuses().items():
            told[name] = {"status": status, "message": message}
            if timed:
                stages = self.fits[name].result.seconds if name in self.fits else {}
                told[name]["seconds"] = {**stages, "total": self.seconds.get(name, 0.0)}
        return told

    def notes(self) -> list[str]:
        """What the methods say of themselves where they did not simply converge."""
        return [
            f"{name}: {status.replace('_', ' ')}" + (f"; {message}" if message else "")
            for name, (status, message) in self.statuses().items()
            if status != Status.CONVERGED or message
        ]


def stacked(tables: Mapping[str, Table], header: str) -> Table:
    """The tables of all methods in one, the method's name in front of each row.

    Args:
        tables: By the method's name.
        header: Columns of a table without rows, the method's first, with commas between.

    Returns:
        One table.
    """
    if not tables:
        return Table({column: np.empty(0) for column in header.split(",")})
    return Table.stack([table.with_columns(method=name) for name, table in tables.items()])


def disagreements(agreement: Table | None) -> list[str]:
    """Quantities that are further from quadrature's than chance allows.

    Args:
        agreement: Columns ``method, quantity, value, reference, mcse, z``, if there is a table.

    Returns:
        A sentence for each.
    """
    rows: list[dict[str, Any]] = [] if agreement is None else list(agreement.rows())
    return [
        f"{row['method']}: {row['quantity']} is {row['value']:.5g}, {abs(row['z']):.1f} Monte "
        f"Carlo standard errors from quadrature's {row['reference']:.5g}"
        for row in rows
        if abs(row["z"]) > _LARGEST_Z
    ]


def write_draws(data: Any, path: Path) -> None:
    """Draws as netCDF, without the date: the same draws make the same file.

    Args:
        data: ArviZ's container.
        path: The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    groups = data.groups() if callable(data.groups) else data.groups
    for group in groups:
        data[group].attrs.pop("created_at", None)
    data.to_netcdf(path, engine="h5netcdf")
