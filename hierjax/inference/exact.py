"""The settings of quadrature, and its refinement until the error estimate is small."""

from functools import partial
from typing import Annotated, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hierjax.inference.quadrature import quadrature
from hierjax.inference.result import Problem, Result, Status
from hierjax.inference.stopwatch import Stopwatch

__all__ = ["Quadrature"]

_quadrature = partial(jax.jit, static_argnums=(2, 3))(quadrature)
_Nodes = Annotated[int, Field(ge=8, le=4096, multiple_of=2, strict=True)]
# In float32 the rounding of log-densities alone moves the estimate this much.
_FLOOR: dict[type, float] = {np.float64: 0.0, np.float32: 1e-3}


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Quadrature:
    """Deterministic integration of the posterior of the hyperparameters: exact to rounding.

    Args:
        rows: Lattice rows, each of one log-concentration, even.
        columns: Nodes of the location in every row, even.
        tolerance: Largest difference allowed, in posterior standard deviations, between the rule
            and the one with every second row and column. It bounds the coarser rule's error; the
            finer rule's is about its square.
        max_refinements: How many times to double rows and columns until it is met.

    Example:
        >>> import hierjax as hj
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=hj.Quadrature())
        >>> print(f"{fit.info['log_evidence']:.6f}")
        -159.110646
    """

    rows: _Nodes = 72
    columns: _Nodes = 64
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-4
    max_refinements: Annotated[int, Field(ge=0, le=4, strict=True)] = 2

    name: ClassVar[str] = "quadrature"

    def run(self, problem: Problem) -> Result:
        """Integrates, refining where needed; see `Quadrature`."""
        tally = jax.tree.map(jnp.asarray, problem.proper_tally())
        tolerance = max(self.tolerance, _FLOOR[problem.dtype])
        with Stopwatch() as watch:
            for refinement in range(self.max_refinements + 1):
                size = (self.rows * 2**refinement, self.columns * 2**refinement)
                found = jax.block_until_ready(_quadrature(problem.model, tally, *size))
                if float(found.error_estimate) <= tolerance:
                    break
        error, edge = float(found.error_estimate), float(found.edge_mass)
        info = {
            "log_evidence": float(found.log_evidence),
            "error_estimate": error,
            "edge_mass": edge,
            "nodes": size,
        }
        status, message = Status.CONVERGED, ""
        if not np.isfinite(error):
            message = "the log-posterior is not finite on the lattice"
            return Result(None, Status.FAILED, message, info=info, seconds=watch.seconds)
        if error > tolerance or edge > tolerance:
            status = Status.NOT_CONVERGED
            message = (
                f"error estimate {error:.2g} and edge mass {edge:.2g} "
                f"(want at most {tolerance:.2g}) with {size[0]} x {size[1]} nodes"
            )
        return Result(
            found.posterior,
            status,
            message,
            lattice=found.lattice,
            info=info,
            seconds=watch.seconds,
        )
