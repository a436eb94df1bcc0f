"""What the samplers share: overdispersed starts, and one chunked, resumable scan."""

import hashlib
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from hierjax.errors import InferenceError
from hierjax.inference.result import Sampled
from hierjax.inference.spreading import spread
from hierjax.keys import require_key
from hierjax.model import Model

__all__ = [
    "OVERDISPERSION",
    "Kernel",
    "compile_ahead",
    "overdispersed_starts",
    "sample",
    "side_by_side",
]

# Stacking small outputs over a long scan is quadratic in some releases of jaxlib on a CPU.
_BLOCK = 25
# Chains that one thread runs in lockstep: more of them share each operation's fixed cost.
_LOCKSTEP = 128
# Starts are spread so many times as widely as the posterior.
OVERDISPERSION = 3
# They lie within so many nats of the best one.
_DEEPEST, _HALVINGS = 30.0, 6


@runtime_checkable
class Kernel(Protocol):
    """A sampler: hashable settings with two pure functions, chains batched inside.

    A state holds only what the next step needs; an output is kept for every step.
    """

    def init(self, data: PyTree, key: Key[Array, ""]) -> PyTree:
        """The state before the first step."""
        ...

    def step(
        self, data: PyTree, key: Key[Array, ""], state: PyTree, index: Int[Array, ""]
    ) -> tuple[PyTree, PyTree]:
        """The next state, and what to keep of it."""
        ...


@partial(jax.jit, static_argnames="chains")
def overdispersed_starts(
    model: Model, tally: Any, key: Key[Array, ""], chains: int
) -> Float[Array, "chains 2"]:
    """Starting points spread three times as widely as the posterior near its best start.

    Args:
        model: Family and hyperprior.
        tally: The units.
        key: Typed key.
        chains: Number of starting points.

    Returns:
        Working coordinates, one row a chain.
    """
    frame, start = model.family.frame(tally), model.family.start(tally)
    w = frame.log_concentration + jnp.arange(-2, 13).astype(start.dtype)
    points = jnp.stack([jnp.full_like(w, start), w], axis=-1)

    def target(eta: Float[Array, "2"]) -> Float[Array, ""]:
        return model.log_posterior(tally, eta)

    center = points[jnp.argmax(jax.vmap(target)(points))]
    information = -jnp.diagonal(jax.jacfwd(jax.jacfwd(target))(center))
    least = jnp.stack([1 / frame.scale**2, jnp.ones_like(frame.scale)])
    spread = jax.lax.rsqrt(jnp.maximum(information, least))
    away = OVERDISPERSION * spread * jax.random.normal(key, (chains, 2), center.dtype)
    # A hyperprior may fall faster than its curvature at the center tells: come back by halves.
    nearer = center + away * 2.0 ** -jnp.arange(_HALVINGS).astype(center.dtype)[:, None, None]
    possible = jax.vmap(jax.vmap(target))(nearer) > target(center) - _DEEPEST
    first = jnp.argmax(possible.at[-1].set(True), axis=0)
    return nearer[first, jnp.arange(chains)]


@partial(jax.jit, static_argnums=0)
def _start(kernel: Kernel, data: PyTree, key: Key[Array, ""]) -> PyTree:
    return kernel.init(data, key)


@partial(jax.jit, static_argnums=(0, 5))
def _advance(
    kernel: Kernel,
    data: PyTree,
    key: Key[Array, ""],
    state: PyTree,
    first: Int[Array, ""],
    length: int,
) -> tuple[PyTree, PyTree]:
    """Takes `length` steps; a step's key depends on its index alone, not on the chunk."""

    def one(state: PyTree, index: Int[Array, ""]) -> tuple[PyTree, PyTree]:
        return kernel.step(data, jax.random.fold_in(key, index), state, index)

    def block(state: PyTree, start: Int[Array, ""]) -> tuple[PyTree, PyTree]:
        return jax.lax.scan(one, state, start + jnp.arange(_BLOCK))

    blocks = -(-length // _BLOCK)
    state, outputs = jax.lax.scan(block, state, first + _BLOCK * jnp.arange(blocks))
    return state, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outputs)


