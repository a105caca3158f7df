"""Derivatives of `tfqz.eig`: against differences, mpmath and closed forms, where eigenvalues coincide too; under XLA."""

import cases
import numpy as np
import pytest
import tensorflow as tf
from functionals import along, deviates, gradient, inner
from mpmath import mp

import tfqz

pytestmark = pytest.mark.slow_if("graph", "scipy")


def functional(weights, backend=None, only=None):
    """<weights, (vl, vr)>, of columns `only`."""

    def f(a, b):
        vectors = tfqz.eig(a, b, True, backend=backend)[1:]
        if only is not None:
            vectors = [tf.gather(v, only, axis=-1) for v in vectors]
        return inner(weights, [tf.cast(v, tf.complex128) for v in vectors])

    return f


def difference(f, a, b, directions, h):
    """Of fourth order, in double precision."""
    values = [float(f(*(tf.constant(x + k * h * dx) for x, dx in zip((a, b), directions)))) for k in (-2, -1, 1, 2)]
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True, largest=6))
def test_gradients(a, b, backend, rng):
    """Against differences."""
    weights = [deviates(rng, a.shape, "complex128") for _ in "lr"]
    directions = [deviates(rng, a.shape, a.dtype) for _ in "ab"]
    if len(a) == 0:
        return
    f = functional(weights, backend)
    expected = difference(f, a, b, directions, 1e-4)
    assert along(gradient(f, a, b), directions) == pytest.approx(expected, rel=2e-8, abs=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_gradients_in_single_precision(dtype, backend, rng):
    """Against double precision."""
    (case,) = [case for case in cases.CASES if case.name == "random-5"]
    a, b = case(dtype)
    weights = [deviates(rng, a.shape, "complex128") for _ in "lr"]
    wide = np.result_type(dtype, np.float64)
    got, expected = (gradient(functional(weights, backend), *(x.astype(d) for x in (a, b))) for d in (dtype, wide))
    for x, y in zip(got, expected):
        assert x.dtype == dtype and np.abs(x - y).max() < 1e-4 * np.abs(y).max()


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_infinite_eigenvalues(dtype, backend, rng):
    """Vectors and derivatives of one infinite eigenvalue and of the others, in directions in which b stays singular."""
    n = 5
    a, b = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
    b[:, 2] = 0
    w, vl, vr = (x.numpy() for x in tfqz.eig(a, b, True, backend=backend))
    (j,) = np.flatnonzero(np.isinf(w))
    assert np.abs(b @ vr[:, j]).max() < 1e-14 and np.abs(b.conj().T @ vl[:, j]).max() < 1e-14
    directions = [deviates(rng, (n, n), dtype) for _ in "ab"]
    directions[1] = directions[1] @ (np.eye(n) - np.diag(np.eye(n)[2])) + b @ deviates(rng, (n, n), dtype) / 3
    directions[1][:, 2] = 0
    f = functional([deviates(rng, (n, n), "complex128") for _ in "lr"], backend)
    assert along(gradient(f, a, b), directions) == pytest.approx(difference(f, a, b, directions, 1e-4), rel=1e-8)


def exact_vector(a, b, near):
    """The right eigenvector of the eigenvalue nearest to `near`, in mpmath's digits, as `tfqz.eig` has it."""
    n = a.rows
    x = mp.matrix([mp.mpc(k + 1, 1) for k in range(n)])
    value = mp.mpc(near)
    for _ in range(12):  # inverse iteration with two-sided Rayleigh quotients
        shifted = a - value * b + mp.eye(n) * mp.mpf(10) ** -50
        x = mp.lu_solve(shifted, b * x)
        x = x / mp.norm(x)
        y = mp.lu_solve(shifted.H, mp.matrix([mp.mpc(1, k) for k in range(n)]))
        value = (y.H * a * x)[0] / (y.H * b * x)[0]
    k = max(range(n), key=lambda i: abs(x[i]))
    return x * (mp.conj(x[k]) / abs(x[k]))


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_a_simple_eigenvalue_between_members_of_a_defective_cluster(dtype, backend, rng):
    """The vector's derivative needs its own distances only: against differences in 60 digits."""
    order = 4
    a = np.diag([1.0] * order + [2, 1]) + np.eye(order + 2, k=1) / 2
    b = np.eye(order + 2)
    a, b = a.astype(dtype), b.astype(dtype)
    directions = [deviates(rng, a.shape, dtype) for _ in "ab"]
    j = int(np.argmin(np.abs(tfqz.eigvals(a, b, backend=backend).numpy() - 2)))
    weights = deviates(rng, (order + 2,), "complex128")
    with mp.workdps(60):
        h = mp.mpf(10) ** -20
        moved = [[mp.matrix(x.tolist()) + sign * h * mp.matrix(d.tolist()) for x, d in zip((a, b), directions)] for sign in (1, -1)]
        plus, minus = (exact_vector(*pencil, 2) for pencil in moved)
        expected = float(mp.re(sum(mp.conj(mp.mpc(w)) * (p - m) for w, p, m in zip(weights, plus, minus)) / (2 * h)))
    f = lambda a, b: inner([weights], [tfqz.eig(a, b, backend=backend)[1][:, j]])
    assert along(gradient(f, a, b), directions) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("infinite", [False, True])
def test_the_span_of_a_semisimple_cluster(infinite, backend, rng):
    """The projector onto two equal eigenvalues' vectors, whatever basis of them is found."""
    n = 5
    q, z = rng.standard_normal((2, n, n))
    d, e = np.diag([1.0, 1, 3, -2, 4]), np.eye(n)
    if infinite:
        e[0, 0] = e[1, 1] = 0
    a, b, C = q @ d @ z, q @ e @ z, rng.standard_normal((n, n))
    # Of (I + h y) (a, b) (I + h x), in which the cluster stays together.
    x, y = rng.standard_normal((2, n, n)) / 3
    directions = [a @ x + y @ a, b @ x + y @ b]

    def projector(a, b):
        w, v = tfqz.eig(a, b, backend=backend)
        values = w.numpy()
        selected = np.isinf(values) if infinite else np.abs(values - 1) < 1e-6
        columns = tf.math.real(tf.gather(v, np.flatnonzero(selected), axis=-1))
        return columns @ tf.linalg.inv(tf.transpose(columns) @ columns) @ tf.transpose(columns)

    def exact(h):
        basis = np.linalg.solve(np.eye(n) + h * x, np.linalg.inv(z)[:, :2])
        return basis @ np.linalg.solve(basis.T @ basis, basis.T)

    h = 1e-4
    expected = np.sum(C * (8 * (exact(h) - exact(-h)) - exact(2 * h) + exact(-2 * h))) / (12 * h)
    assert np.allclose(projector(a, b), exact(0))
    assert along(gradient(lambda a, b: tf.reduce_sum(C * projector(a, b)), a, b), directions) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("a, b", cases.pencils(*cases.ALL, largest=8))
def test_gradients_are_finite(a, b, backend, rng):
    """For every pencil, singular ones and Jordan blocks included."""
    weights = [deviates(rng, a.shape, "complex128") for _ in "lr"]
    for x in gradient(functional(weights, backend), a, b):
        assert np.isfinite(x).all()


def test_long_jordan_blocks(backend):
    """Vectors and gradients stay in the range."""
    for dtype in ("float32", "float64"):
        a, b = (2 * np.eye(20) + np.eye(20, k=1)).astype(dtype), np.eye(20, dtype=dtype)
        vl, vr = (x.numpy() for x in tfqz.eig(a, b, True, backend=backend)[1:])
        for v in (vl, vr):
            assert np.isfinite(v).all()
        assert all(np.isfinite(x).all() for x in gradient(functional([np.ones((20, 20))] * 2, backend), a, b))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_second_derivatives(dtype, backend, rng):
    """By tapes and accumulators, against differences of first ones; of all outputs together."""
    (case,) = [case for case in cases.CASES if case.name == "random-4"]
    a, b = case(dtype)
    weights = [deviates(rng, a.shape, "complex128") for _ in "lrw"]
    (u, v), directions = [[deviates(rng, a.shape, dtype) for _ in "ab"] for _ in range(2)]

    def f(a, b):
        w, vl, vr = tfqz.eig(a, b, True, backend=backend)
        return inner(weights[:2], [vl, vr]) * inner([weights[2][0]], [w])

    def derivative(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = f(a, b)
        return inner((u, v), tape.gradient(value, [a, b]))

    expected = difference(derivative, a, b, directions, 1e-4)
    assert along(gradient(derivative, a, b), directions) == pytest.approx(expected, rel=1e-7)
    A, B = tf.constant(a), tf.constant(b)
    with tf.autodiff.ForwardAccumulator([A, B], [tf.constant(x) for x in directions]) as accumulator:
        value, slope = f(A, B), derivative(A, B)
    assert float(accumulator.jvp(value)) == pytest.approx(along(gradient(f, a, b), directions), rel=1e-10)
    assert float(accumulator.jvp(slope)) == pytest.approx(expected, rel=1e-7)


@pytest.mark.slow
def test_third_derivatives(rng):
    a, b = tf.constant(np.diag([1.0, 2, 4]) + rng.standard_normal((3, 3)) / 4), tf.constant(rng.standard_normal((3, 3)) / 4 + np.eye(3))
    C, D, E = rng.standard_normal((3, 3, 3))

    def slope(f, direction):
        def g(a):
            with tf.GradientTape() as tape:
                tape.watch(a)
                value = f(a)
            return tf.reduce_sum(tape.gradient(value, a) * direction)

        return g

    f = lambda a: tf.reduce_sum(C * tf.math.real(tfqz.eig(a, b)[1]))
    second = slope(slope(f, D), E)
    h = 1e-3
    expected = (8 * (second(a + h * C) - second(a - h * C)) - second(a + 2 * h * C) + second(a - 2 * h * C)) / (12 * h)
    assert float(slope(second, C)(a)) == pytest.approx(float(expected), rel=1e-7)


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_batches_that_broadcast(dtype, backend, rng):
    # Of which QZ finds the eigenvalues in the order of the diagonal, alone and in a batch.
    a, b = np.diag([5, 10, 15, 20]) + deviates(rng, (3, 1, 4, 4), dtype) / 50, np.eye(4) + deviates(rng, (2, 4, 4), dtype) / 50
    weights = [deviates(rng, (3, 2, 4, 4), "complex128") for _ in "lr"]
    got = gradient(functional(weights, backend), a, b)
    expected = [np.zeros_like(a), np.zeros_like(b)]
    for i, j in np.ndindex(3, 2):
        parts = gradient(functional([w[i, j] for w in weights], backend), a[i, 0], b[j])
        expected[0][i, 0] += parts[0]
        expected[1][j] += parts[1]
        for x, y in zip(tfqz.eig(a, b, True, backend=backend), tfqz.eig(a[i, 0], b[j], True, backend=backend)):
            np.testing.assert_allclose(x[i, j], y, atol=1e-11)
    for x, y in zip(got, expected):
        np.testing.assert_allclose(x, y, atol=1e-9 * np.abs(y).max())


def test_failed_elements(backend, rng):
    """NaN for themselves in all outputs."""
    a, b = rng.standard_normal((2, 3, 4, 4))
    b[1, 2, 3] = np.inf
    for x in tfqz.eig(a, b, True, backend=backend, on_failure="nan"):
        assert np.isnan(x[1]).all() and np.isfinite(x.numpy()[[0, 2]]).all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.parametrize("how", ["native", "graph"])
def test_under_xla(how, dtype, rng):
    """Values and gradients are those of eager code, for a second and a third value too."""

    def program(a, b):
        w, vl, vr = tfqz.eig(a, b, True, backend=how)
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = functional(weights, how)(a, b)
        return w, vl, vr, *tape.gradient(value, [a, b])

    weights = [deviates(rng, (2, 4, 4), "complex128") for _ in "lr"]
    compiled = tf.function(program, jit_compile=True)
    for _ in range(3):
        a, b = (tf.constant(deviates(rng, (2, 4, 4), dtype)) for _ in "ab")
        for x, y in zip(compiled(a, b), program(a, b)):
            np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-9 * np.abs(y).max())
    assert compiled.experimental_get_tracing_count() == 1
