"""Fits in files: the project's own, and ArviZ's container of draws."""

import inspect
import json
import os
import warnings
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierjax import __version__
from hierjax.containers import CONTAINERS
from hierjax.errors import ConfigError, DataError, DataWarning, InferenceError, ModelError
from hierjax.families import FAMILIES
from hierjax.hyperpriors import HYPERPRIORS_OF, Hyperprior
from hierjax.inference.convergence import arviz_of
from hierjax.inference.quadrature import Lattice
from hierjax.inference.result import Result, Status
from hierjax.model import Model
from hierjax.posterior import HyperPosterior
from hierjax.validation import SHARED

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["load", "save", "to_arviz"]

_FORMAT = "hierjax fit"
_FORMAT_VERSION = 1


def to_arviz(fit: "Fit") -> Any:
    """The draws of a sampler as ArviZ's container, without pointwise log-likelihoods.

    Args:
        fit: A fit by a method that draws.

    Returns:
        InferenceData under ArviZ 0.23, a DataTree under 1.x: posterior (every hyperparameter, and
        `theta` where its draws were stored), sample_stats and observed_data.

    Raises:
        InferenceError: If the method has no draws.
    """
    if fit.draws is None:
        raise InferenceError(
            f"{fit.method.name}: no chains to give ArviZ, which only samplers have; fit.sample and "
            "fit.sample_rates make arrays of independent draws"
        )
    posterior = fit.model.family.hyperparameters.values(fit.draws)
    if fit.unit_draws is not None:
        posterior["theta"] = fit.unit_draws
    shape = fit.draws.shape[:2]
    stats = {
        name: np.asarray(value)
        for name, value in fit.info.get("per_draw", {}).items()
        if np.shape(value)[:2] == shape
    }
    groups = {
        "posterior": posterior,
        "sample_stats": stats,
        "observed_data": dict(zip(fit.counts.columns, fit.counts.pair, strict=True)),
    }
    dims = {name: ["unit"] for name in ("theta", *fit.counts.columns)}
    return arviz_of(groups, {"unit": list(fit.counts.labels)}, dims)


def _hyperprior_to_json(hyperprior: Hyperprior) -> dict[str, Any]:
    values = {name: _argument_to_json(value) for name, value in vars(hyperprior).items()}
    return {"kind": hyperprior.kind, **values}


def _argument_to_json(value: Any) -> Any:
    """A number as it is; a distribution as its class's name and what it is made from."""
    if np.size(value) == 1 and np.asarray(value).dtype.kind in "iuf":
        return np.asarray(value).item()
    from numpyro import distributions

    cls = type(value)
    if getattr(distributions, cls.__name__, None) is cls:
        names = [name for name in inspect.signature(cls).parameters if name != "validate_args"]
        if all(hasattr(value, name) for name in names):
            arguments = {name: _argument_to_json(getattr(value, name)) for name in names}
            return {"distribution": cls.__name__, **arguments}
    raise ModelError(
        f"save: expected distributions of NumPyro that are made from numbers, found {cls.__name__}"
    )


def _hyperprior_from_json(settings: dict[str, Any], family: str) -> Hyperprior:
    arguments = {name: _argument_from_json(value) for name, value in settings.items()}
    made: Hyperprior = HYPERPRIORS_OF[family][arguments.pop("kind")](**arguments)
    return made


def _argument_from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    from numpyro import distributions

    arguments = {name: _argument_from_json(inner) for name, inner in value.items()}
    return getattr(distributions, arguments.pop("distribution"))(**arguments)


