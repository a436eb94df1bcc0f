"""Log-gamma and log-beta draws follow their distributions, in both precisions."""

import inspect
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from log_gamma_oracle import cdf_of_log_beta, cdf_of_log_gamma, kolmogorov_smirnov_p_value

import hierjax.log_gamma
from hierjax.log_gamma import log_beta_draws, log_gamma_draws

SHAPES = (1e-3, 0.1, 0.5, 0.9, 1.0, 2.5, 30.0, 1e4, 1e6, 1e8)
BETA_SHAPES = ((1e-3, 2.0), (0.3, 0.2), (1.0, 1.0), (6.3, 24.1), (1e4, 3.0))
DTYPES = (np.float32, np.float64)
DRAWS = 100_000
# All shapes at once are as many as both shapes of all beta draws: one size is compiled for them.
MOST = DRAWS * len(SHAPES)
FEW = 12  # wherever a few will do, so that the sampler is compiled for them once
# A correct sampler fails one test in a million. The file makes fewer than 50 of them, so by
# Bonferroni it would fail for fewer than one choice of its seeds in 20,000.
LEVEL = 1e-6


@contextmanager
def strict(dtype):
    """No silent change of precision or rank, and double precision only where it is asked for."""
    with (
        jax.enable_x64(dtype == np.float64),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
    ):
        yield


