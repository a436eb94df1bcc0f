"""What a study found, as its report, its figures and the terminal see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hierjax.experiment.report_tables import Group
from hierjax.model import Model
from hierjax.plots.picture import Picture
from hierjax.table import Table

__all__ = ["Outcome", "ReportTable", "Section", "StudyRecord"]


class Section(NamedTuple):
    """A part of the report.

    Attributes:
        name: What pictures and tables call it.
        title: Its heading.
        text: What to know before its figures and tables.
    """

    name: str
    title: str
    text: str = ""


class ReportTable(NamedTuple):
    """A table of the report, of text that is rounded already.

    Attributes:
        section: Name of the section that shows it.
        title: What it holds.
        columns: Headings.
        groups: Rows under headings.
        note: What else a reader should know.
    """

    section: str
    title: str
    columns: list[str]
    groups: list[Group]
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a kind of study makes of its fits.

    Attributes:
        tables: Tables by the name of their file, without ending.
        seconds: Wall seconds, columns ``setting, method, data_sets, compile, run``; None where
            another table has them.
        methods: One entry a method, by its display name, as the manifest holds it.
        findings: Answers in sentences, each with what it is about.
        sections: Parts of the report, in order.
        report_tables: Tables of the report.
        pictures: Figures, none of them drawn yet.
        warnings: What a reader should know before trusting the answers.
        found_nothing: Whether every method failed.
    """

    tables: Mapping[str, Table]
    seconds: Table | None
    methods: Mapping[str, Mapping[str, Any]]
    findings: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    report_tables: tuple[ReportTable, ...] = ()
    pictures: tuple[Picture, ...] = ()
    warnings: tuple[str, ...] = ()
    found_nothing: bool = False


@dataclass(frozen=True)
class StudyRecord:
    """All that a study found, computed once, before anything is drawn or laid out.

    Attributes:
        name: Name of the study.
        config: The configuration with every default resolved.
        model: The model that methods inferred.
        settings: What was simulated, columns ``setting, population, units, trials, mean, sd,
            data_sets``.
        outcome: What came of it.
        warnings: What a reader should know before trusting the answers, of every origin.
        manifest: As ``manifest.json`` holds it.
    """

    name: str
    config: Mapping[str, Any]
    model: Model
    settings: Table
    outcome: Outcome
    warnings: tuple[str, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