def save(fit: "Fit", path: Path) -> None:
    """Writes a fit as a NumPy archive, beside its final name and then renamed.

    The file says which format it has and which release wrote it. A data frame that the data
    came from is not written: after loading, answers come as tables.

    Args:
        fit: Any fit.
        path: Where; an existing file is replaced.

    Raises:
        ConfigError: If the path is a directory, or in one that is not there.
        ModelError: If a distribution of the hyperprior cannot be made again from numbers.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: expected a file to write, found a directory")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path}: expected a directory to write it to, found none")
    result, counts = fit.result, fit.counts
    arrays = {
        f"counts_{name}": getattr(counts, name)
        for name in (*counts.columns, *SHARED)
        if getattr(counts, name) is not None
    }
    for name in ("draws", "unit_draws", "covariance", "estimate"):
        if getattr(result, name) is not None:
            arrays[name] = np.asarray(getattr(result, name))
    for name in ("posterior", "lattice"):
        value = getattr(result, name)
        if value is not None:
            arrays |= {f"{name}_{field}": np.asarray(x) for field, x in value._asdict().items()}
    plain, info_arrays = _split_info(result.info)
    arrays |= info_arrays
    header = {
        "format": _FORMAT,
        "version": _FORMAT_VERSION,
        "hierjax": __version__,
        "method": {"name": fit.method.name, **asdict(fit.method)},
        "hyperprior": _hyperprior_to_json(fit.model.hyperprior),
        "family": fit.model.family.name,
        "precision": fit.precision,
        "status": result.status.value,
        "message": result.message,
        "info": plain,
        "seconds": result.seconds,
    }
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _split_info(
    info: dict[str, Any], prefix: str = "info"
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Diagnostics as JSON values, and those that are arrays."""
    plain: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, value in info.items():
        if isinstance(value, dict):
            plain[name], inner = _split_info(value, f"{prefix}_{name}")
            arrays |= inner
        elif isinstance(value, np.ndarray):
            plain[name] = {"array": f"{prefix}_{name}"}
            arrays[f"{prefix}_{name}"] = value
        else:
            plain[name] = value
    return plain, arrays


def _join_info(plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    joined = {}
    for name, value in plain.items():
        if isinstance(value, dict):
            is_array = set(value) == {"array"}
            joined[name] = arrays[value["array"]] if is_array else _join_info(value, arrays)
        else:
            joined[name] = value
    return joined


def load(path: Path) -> "Fit":
    """Reads a fit that `save` wrote.

    Args:
        path: The file.

    Returns:
        The same fit.

    Raises:
        DataError: If the file is missing, truncated, damaged, not a fit, or of a later format.
    """
    header, arrays = _read(path)
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise DataError(f"{path}: expected a fit saved by hierjax, found another archive")
    version = header.get("version")
    if not isinstance(version, int) or version > _FORMAT_VERSION:
        raise DataError(
            f"{path}: expected format version {_FORMAT_VERSION} or earlier, found {version!r}, "
            f"written by hierjax {header.get('hierjax', 'of no version')}"
        )
    try:
        return _rebuilt(header, arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"{path}: expected a fit saved by hierjax, found a damaged one "
            f"({type(error).__name__}: {reason})"
        ) from None


def _read(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """The header of an archive, and its arrays."""
    try:
        # The zip archive is opened first, because NumPy opens other files too.
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        return json.loads(str(arrays["header"])), arrays
    except FileNotFoundError:
        raise DataError(f"{path}: expected a saved fit, found no such file") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: expected a fit saved by hierjax, found another or a truncated file ({error})"
        ) from None


def _rebuilt(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Fit":
    from hierjax.fitting import Fit
    from hierjax.inference import METHODS

    settings = dict(header["method"])
    method = METHODS[settings.pop("name")](**settings)
    columns: dict[str, Any] = {
        name.removeprefix("counts_"): value
        for name, value in arrays.items()
        if name.startswith("counts_")
    }

    def parts(cls: Any, prefix: str) -> Any:
        fields = {name: arrays.get(f"{prefix}_{name}") for name in cls._fields}
        missing = any(value is None for value in fields.values())
        return None if missing else cls(**fields)

    result = Result(
        parts(HyperPosterior, "posterior"),
        Status(header["status"]),
        header["message"],
        draws=arrays.get("draws"),
        unit_draws=arrays.get("unit_draws"),
        lattice=parts(Lattice, "lattice"),
        covariance=arrays.get("covariance"),
        estimate=arrays.get("estimate"),
        info=_join_info(header["info"], arrays),
        seconds=header["seconds"],
    )
    if header["family"] not in FAMILIES:
        raise ValueError(f"family {header['family']!r} is not known")
    family: Any = FAMILIES[header["family"]]
    model = Model(family, _hyperprior_from_json(header["hyperprior"], header["family"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # given when the counts were made
        counts = CONTAINERS[header["family"]](**columns)
    if result.posterior is None and result.status is not Status.FAILED:
        raise ValueError("the posterior is missing")
    return Fit(counts, model, method, header["precision"], result)
