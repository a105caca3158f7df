"""Sylvester and Lyapunov equations without one solution, arguments that don't fit, and what both do to others of a batch."""

import numpy as np
import pytest
import several
import tensorflow as tf
from functionals import deviates, relative_error
from test_sylvester import KINDS, SOLVERS, arguments

import tfqz

# Arguments without one solution, by kind, and what is said of them.
SINGULAR = {
    "sylvester": (
        [np.diag([1.0, 3]), np.diag([2.0, -3, 5]), np.ones((2, 3))],
        r"`a`, `b` must have no eigenvalues lambda of `a` and mu of `b` with lambda \+ mu = 0; got 1 such pairs",
    ),
    "continuous": (
        [np.diag([1.0, -1]), np.ones((2, 2))],
        r"`a` must have no two eigenvalues, of `a`, with lambda_i \+ conj\(lambda_j\) = 0; got 2 such pairs",
    ),
    "continuous-e": (
        [np.diag([1.0, -2]), np.ones((2, 2)), np.diag([1.0, 2])],
        r"`a` must have no two eigenvalues, of `a` - lambda `e`, with lambda_i \+ conj\(lambda_j\) = 0; got 2 such pairs",
    ),
    "discrete": (
        [np.array([[0.0, -1], [1, 0]]), np.ones((2, 2))],
        r"`a` must have no two eigenvalues, of `a`, with lambda_i conj\(lambda_j\) = 1; got 2 such pairs",
    ),
    "discrete-e": (
        [np.diag([1.0, 0.5]), np.ones((2, 2)), np.diag([1.0, 0])],
        r"`a` must have no two eigenvalues, of `a` - lambda `e`, with lambda_i conj\(lambda_j\) = 1; got \d such pairs",
    ),
    "generalized": (
        [np.diag([1.0, 2]), np.diag([4.0, 6, 7]), np.ones((2, 3)), np.diag([1.0, 1]), np.diag([2.0, 0, 0]), np.ones((2, 3))],
        r"`a`, `b`, `d`, `e` must be pencils \(a, d\) and \(b, e\) without common eigenvalues; got 1 equal pairs",
    ),
}


def pattern(text):
    """Of a message from any backend, in graphs too, where assertions put their own words between."""
    return text.replace("got ", r"got\D*", 1).replace(" such", r"\D*such").replace(" equal", r"\D*equal")


@pytest.mark.slow_if("scipy", "graph")
@pytest.mark.parametrize("kind", KINDS)
def test_without_one_solution(kind, backend):
    given, text = SINGULAR[kind]
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        SOLVERS[kind](*given, backend=backend)
    assert np.isnan(SOLVERS[kind](*given, backend=backend, on_failure="nan")).all()


@pytest.mark.slow_if("scipy", "graph", "generalized")
@pytest.mark.parametrize("kind", ["continuous", "generalized"])
def test_without_one_solution_in_a_graph(kind, backend):
    given, text = SINGULAR[kind]
    function = tf.function(lambda *xs: SOLVERS[kind](*xs, backend=backend))
    with pytest.raises(tf.errors.InvalidArgumentError, match=pattern(text)):
        function(*given)
    if backend == "native":
        with pytest.raises(tf.errors.InvalidArgumentError, match=text):
            tf.function(function, jit_compile=True)(*given)


@pytest.mark.slow_if("graph", "scipy-complex")
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_eigenvalues_that_are_anything(dtype, backend, rng):
    """Of a pencil with a column of zeros but for rounding, whose eigenvalue 0/0 is one of any other pencil: what rounding makes of some is
    solved, by numbers as large as the inverse of its errors."""
    shape, c, f = (200, 4, 4), *deviates(rng, (2, 200, 4, 3), dtype)
    q, z = (np.linalg.qr(deviates(rng, shape, dtype))[0] for _ in "qz")
    a, d = (q @ (deviates(rng, shape, dtype) * np.array([1, 0, 1, 1], dtype)) @ z for _ in "ad")
    b, e = (deviates(rng, (3, 3), dtype) for _ in "be")
    coupled = np.concatenate(tfqz.solve_generalized_sylvester(a, b, c, d, e, f, backend=backend, on_failure="nan"), axis=-1)
    for x in (coupled, tfqz.solve_continuous_lyapunov(a, q, d, backend=backend, on_failure="nan")):
        none = np.isnan(x).all(axis=(1, 2))
        assert np.mean(none) > 0.9 and np.abs(x[~none]).max(axis=(1, 2)).min(initial=np.inf) > 1e11


def batch(kind, rng):
    """Good elements 0 and 3; 1 has no solution or more than one; 2 is NaN in its last argument."""
    bad = SINGULAR[kind][0]
    shape = bad[0].shape[-1], (bad[1] if kind in ("sylvester", "generalized") else bad[0]).shape[-1]
    given = [np.stack([x[0], y, x[1], x[2]]) for x, y in zip(arguments(kind, rng, *shape, "float64", (3,)), bad)]
    given[-1][2, 0, 0] = np.nan
    return given


