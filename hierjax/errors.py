"""What can go wrong, by who has to act: the data, the configuration, the model or the inference.

Every message is one or two lines: the place (file, line, column, unit or key), what was expected
there and what was found.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class HierjaxError(Exception):
    """Base of every error that hierjax raises on purpose."""


class DataError(HierjaxError, ValueError):
    """The counts, or the file that holds them, break a rule."""


class ConfigError(HierjaxError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""


class ModelError(HierjaxError, ValueError):
    """The model is not defined for these data, as when its posterior is improper."""


class InferenceError(HierjaxError, RuntimeError):
    """A method could not produce a result."""


class DataWarning(UserWarning):
    """The counts are legal but probably not what was meant."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Offers the nearest of the valid names, for the end of an error's message.

    Args:
        name: What was found.
        options: The names that would have been valid.

    Returns:
        ``"; did you mean 'NEAREST'?"``, or an empty string where nothing is near.

    Examples:
        >>> did_you_mean("Tumour", ["experiment", "tumors", "rats"])
        "; did you mean 'tumors'?"
        >>> did_you_mean("deaths", ["tumors", "rats"])
        ''
    """
    folded = {option.casefold(): option for option in options}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""
