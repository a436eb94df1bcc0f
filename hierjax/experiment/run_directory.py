"""The directory of a run: who may write it, and files that are whole whenever one looks.

What a run writes is prepared in a hidden folder of its directory and renamed into place, so a
killed run leaves no half of a file. ``manifest.json`` says whether the run was finished. What a
study has inferred so far lies in another hidden folder, from which an interrupted one goes on.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hierjax.errors import ConfigError
from hierjax.experiment import yaml_text

__all__ = ["RunDirectory", "require_directory_name"]

STAGING, PARTS = ".partial", ".parts"
#: What an analysis writes.
OWN = (
    "config.yaml",
    "manifest.json",
    "hyper.csv",
    "units.csv",
    "new_units.csv",
    "agreement.csv",
    "loo.csv",
    "exceedance.csv",
    "ranks.csv",
    "contrasts.csv",
    "predictions.csv",
    "checks.csv",
    "influence.csv",
    "later.csv",
    "later_units.csv",
    "draws",
    "figures",
    "report.html",
)


# Endings of names that are meant for a file.
_OF_FILES = frozenset({
    ".arrow", ".csv", ".db", ".feather", ".gz", ".htm", ".html", ".json", ".jsonl", ".md", ".nc",
    ".ndjson", ".npz", ".ods", ".parquet", ".pdf", ".png", ".pq", ".svg", ".tab", ".tsv", ".txt",
    ".xls", ".xlsx", ".yaml", ".yml", ".zip",
})  # fmt: skip


def require_directory_name(out: Path, expected: str = "a directory") -> None:
    """Refuses to make a directory whose name is that of a file.

    Args:
        out: What was given for it.
        expected: What the error says was expected.

    Raises:
        ConfigError: If it is not there, and its name ends like a file's.

    Example:
        >>> require_directory_name(Path("runs/2026.11"))
    """
    if out.suffix.lower() in _OF_FILES and not out.exists():
        raise ConfigError(
            f"--out {out}: expected {expected}, found the name of a {out.suffix} file"
        )


class RunDirectory:
    """A directory that belongs to one run of one configuration on one table of data.

    Args:
        path: Where it is or will be.
        own: Names of what a run of its kind writes; by default an analysis's.

    Attributes:
        path: The same.
        staging: Where files are prepared.
        parts: Where what a long run has finished is kept until all is.
    """

    def __init__(self, path: Path, own: Sequence[str] = OWN):
        self.path = path
        self.staging = path / STAGING
        self.parts = path / PARTS
        self._own = own
        self._lock: int | None = None

    def claim(self, config: Mapping[str, Any], data: Mapping[str, Any], resume: bool) -> bool:
        """Checks that this run may write here; changes nothing.

        Args:
            config: The resolved configuration.
            data: The data's summary, as the manifest holds it.
            resume: Whether to go on with a run that was cut short.

        Returns:
            Whether the run is finished already, which only `resume` allows.

        Raises:
            ConfigError: If the path is no directory, cannot be written, or holds another run, or
                this one and `resume` is false.
        """
        self._require_directory()
        held = self._held()
        if held is None:
            strangers = [name for name in self._own if (self.path / name).exists()]
            if strangers:
                raise ConfigError(
                    f"{self.path}: expected a directory without a run, found {strangers[0]} "
                    "without a configuration beside it; choose another with --out"
                )
            return False
        if different := [key for key in held | dict(config) if held.get(key) != config.get(key)]:
            raise ConfigError(
                f"{self.path}: expected no other run there, found {held.get('name', 'one')!r} "
                f"with another {', '.join(different)}; choose another directory with --out"
            )
        manifest = self.manifest()
        if manifest.get("data", data) != data:
            raise ConfigError(
                f"{self.path}: expected the data with which this run was begun, found others; "
                "choose another directory with --out"
            )
        finished = manifest.get("state") == "finished"
        if not resume:
            state = "finished" if finished else "begun, not finished; --resume goes on with it"
            hint = "; choose another directory with --out" if finished else ""
            raise ConfigError(f"{self.path}: expected no run there, found this one {state}{hint}")
        return finished

    def begin(self, config: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        """Makes the directory and writes what says whose it is.

        Raises:
            ConfigError: If another process is writing the same run.
            OSError: If it cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock_against_others()
        shutil.rmtree(self.staging, ignore_errors=True)
        self.staging.mkdir()
        self.publish_text("config.yaml", yaml_text.dump(dict(config)))
        if "draws" in self._own:
            (self.path / "draws").mkdir(exist_ok=True)
        self.write_manifest(manifest)

    def checkpoint(self, method: str) -> Path:
        """Where a sampler keeps what it has drawn so far."""
        return self.path / "draws" / f"{method}.partial.npz"

    def stage(self, name: str, text: str) -> None:
        """Prepares a file of text."""
        path = self.staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    def publish(self) -> list[str]:
        """Renames all files prepared into place.

        Returns:
            Their names, in alphabetical order.
        """
        files = sorted(path for path in self.staging.rglob("*") if path.is_file())
        names = [path.relative_to(self.staging).as_posix() for path in files]
        for path, name in zip(files, names, strict=True):
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        return names

    def publish_text(self, name: str, text: str) -> None:
        """Writes one file of text and renames it into place."""
        self.stage(name, text)
        os.replace(self.staging / name, self.path / name)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Writes ``manifest.json``."""
        text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
        self.publish_text("manifest.json", text + "\n")

    def manifest(self) -> dict[str, Any]:
        """What ``manifest.json`` holds; nothing if there is none to be read."""
        try:
            found = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Writes the last manifest and removes what only an unfinished run needs."""
        self.write_manifest(manifest)
        self.clean()
        self.release()

    def clean(self) -> None:
        """Removes what a finished run has no use for."""
        draws = self.path / "draws"
        for path in draws.glob("*.partial.npz*"):
            path.unlink()
        if draws.exists() and not any(draws.iterdir()):
            draws.rmdir()
        for folder in (self.staging, self.parts):
            shutil.rmtree(folder, ignore_errors=True)

    def release(self) -> None:
        """Lets other processes write the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _require_directory(self) -> None:
        """The path is a directory that can be written, or could be made into one."""
        there = self.path
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            raise ConfigError(
                f"{self.path}: expected a directory to write, found a file at {there}"
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise ConfigError(
                f"{self.path}: expected a directory to write, found {there} read-only"
            )

    def _held(self) -> dict[str, Any] | None:
        """The configuration of the run that the directory holds."""
        path = self.path / "config.yaml"
        if not path.exists():
            return None
        found, _ = yaml_text.read(path)
        return found if isinstance(found, dict) else {}

    def _lock_against_others(self) -> None:
        """Takes a lock that ends with the process, however it ends."""
        try:
            import fcntl
        except ImportError:
            return
        self._lock = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise ConfigError(
                f"{self.path}: expected no other process to be writing this run, found one"
            ) from None