def _chunk_length(steps: int, chunk: int) -> int:
    """Steps of every compiled chunk: whole blocks, and no more than are asked for."""
    return -(-min(chunk, steps) // _BLOCK) * _BLOCK


def side_by_side(chains: int) -> int:
    """Equal groups that chains are run in, each by a thread of its own.

    The number does not depend on the machine, so that the draws do not.

    Args:
        chains: Number of chains.

    Returns:
        Number of groups.

    Example:
        >>> [side_by_side(chains) for chains in (1, 4, 5, 256, 1024)]
        [1, 2, 1, 2, 8]
    """
    return next(g for g in (max(2, chains // _LOCKSTEP), 2, 1) if chains % g == 0)


def _group(kernel: Any, groups: int) -> Kernel:
    """The kernel of one group's chains."""
    if groups == 1:
        return kernel
    return replace(kernel, chains=kernel.chains // groups)


def compile_ahead(
    kernel: Kernel, data: PyTree, problem: Sampled, steps: int, chunk: int, groups: int = 1
) -> None:
    """Compiles a kernel's start and its chunk side by side, so that two cores share the work.

    Args:
        kernel: The sampler.
        data: What its functions are given; only shapes and types matter.
        problem: For its key.
        steps: Number of steps that `sample` will be asked for.
        chunk: Steps between progress reports.
        groups: Groups that the chains are run in.
    """
    kernel = _group(kernel, groups)
    x64, key = problem.dtype == np.float64, require_key(problem.key)
    state = _start.eval_shape(kernel, data, key)  # traced once, unlike by jax.eval_shape

    def compile_chunk() -> None:
        with jax.enable_x64(x64):  # a thread has a setting of its own
            length = _chunk_length(steps, chunk)
            _advance.lower(kernel, data, key, state, jnp.asarray(0), length).compile()

    with ThreadPoolExecutor(1) as pool:
        advance = pool.submit(compile_chunk)
        _start.lower(kernel, data, key).compile()
        advance.result()


def sample(
    kernel: Kernel, data: PyTree, problem: Sampled, steps: int, chunk: int, groups: int = 1
) -> PyTree:
    """Runs a kernel for a number of steps, chunk by chunk.

    Every chunk has the same compiled length, so there is one compilation; draws do not depend on
    it. Between chunks progress is reported and, where asked for, a checkpoint is written from
    which an interrupted run goes on to the same draws.

    Args:
        kernel: The sampler.
        data: What its functions are given.
        problem: For its key, progress callback and checkpoint.
        steps: Number of steps.
        chunk: Steps between progress reports and checkpoints.
        groups: Groups that the chains are run in, side by side; all outputs must then have an
            axis of chains.

    Returns:
        The outputs of all steps, on the host, steps first.

    Raises:
        TypeError: If the problem has no typed key.
        InferenceError: If the checkpoint belongs to another problem, or is none.
    """
    key, length = require_key(problem.key), _chunk_length(steps, chunk)
    identity = _identity(kernel, data, key, length)
    compile_ahead(kernel, data, problem, steps, chunk, groups)
    kernel, x64 = _group(kernel, groups), problem.dtype == np.float64
    keys = [key] if groups == 1 else list(jax.random.split(key, groups))
    starts, walks = zip(*map(jax.random.split, keys), strict=True)
    states: Any = [_start(kernel, data, start) for start in starts]
    done = 0
    chunks: list[list[np.ndarray]] = []
    if problem.checkpoint and problem.checkpoint.exists():
        states, chunks, done = _restore(problem.checkpoint, identity, states)

    def advance(data: PyTree, walk: Key[Array, ""], state: PyTree) -> tuple[PyTree, PyTree]:
        with jax.enable_x64(x64):  # a thread has a setting of its own
            state, outputs = _advance(kernel, data, walk, state, jnp.asarray(done), length)
            return state, jax.tree.map(np.asarray, outputs)

    placed, copies = spread(list(zip(walks, states, strict=True)), data)
    walks, states = zip(*placed, strict=True)
    with ThreadPoolExecutor(min(groups, max(os.cpu_count() or 1, jax.device_count()))) as pool:
        while done < steps:
            advanced = pool.map(advance, copies, walks, states)
            states, outputs = map(list, zip(*advanced, strict=True))
            structure = jax.tree.structure(outputs[0])
            leaves = zip(*map(jax.tree.leaves, outputs), strict=True)
            chunks.append([x[0] if groups == 1 else np.concatenate(x, axis=1) for x in leaves])
            done += length
            if problem.checkpoint and done < steps:
                _save(problem.checkpoint, identity, states, chunks, done)
            if problem.progress:
                problem.progress(min(done, steps), steps)
    return jax.tree.unflatten(
        structure, [np.concatenate(leaves)[:steps] for leaves in zip(*chunks, strict=True)]
    )


def _identity(kernel: Kernel, data: PyTree, key: Key[Array, ""], length: int) -> str:
    # The structure names the hyperprior's distributions, which their parameters alone do not.
    digest = hashlib.sha256(f"{kernel!r} {length} {jax.tree.structure(data)}".encode())
    for leaf in [*jax.tree.leaves(data), jax.random.key_data(key)]:
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def _is_key(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _save(
    path: Path, identity: str, state: PyTree, chunks: list[list[np.ndarray]], done: int
) -> None:
    leaves = [jax.random.key_data(x) if _is_key(x) else x for x in jax.tree.leaves(state)]
    arrays: dict[str, Any] = {"identity": np.array(identity), "done": np.array(done)}
    arrays |= {f"state_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    for i, parts in enumerate(zip(*chunks, strict=True)):
        arrays[f"output_{i}"] = np.concatenate(parts)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(temporary, path)


def _restore(
    path: Path, identity: str, state: PyTree
) -> tuple[PyTree, list[list[np.ndarray]], int]:
    try:
        # The zip archive is opened first, because NumPy opens other files too.
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as saved:
            arrays = dict(saved)
        found = str(arrays["identity"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InferenceError(
            f"{path}: expected a checkpoint, found another or a truncated file ({error})"
        ) from None
    if found != identity:
        raise InferenceError(
            f"{path}: the checkpoint belongs to another run (other data, settings, seed, device "
            "or precision); remove it to start again"
        )
    leaves, structure = jax.tree.flatten(state)
    restored = []
    for i, leaf in enumerate(leaves):
        value = jnp.asarray(arrays[f"state_{i}"])
        if _is_key(leaf):
            value = jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf))
        restored.append(value)
    outputs = [arrays[f"output_{i}"] for i in range(len(arrays) - len(leaves) - 2)]
    return jax.tree.unflatten(structure, restored), [outputs], int(arrays["done"])