@pytest.mark.slow_if("scipy", "graph", "-e", "discrete", "generalized")
@pytest.mark.parametrize("kind", KINDS)
def test_elements_that_fail_harm_no_other(kind, backend, rng):
    given, good = batch(kind, rng), [0, 3]

    def loss(*xs, **options):
        x = SOLVERS[kind](*xs, backend=backend, **options)
        return tf.reduce_sum(tf.where(tf.math.is_nan(x), tf.zeros_like(x), x) ** 2)

    found = SOLVERS[kind](*given, backend=backend, on_failure="nan").numpy()
    found = np.moveaxis(found, -3, 0)
    assert np.isnan(found[[1, 2]]).all() and np.isfinite(found[good]).all()
    moves = [tf.constant(x) for x in several.like(rng, given)]
    masked = lambda *xs: loss(*xs, on_failure="nan")
    for f, only in ((masked, loss), (several.along(masked, moves), several.along(loss, [tf.gather(x, good) for x in moves]))):
        whole, part = several.gradients(f, given), several.gradients(only, [x[good] for x in given])
        for x, y in zip(whole, part):
            assert not x.numpy()[[1, 2]].any()
            assert relative_error([x.numpy()[good]], [y]) < 1e-10
    unmasked = several.gradients(lambda *xs: tf.reduce_sum(SOLVERS[kind](*xs, backend=backend, on_failure="nan")), given)
    assert all(np.isnan(x.numpy()[[1, 2]]).all() and np.isfinite(x.numpy()[good]).all() for x in unmasked)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["continuous", "discrete-e", "generalized"])
def test_elements_that_fail_under_xla(kind, rng):
    given = [tf.constant(x) for x in batch(kind, rng)]

    def step(*xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            x = SOLVERS[kind](*xs, on_failure="nan")
            loss = tf.reduce_sum(tf.where(tf.math.is_nan(x), tf.zeros_like(x), x) ** 2)
        return [tf.reduce_sum(tf.cast(tf.math.is_nan(x), tf.int32)), *tape.gradient(loss, xs)]

    compiled = tf.function(step, jit_compile=True)
    for _ in range(2):
        (count, *gradients), (expected_count, *expected) = compiled(*given), step(*given)
        assert count == expected_count and relative_error(gradients, expected) < 1e-12
        given = [x[::-1] for x in given]


@pytest.mark.slow_if("scipy", "graph")
def test_arguments_that_are_not_finite(backend, rng):
    a, b, q = arguments("sylvester", rng, 3, 2, "float64", (2, 2))
    b[1, 0, 1, 1] = np.inf
    for call in (tfqz.solve_sylvester, tf.function(tfqz.solve_sylvester)):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"`b` must be finite; got NaN or Inf in batch element\D*1,? 0\]"):
            call(a, b, q, backend=backend)


def test_arguments_that_do_not_fit():
    a, b, q = np.eye(3), np.eye(2), np.ones((3, 2))
    with pytest.raises(ValueError, match=r"`q` must be \[\.\.\., m, n\], m being 3; got \(2, 2\), and `a` \(3, 3\)"):
        tfqz.solve_sylvester(a, b, q[:2])
    with pytest.raises(ValueError, match=r"`b` must be \[\.\.\., n, n\], n being 2; got \(2, 3\)"):
        tfqz.solve_sylvester(a, np.ones((2, 3)), q)
    with pytest.raises(ValueError, match=r"`e` must be \[\.\.\., n, n\], n being 3; got \(2, 2\), and `a` \(3, 3\)"):
        tfqz.solve_continuous_lyapunov(a, a, b)
    with pytest.raises(ValueError, match="`q` must be a matrix or a batch of them"):
        tfqz.solve_discrete_lyapunov(a, np.ones(3))
    with pytest.raises(
        ValueError, match=r"`q` must have a batch shape that broadcasts with the others; got `a` \(2, 3, 3\) and `q` \(4, 3, 3\)"
    ):
        tfqz.solve_discrete_lyapunov(np.zeros((2, 3, 3)), np.zeros((4, 3, 3)))
    with pytest.raises(TypeError, match=r"`a` and `q` must have the same dtype, one of .*; got float64 and float32"):
        tfqz.solve_sylvester(a, b, q.astype("float32"))
    with pytest.raises(ValueError, match="`on_failure` must be one of 'raise', 'nan'; got 'ignore'"):
        tfqz.solve_sylvester(a, b, q, on_failure="ignore")


@pytest.mark.slow_if("scipy", "graph")
@pytest.mark.parametrize("rank", [3, None])
def test_unknown_shapes(rank, backend, rng):
    """Values of good ones, errors of others when they come."""
    given = arguments("continuous-e", rng, 3, 3, "float64", (2,))
    specification = tf.TensorSpec(None if rank is None else [None] * rank, tf.float64)
    function = tf.function(lambda *xs: tfqz.solve_continuous_lyapunov(*xs, backend=backend), input_signature=[specification] * 3)
    assert relative_error([function(*given)], [tfqz.solve_continuous_lyapunov(*given)]) < 1e-13
    a, q, e = given
    for wrong in ((a, q, e[..., :2]), (a, q[..., :2, :], e), (a[..., :2], q, e), (a, np.concatenate([q, q[:1]]), e)):
        with pytest.raises(tf.errors.InvalidArgumentError):
            function(*wrong)