def smallest_p_value(sampler, dtype, shapes=SHAPES):
    """The smallest p-value over the shapes, each of them tested with `DRAWS` draws."""
    column = np.asarray(shapes, dtype)[:, None]
    with strict(dtype):
        table = jnp.asarray(np.broadcast_to(column, (len(shapes), DRAWS)))
        draws = np.asarray(sampler(jax.random.key(20), table))
    assert draws.dtype == dtype
    return min(
        kolmogorov_smirnov_p_value(row, lambda values, a=float(a): cdf_of_log_gamma(values, a))
        for row, a in zip(draws, column[:, 0], strict=True)
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_draws_follow_the_gamma_distribution(dtype):
    assert smallest_p_value(log_gamma_draws, dtype) > LEVEL


def without_boost(key, shapes):
    return log_gamma_draws(key, jnp.where(shapes < 1.0, shapes + 1.0, shapes))


def without_rejection(key, shapes):
    return jax.jit(hierjax.log_gamma._propose)(key, shapes)[0]


def with_the_boost_of_the_acceptance(key, shapes):
    """Boosted by the exponential compared with h(t), in place of its excess over h(t)."""
    raised, refused = jax.jit(hierjax.log_gamma._propose)(key, shapes + 1.0)
    _, exponential = hierjax.log_gamma._normal_and_exponential(key, shapes.shape, shapes.dtype)
    correct = log_gamma_draws(jax.random.fold_in(key, 1), shapes)
    return jnp.where(refused, correct, raised - exponential / shapes)


@pytest.mark.parametrize(
    ("sampler", "shape"),
    [(without_boost, 0.5), (without_rejection, 1.0), (with_the_boost_of_the_acceptance, 0.1)],
)
def test_wrong_samplers_are_caught(sampler, shape):
    assert smallest_p_value(sampler, np.float64, shapes=(shape,)) < LEVEL


@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_that_share_retries_are_uncorrelated(dtype):
    # At shape 1 one proposal in twenty is refused, so retries are as frequent as they get.
    with strict(dtype):
        rows = np.asarray(log_gamma_draws(jax.random.key(21), jnp.ones((4, MOST // 4), dtype)))
    correlations = np.corrcoef(rows)[np.triu_indices(4, k=1)]
    neighbours = np.corrcoef(rows[0, 1:], rows[0, :-1])[0, 1]
    # Standard error 1 / sqrt(draws in a row); five of them are exceeded once in 1.7 million.
    assert np.abs([*correlations, neighbours]).max() < 5 / np.sqrt(MOST // 4)


def test_no_draw_occurs_twice():
    # A proposal with t <= -1 has no logarithm: one in 140 at shape 1. Accepted, its stand-in would
    # recur. Two of 100,000 equal by chance have probability below 1e-5 in double precision.
    with strict(np.float64):
        draws = np.asarray(log_gamma_draws(jax.random.key(29), jnp.ones(DRAWS, np.float64)))
    assert np.unique(draws).size == DRAWS


@pytest.mark.parametrize("array_shape", [(), (3, 2, 2), (0, 3)])
def test_any_array_shape_is_kept(array_shape):
    draws = log_gamma_draws(jax.random.key(0), jnp.full(array_shape, 2.5))
    assert draws.shape == array_shape
    assert np.unique(draws).size == draws.size


def test_draws_depend_on_the_key_alone():
    shapes = np.geomspace(0.01, 100.0, FEW, dtype=np.float32)
    keys = jax.random.split(jax.random.key(22), 2)
    first, again, second = (
        np.asarray(log_gamma_draws(key, jnp.asarray(shapes))) for key in (keys[0], keys[0], keys[1])
    )
    assert np.array_equal(first, again)
    assert not np.isin(first, second).any()
    # Compiled otherwise, the last digits may differ; the random bits may not.
    mapped = np.asarray(jax.vmap(log_gamma_draws, in_axes=(0, None))(keys, jnp.asarray(shapes)))
    assert np.allclose(mapped, [first, second], rtol=1e-5, atol=1e-5)


def test_a_compiled_scan_draws_what_single_calls_draw():
    shapes = jnp.full(FEW, 0.9)
    key = jax.random.key(27)

    @jax.jit
    def sweep(key):
        def step(carry, number):
            return carry, log_gamma_draws(jax.random.fold_in(key, number), shapes)

        return jax.lax.scan(step, 0, jnp.arange(3))[1]

    single = [np.asarray(log_gamma_draws(jax.random.fold_in(key, i), shapes)) for i in range(3)]
    assert np.allclose(sweep(key), single, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_draws_are_finite_at_extreme_shapes(dtype):
    shapes = np.repeat(np.asarray([1e-30, 1e-12, 1.0 - 1e-7, 1e12, 1e16, 1e30], dtype), 2000)
    with strict(dtype), jax.debug_nans(True):
        draws = np.asarray(log_gamma_draws(jax.random.key(23), jnp.asarray(shapes)))
    assert np.isfinite(draws).all()
    # There a draw is within rounding of its shape: d = a, and the sd of its log is 1 / sqrt(a).
    huge = shapes >= 1e12
    spacings = np.abs(draws[huge] - np.log(shapes[huge])) / np.spacing(np.log(shapes[huge]))
    deviations = 6 / np.sqrt(shapes[huge]) / np.spacing(np.log(shapes[huge]))
    assert (spacings <= 2 + deviations).all()


@pytest.mark.parametrize(("dtype", "shape"), [(np.float32, 1e12), (np.float64, 1e30)])
def test_rounding_refuses_nothing_at_large_shapes(dtype, shape):
    # There h(t) is x^4 / (108 d), below 1e-9 for every normal x, while what rounding leaves of its
    # cancelling terms would refuse one proposal in fifty.
    with strict(dtype):
        shapes = jnp.full(10_000, shape, dtype)
        _, refused = jax.jit(hierjax.log_gamma._propose)(jax.random.key(28), shapes)
    assert not np.asarray(refused).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_rarest_random_bits_give_finite_variates(dtype, monkeypatch):
    unsigned = np.dtype(f"uint{np.dtype(dtype).itemsize * 8}")
    sign = 1 << (unsigned.itemsize * 8 - 1)
    # Nearest to 0 from both sides, and nearest to 1 and to -1.
    rarest = np.array([0, 2 * sign - 1, sign - 1, sign], unsigned)
    monkeypatch.setattr(jax.random, "bits", lambda *_: jnp.asarray(np.stack([rarest, rarest])))
    with strict(dtype):
        normal, exponential = map(
            np.asarray,
            hierjax.log_gamma._normal_and_exponential(jax.random.key(0), (4,), jnp.dtype(dtype)),
        )
    assert np.isfinite(normal).all()
    assert np.isfinite(exponential).all()
    assert (exponential >= 0).all()
    # The largest normal is the one that the dtype's nearest neighbour of 1 stands for.
    assert normal[2] == -normal[3]
    assert normal[2] > (5 if dtype == np.float32 else 8)


def test_shapes_that_are_not_positive_end_the_loop_and_show():
    shapes = np.full(FEW, 2.0, np.float32)
    shapes[:5] = 0.0, -0.5, -3.0, np.nan, np.inf
    draws = np.asarray(log_gamma_draws(jax.random.key(0), jnp.asarray(shapes)))
    assert draws[0] == -np.inf
    assert np.isnan(draws[1:4]).all()
    assert draws[4] == np.inf
    assert np.isfinite(draws[5:]).all()


# `inspect.unwrap` takes off the checks of annotations that only the tests add.
@pytest.mark.parametrize("shapes", [np.arange(3), np.ones(3, np.float16), 2 + 0j])
def test_other_dtypes_are_refused(shapes):
    with pytest.raises(TypeError, match=r"shape_parameter: expected float32 or float64, found"):
        inspect.unwrap(log_gamma_draws)(jax.random.key(0), shapes)


@pytest.mark.parametrize("sampler", [log_gamma_draws, log_beta_draws])
def test_an_untyped_key_is_refused(sampler):
    shapes = [jnp.ones(3)] * (len(inspect.signature(sampler).parameters) - 1)
    with pytest.raises(TypeError, match=r"key: expected a typed key"):
        inspect.unwrap(sampler)(jax.random.PRNGKey(0), *shapes)


@pytest.mark.parametrize("dtype", DTYPES)
def test_beta_draws_follow_the_beta_distribution(dtype):
    a, b = np.asarray(BETA_SHAPES, dtype).T
    with strict(dtype):
        log_theta, log_rest = map(
            np.asarray,
            log_beta_draws(
                jax.random.key(24),
                jnp.asarray(np.broadcast_to(a[:, None], (a.size, DRAWS))),
                jnp.asarray(b[:, None]),
            ),
        )
    assert log_theta.dtype == log_rest.dtype == dtype
    for row, (p, q) in enumerate(zip(a.astype(float), b.astype(float), strict=True)):
        for draws, first, second in ((log_theta, p, q), (log_rest, q, p)):
            p_value = kolmogorov_smirnov_p_value(
                draws[row],
                lambda values, s=first, t=second: cdf_of_log_beta(values, s, t),
            )
            assert p_value > LEVEL, (first, second)


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_logarithms_of_a_beta_draw_are_accurate(dtype):
    epsilon = np.finfo(dtype).eps
    a = np.repeat(np.asarray([1e-3, 2.0, 1e-3, 5.0, 1e6], dtype), 1200)
    b = np.repeat(np.asarray([2.0, 1e-3, 1e-3, 7.0, 1.0], dtype), 1200)
    with strict(dtype):
        pair = np.asarray(log_beta_draws(jax.random.key(25), jnp.asarray(a), jnp.asarray(b)))
    assert np.isfinite(pair).all()
    assert (pair <= 0).all()
    assert np.abs(np.logaddexp(*pair)).max() <= 2 * epsilon
    # The one nearer to 0 has to be log(1 - exp(.)) of the other to relative precision; it is
    # all digits of theta near 1 that log(1 - theta) could still be found from.
    lower, upper = np.sort(pair, axis=0).astype(np.longdouble)
    seen = lower > np.log(np.finfo(dtype).tiny)
    exact = np.log1p(-np.exp(lower[seen]))
    # An error of the lower logarithm, some epsilons of its size, is a relative error of exp(lower).
    allowed = 4 * epsilon * (1 + np.abs(lower[seen])) * np.abs(exact)
    assert (np.abs(upper[seen] - exact) <= allowed).all()
    assert (lower < -30).sum() > 100


def test_beta_shapes_are_broadcast():
    log_theta, log_rest = log_beta_draws(jax.random.key(0), jnp.ones((3, 1)), jnp.ones(2))
    assert log_theta.shape == log_rest.shape == (3, 2)
    assert np.unique(log_theta).size == 6
