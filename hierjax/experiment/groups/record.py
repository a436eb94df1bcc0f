"""What a run of three levels found, as its report and its figures see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hierjax.table import Table

if TYPE_CHECKING:
    from hierjax.levels import GroupFit
    from hierjax.observations import Observations

__all__ = ["GroupsRecord"]


@dataclass(frozen=True)
class GroupsRecord:
    """All answers of a run, computed once, before anything is drawn or laid out.

    The tables are those of the run's files: one method's rows after another's, in the order of the
    configuration, the first column `method`. Methods that failed have no rows and no fit.

    Attributes:
        name: Name of the run.
        config: The configuration with every default resolved, as ``config.yaml`` holds it.
        data: The units.
        fits: What each method found, by its display name.
        failures: The error's text for each method that found nothing.
        level: Probability of every interval.
        hyper: `GroupFit.summary` of every method.
        groups: `GroupFit.groups` of every method.
        units: `GroupFit.units` of every method.
        predictions: `GroupFit.predict` of every method for the units asked about.
        evidence: `GroupFit.evidence` of every method that gives it, which a sampler does not.
        agreement: Samplers against quadrature, columns ``method, quantity, value, reference,
            mcse, z``; None where there is no pair to compare.
        warnings: What a reader should know before trusting the answers.
        seconds: Wall seconds of each method.
        manifest: As ``manifest.json`` holds it.
    """

    name: str
    config: Mapping[str, Any]
    data: "Observations"
    fits: Mapping[str, "GroupFit"]
    failures: Mapping[str, str]
    level: float
    hyper: Table
    groups: Table
    units: Table
    predictions: Table
    evidence: Table
    agreement: Table | None = None
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def leading(self) -> str | None:
        """Name of the fit whose answers are quoted: quadrature's, else a sampler's, else any."""
        found = sorted(self.fits, key=lambda name: self._rank(self.fits[name]))
        return found[0] if found else None

    @staticmethod
    def _rank(fit: "GroupFit") -> int:
        result = fit.result
        if "log_bayes_factor" in result.info:
            return 0
        return 1 if result.draws is not None else 2

    def of_method(self, table: Table, name: str | None) -> Table:
        """The rows of one method."""
        rows = table["method"] == name
        return Table({column: values[rows] for column, values in table.items()})
