"""Finished parts of a batch in files, from which an interrupted call goes on."""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from hierjax.errors import InferenceError

__all__ = ["Parts", "digest"]


def digest(*given: Any) -> str:
    """A checksum of settings and arrays, by which parts of another call are known.

    Args:
        given: Pytrees of arrays and keys, or anything that its representation tells apart.
    """
    found = hashlib.sha256()
    for part in given:
        leaves, structure = jax.tree.flatten(part)
        found.update(str(structure).encode())
        for leaf in leaves:
            if isinstance(leaf, jax.Array) and jax.numpy.issubdtype(
                leaf.dtype, jax.dtypes.prng_key
            ):
                leaf = jax.random.key_data(leaf)
            is_array = isinstance(leaf, np.ndarray | jax.Array)
            found.update(np.asarray(leaf).tobytes() if is_array else repr(leaf).encode())
    return found.hexdigest()


class Parts:
    """A folder with a file for every part that is done; each is whole or not there.

    Args:
        folder: Where they are, made if need be.
        identity: A `digest` of all that the parts depend on.
    """

    def __init__(self, folder: Path, identity: str):
        self.folder, self.identity = folder, identity
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, name: str, like: PyTree) -> PyTree | None:
        """A part, or None if it is not done.

        Args:
            name: The part's name.
            like: A pytree of its structure.

        Raises:
            InferenceError: If the file is of another call, or none of ours.
        """
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        old, structure = jax.tree.flatten(like)
        try:
            # The zip archive is opened first, because NumPy opens other files too.
            with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as saved:
                identity = str(saved["identity"])
                leaves = [saved[f"leaf_{i}"] for i in range(len(old))]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InferenceError(
                f"{path}: expected a part of a batch, found another or a truncated file ({error})"
            ) from None
        if identity != self.identity:
            raise InferenceError(
                f"{path}: the part belongs to another call (other data, settings, key, chunk, "
                "devices or precision); remove the folder to start again"
            )
        return jax.tree.unflatten(structure, leaves)

    def save(self, name: str, part: PyTree) -> None:
        """Writes a part under a hidden name and renames it into place."""
        leaves = {f"leaf_{i}": leaf for i, leaf in enumerate(jax.tree.leaves(part))}
        path = self.folder / f"{name}.npz"
        hidden = path.with_name(f".{path.name}.partial")
        with hidden.open("wb") as file:
            np.savez(file, allow_pickle=False, identity=np.array(self.identity), **leaves)
        os.replace(hidden, path)
