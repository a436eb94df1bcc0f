"""Ascents of a smooth function of two variables: optax transformations, and Newton's method."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

__all__ = ["Ascent", "Derivatives", "Optimizer", "ascend", "derivatives"]

Optimizer = Literal["lbfgs", "newton", "adam", "gradient_ascent"]
Function = Callable[[Float[Array, "2"]], Float[Array, ""]]

_LONGEST_PATH = 1000
# Radii of Newton's steps: the first, and the longest.
_RADIUS, _LARGEST_RADIUS = 1.0, 4.0


class Ascent(NamedTuple):
    """Where an ascent ended, and how it came there.

    Attributes:
        eta: The last place.
        steps: Steps taken.
        path: Places before each step (of the steps after the 1000th, only the last).
        path_values: The function there.
    """

    eta: Float[Array, "2"]
    steps: Int[Array, ""]
    path: Float[Array, "steps 2"]
    path_values: Float[Array, "steps"]


class Derivatives(NamedTuple):
    """A function's value, gradient and Hessian."""

    value: Float[Array, ""]
    gradient: Float[Array, "2"]
    hessian: Float[Array, "2 2"]


def derivatives(function: Function, eta: Float[Array, "2"]) -> Derivatives:
    """Both derivatives, taken forward: for two variables that compiles much faster.

    Args:
        function: Of two variables.
        eta: Where.

    Returns:
        Value, gradient and Hessian.
    """
    unit = jnp.eye(2, dtype=eta.dtype)

    def along(first: Float[Array, "2"], second: Float[Array, "2"]) -> tuple[Array, ...]:
        def slope(x: Float[Array, "2"]) -> tuple[Array, Array]:
            return jax.jvp(function, (x,), (first,))

        (value, by_first), (_, both) = jax.jvp(slope, (eta,), (second,))
        return value, by_first, both

    value, slopes, second = jax.vmap(along)(unit[jnp.array([0, 1, 0])], unit[jnp.array([0, 1, 1])])
    hessian = second[jnp.array([[0, 2], [2, 1]])]
    return Derivatives(value[0], slopes[:2], hessian)


def ascend(
    function: Function,
    start: Float[Array, "2"],
    tolerance: Float[Array, ""],
    learning_rate: Float[Array, ""] | None,
    optimizer: Optimizer,
    max_steps: int,
) -> Ascent:
    """Climbs from a start until the gradient's largest entry is below a tolerance.

    Args:
        function: What to maximise, of the order of one.
        start: Where to begin.
        tolerance: Largest entry of the gradient at which to stop.
        learning_rate: Step of `adam` and `gradient_ascent`; by default 0.05, and the inverse of
            the largest curvature at the start.
        optimizer: An optax transformation, or `newton`.
        max_steps: Most steps to take.

    Returns:
        Where the ascent ended.
    """
    if optimizer == "newton":
        return _newton(function, start, tolerance, max_steps)
    transformation = _transformation(function, start, learning_rate, optimizer)
    searches = optimizer == "lbfgs"
    return _by_optax(function, start, tolerance, transformation, searches, max_steps)


class _Climb(NamedTuple):
    """Newton's method's state: the best place so far, the radius, and the path."""

    eta: Float[Array, "2"]
    here: Derivatives
    radius: Float[Array, ""]
    steps: Int[Array, ""]
    path: Float[Array, "steps 2"]
    path_values: Float[Array, "steps"]


def _newton(
    function: Function, start: Float[Array, "2"], tolerance: Float[Array, ""], max_steps: int
) -> Ascent:
    r"""Newton's method with the Hessian's eigenvalues made negative, within a radius.

    .. math:: \delta = |H|^{-1} g, \qquad |H| = \frac{H^2 + |\det H| I}{|\lambda_1| + |\lambda_2|}

    for a symmetric 2 x 2 matrix: a direction of ascent wherever the gradient is not zero. A step
    that climbs is taken, and the radius doubled; else it is a quarter of the step.
    """
    length = min(max_steps, _LONGEST_PATH) + 1

    def unfinished(climb: _Climb) -> Bool[Array, ""]:
        steep = ~(jnp.max(jnp.abs(climb.here.gradient)) <= tolerance)
        return steep & (climb.steps < max_steps)

    def advance(climb: _Climb) -> _Climb:
        eta, here, radius, steps, path, values = climb
        step = _newton_step(here)
        size = jnp.max(jnp.abs(step))
        step = step * jnp.minimum(1.0, radius / size)
        there = derivatives(function, eta + step)
        # Rounding may hide the last steps' gain, but not that they flatten the gradient.
        flatter = jnp.max(jnp.abs(there.gradient)) < jnp.max(jnp.abs(here.gradient))
        level = there.value >= here.value - 16 * jnp.finfo(eta.dtype).eps * jnp.abs(here.value)
        better = (there.value > here.value) | (level & flatter)
        slot = jnp.minimum(steps, length - 2)
        chosen = jax.tree.map(lambda new, old: jnp.where(better, new, old), there, here)
        return _Climb(
            jnp.where(better, eta + step, eta),
            chosen,
            jnp.where(
                better, jnp.minimum(2 * radius, _LARGEST_RADIUS), jnp.minimum(size, radius) / 4
            ),
            steps + 1,
            path.at[slot].set(eta),
            values.at[slot].set(here.value),
        )

    begin = _Climb(
        start,
        derivatives(function, start),
        jnp.full_like(start[0], _RADIUS),
        jnp.asarray(0),
        jnp.zeros((length, 2), start.dtype),
        jnp.zeros(length, start.dtype),
    )
    end = jax.lax.while_loop(unfinished, advance, begin)
    return Ascent(end.eta, end.steps, end.path, end.path_values)


