"""Tables that the package ships, each with its source, and simulators of such tables."""

from collections.abc import Callable
from pathlib import Path

from hierjax.counts import Counts
from hierjax.datasets.counties import simulate_counties, simulated_counties
from hierjax.datasets.labs import simulate_labs, simulated_labs
from hierjax.datasets.simulate import simulate
from hierjax.errors import ConfigError, did_you_mean
from hierjax.measurements import Measurements
from hierjax.observations import Observations
from hierjax.poisson_events import Events
from hierjax.reading import from_columns, read_counts
from hierjax.table import Table
from hierjax.table_columns import TableColumns

__all__ = [
    "DATASETS",
    "TABLES",
    "eight_schools",
    "family_of",
    "load",
    "pumps",
    "rat_tumors",
    "simulate",
    "simulate_counties",
    "simulate_labs",
    "simulated_counties",
    "simulated_labs",
]


def rat_tumors(current: bool = False) -> Counts:
    """Tumours in control groups of female laboratory rats of type F344.

    Each unit is one experiment: how many of its rats, which had no treatment, developed
    endometrial stromal polyps. The 70 historical experiments set the scale for the current one,
    the 71st, in which 4 of 14 rats did.

    Args:
        current: Whether to add the current experiment at the end.

    Returns:
        Counts of 70 units (71 with the current one), labelled ``"1"`` to ``"71"``.

    References:
        R. E. Tarone (1982), "The use of historical control information in testing for a trend in
        proportions", *Biometrics* 38, 215-220. The table is that of A. Gelman, J. B. Carlin,
        H. S. Stern, D. B. Dunson, A. Vehtari and D. B. Rubin (2013), *Bayesian Data Analysis*,
        3rd edition, table 5.1.

    Examples:
        >>> rat_tumors()
        Counts(units=70, successes=263, trials=1725)
    """
    path = Path(__file__).with_name("rat_tumors.csv")
    counts = read_counts(path, successes="tumors", trials="rats", label="experiment")
    return counts.append("71", successes=4, trials=14) if current else counts


def pumps() -> Events:
    """Failures of ten pumps of a nuclear power plant, by thousands of hours of operation.

    Returns:
        Events of 10 units, labelled ``"1"`` to ``"10"``.

    References:
        D. P. Gaver and I. G. O'Muircheartaigh (1987), "Robust empirical Bayes analyses of event
        rates", *Technometrics* 29, 1-15. E. I. George, U. E. Makov and A. F. M. Smith (1993),
        "Conjugate likelihood distributions", *Scandinavian Journal of Statistics* 20, 147-156,
        whose hierarchy (shape ~ Exponential(1), rate ~ Gamma(0.1, 1)) is the example "Pumps" of
        BUGS.

    Examples:
        >>> pumps()
        Events(units=10, events=75, exposures=350.24)
    """
    failures = [5, 1, 5, 14, 3, 19, 1, 1, 4, 22]
    hours = [94.3, 15.7, 62.9, 126, 5.24, 31.4, 1.05, 1.05, 2.1, 10.5]
    return Events(failures, hours)


def eight_schools() -> Measurements:
    """Effects of coaching on scores of the SAT-V in eight schools, with their standard errors.

    Each effect is the estimate of a separate analysis of one school's experiment.

    Returns:
        Measurements of 8 units, labelled ``"A"`` to ``"H"``.

    References:
        D. B. Rubin (1981), "Estimation in parallel randomized experiments", *Journal of
        Educational Statistics* 6, 377-401. The table is that of A. Gelman, J. B. Carlin,
        H. S. Stern, D. B. Dunson, A. Vehtari and D. B. Rubin (2013), *Bayesian Data Analysis*,
        3rd edition, table 5.2.

    Examples:
        >>> eight_schools()
        Measurements(units=8)
    """
    effects = [28, 8, -3, 7, -1, 1, 18, 12]
    return Measurements(effects, [15, 10, 16, 11, 9, 11, 10, 18], list("ABCDEFGH"))


DATASETS: dict[str, Callable[[], Observations]] = {
    "rat_tumors": rat_tumors,
    "rat_tumors_71": lambda: rat_tumors(current=True),
    "pumps": pumps,
    "eight_schools": eight_schools,
}
#: Tables with columns to choose from.
TABLES: dict[str, Callable[[], Table]] = {
    "simulated_counties": simulated_counties,
    "simulated_labs": simulated_labs,
}
_FAMILIES = {"pumps": Events.family, "eight_schools": Measurements.family}


def family_of(name: str | None) -> str | None:
    """The family that a data set is for, without loading it; None where columns decide.

    Examples:
        >>> family_of("pumps"), family_of("pumbs")
        ('gamma_poisson', None)
    """
    return _FAMILIES.get(name or "", Counts.family) if name in DATASETS else None


def load(name: str, columns: TableColumns | None = None) -> Observations:
    """The data that a configuration calls `name`.

    Args:
        name: A key of `DATASETS`, or of `TABLES`.
        columns: Which columns of one of `TABLES` hold what.

    Returns:
        The data.

    Raises:
        ConfigError: If there is no such data set.
        DataError: If there is no such column, or it holds something else.

    Examples:
        >>> len(load("rat_tumors_71"))
        71
    """
    if name in DATASETS:
        return DATASETS[name]()
    if name in TABLES and columns is not None:
        return from_columns(name, dict(TABLES[name]().items()), columns)
    known = [*DATASETS, *TABLES]
    raise ConfigError(
        f"dataset: expected one of {', '.join(known)}, found {name!r}{did_you_mean(name, known)}"
    )
