"""Tables that the package ships, each with its source, and simulators of such tables."""

from collections.abc import Callable
from pathlib import Path

from hierjax.counts import Counts
from hierjax.datasets.simulate import simulate
from hierjax.errors import ConfigError, did_you_mean
from hierjax.reading import read_counts

__all__ = ["DATASETS", "load", "rat_tumors", "simulate"]


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


DATASETS: dict[str, Callable[[], Counts]] = {
    "rat_tumors": rat_tumors,
    "rat_tumors_71": lambda: rat_tumors(current=True),
}


def load(name: str) -> Counts:
    """The counts that a configuration calls `name`.

    Args:
        name: A key of `DATASETS`.

    Returns:
        The counts.

    Raises:
        ConfigError: If there is no such table.

    Examples:
        >>> len(load("rat_tumors_71"))
        71
    """
    if name not in DATASETS:
        raise ConfigError(
            f"dataset: expected one of {', '.join(DATASETS)}, found {name!r}"
            f"{did_you_mean(name, DATASETS)}"
        )
    return DATASETS[name]()