def _newton_step(here: Derivatives) -> Float[Array, "2"]:
    (a, b), (_, d) = here.hessian
    determinant = a * d - b * b
    middle, half = 0.5 * (a + d), jnp.hypot(0.5 * (a - d), b)
    total = jnp.abs(middle + half) + jnp.abs(middle - half)
    # The adjugate of |H|, whose determinant is |det H|.
    p, q, r = a * a + b * b, b * (a + d), d * d + b * b
    size = jnp.abs(determinant)
    adjugate = jnp.stack([jnp.stack([r + size, -q]), jnp.stack([-q, p + size])])
    return adjugate @ here.gradient / jnp.maximum(total * size, jnp.finfo(a.dtype).tiny)


def _by_optax(
    function: Function,
    start: Float[Array, "2"],
    tolerance: Float[Array, ""],
    transformation: Any,
    searches: bool,
    max_steps: int,
) -> Ascent:
    import optax

    loss = _forward_gradient(lambda eta: -function(eta))
    # A search along a line has left the value and gradient of where it ended in the state.
    value_and_gradient = (
        optax.value_and_grad_from_state(loss)
        if searches
        else lambda eta, state: jax.value_and_grad(loss)(eta)
    )
    length = min(max_steps, _LONGEST_PATH) + 1

    def unfinished(carry: Any) -> Bool[Array, ""]:
        _, _, gradient, step, _, _ = carry
        return (step < max_steps) & ~(jnp.max(jnp.abs(gradient)) <= tolerance)

    def advance(carry: Any) -> Any:
        eta, state, _, step, path, values = carry
        value, gradient = value_and_gradient(eta, state=state)
        updates, state = transformation.update(
            gradient, state, eta, value=value, grad=gradient, value_fn=loss
        )
        slot = jnp.minimum(step, length - 2)
        path, values = path.at[slot].set(eta), values.at[slot].set(-value)
        done = jnp.max(jnp.abs(gradient)) <= tolerance
        eta = jnp.where(done, eta, optax.apply_updates(eta, updates))
        return eta, state, gradient, step + 1, path, values

    carry = (
        start,
        transformation.init(start),
        jnp.full_like(start, jnp.inf),
        jnp.asarray(0),
        jnp.zeros((length, 2), start.dtype),
        jnp.zeros(length, start.dtype),
    )
    eta, _, _, steps, path, values = jax.lax.while_loop(unfinished, advance, carry)
    return Ascent(eta, steps, path, values)


def _transformation(
    function: Function,
    start: Float[Array, "2"],
    learning_rate: Float[Array, ""] | None,
    optimizer: Optimizer,
) -> Any:
    """The optax transformation, with the rate that `ascend` chooses where none is given."""
    import optax

    if optimizer == "lbfgs":
        return optax.lbfgs(memory_size=5)
    if learning_rate is None:
        curvature = jnp.max(jnp.abs(jnp.linalg.eigvalsh(derivatives(function, start).hessian)))
        learning_rate = jnp.asarray(0.05, start.dtype) if optimizer == "adam" else 1 / curvature
    return {"adam": optax.adam, "gradient_ascent": optax.sgd}[optimizer](learning_rate)


def _forward_gradient(function: Function) -> Function:
    """The function with its gradient taken forward."""
    wrapped = jax.custom_vjp(function)

    def forward(x: Float[Array, "2"]) -> tuple[Float[Array, ""], Float[Array, "2"]]:
        tangents = jnp.eye(x.shape[0], dtype=x.dtype)
        value, gradient = jax.vmap(lambda t: jax.jvp(function, (x,), (t,)), out_axes=(None, 0))(
            tangents
        )
        return value, gradient

    wrapped.defvjp(forward, lambda gradient, cotangent: (cotangent * gradient,))
    return wrapped
