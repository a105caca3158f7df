"""`rank=k`: B's best approximation of rank k and what A does between its singular vectors, with all derivatives."""

import numpy as np
import pytest
import tensorflow as tf
from functionals import along, deviates, gradient, inner
from rectangular_cases import Rectangular, central_difference

import tfqz
from tfqz._derivative import compressed

pytestmark = pytest.mark.slow_if("scipy", "graph")

# Of full rank, and with rank B = k, along curves that keep it.
CASES = [
    (Rectangular(6, 9), 3),
    (Rectangular(6, 9, 0, 3), 3),
    (Rectangular(9, 6), 3),
    (Rectangular(9, 6, 0, 3), 3),
    (Rectangular(7, 7), 4),
    (Rectangular(7, 7, 0, 3), 4),
    (Rectangular(3, 6), 3),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request):
    return request.param


@pytest.fixture(params=["float64", "complex128"])
def dtype(request):
    return request.param


def adjoint(x):
    return np.swapaxes(x.conj(), -1, -2)


def weights_of(rng, m, n, k, dtype):
    return [deviates(rng, shape, dtype) for shape in ((k, k), (k, k), (m, k), (n, k))]


def functional(weights, rank, backend=None):
    return lambda a, b: inner(weights, tfqz.qz(a, b, rank=rank, backend=backend))


def assert_derivative(f, at, direction, accuracy):
    got = gradient(f, *at(0))
    (expected,) = central_difference(lambda a, b: [f(a, b)], at)
    scale = np.sqrt(sum(np.linalg.norm(x) ** 2 for x in got) * sum(np.linalg.norm(x) ** 2 for x in direction))
    assert abs(along(got, direction) - expected) < accuracy * scale


def test_factors(case, dtype, backend):
    (pencil, k), (a, b) = case, case[0](dtype)
    s, t, q, z = (x.numpy() for x in tfqz.qz(a, b, rank=k, backend=backend))
    assert s.shape == t.shape == (k, k) and q.shape == (pencil.m, k) and z.shape == (pencil.n, k)
    for x in (q, z):
        np.testing.assert_allclose(adjoint(x) @ x, np.eye(k), atol=1e-13)
    u, sigma, v_h = np.linalg.svd(b, full_matrices=False)
    np.testing.assert_allclose(q @ t @ adjoint(z), u[:, :k] * sigma[:k] @ v_h[:k], atol=1e-13 * sigma[0])
    np.testing.assert_allclose(s, adjoint(q) @ a @ z, atol=1e-13 * np.linalg.norm(a))
    assert np.all(np.tril(t, -1) == 0) and np.all(np.tril(s, -2) == 0) and np.all(np.diag(t).real > 0)
    assert np.all(z[np.argmax(np.abs(z) > (1 - 1e-12) * np.abs(z).max(axis=0), axis=0), np.arange(k)].real > 0)
    eigenvalues = tfqz.eigvals(a, b, rank=k, backend=backend).numpy()
    expected = np.linalg.eigvals(adjoint(u[:, :k]) @ a @ adjoint(v_h[:k]) / sigma[:k])
    assert all(np.abs(eigenvalues - x).min() < 1e-11 * np.abs(expected).max() for x in expected)


def test_gradient(case, dtype, rng, backend):
    """Of all four factors."""
    pencil, k = case
    weights = weights_of(rng, pencil.m, pencil.n, k, dtype)
    assert_derivative(functional(weights, k, backend), *pencil.curve(dtype), 1e-8)


@pytest.mark.slow_if("complex128", "9x6", "7x7")
def test_second_derivative(case, dtype, rng):
    pencil, k = case
    f = functional(weights_of(rng, pencil.m, pencil.n, k, dtype), k)
    others = [deviates(rng, (pencil.m, pencil.n), dtype) for _ in "ab"]

    def first(a, b):
        a, b = map(tf.convert_to_tensor, (a, b))
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = f(a, b)
        return inner(others, tape.gradient(value, [a, b]))

    assert_derivative(first, *pencil.curve(dtype), 1e-7)


@pytest.mark.slow_if("9x6", "float64", "7x7")
def test_forward_mode_is_the_adjoint(case, dtype, rng):
    pencil, k = case
    at, direction = pencil.curve(dtype)
    a, b = map(tf.constant, at(0))
    weights = weights_of(rng, pencil.m, pencil.n, k, dtype)
    with tf.autodiff.ForwardAccumulator([a, b], [tf.constant(x) for x in direction]) as accumulator:
        factors = tfqz.qz(a, b, rank=k)
    got = inner(weights, accumulator.jvp(factors)).numpy()
    expected = gradient(functional(weights, k), a, b)
    assert abs(got - along(expected, direction)) < 1e-12 * np.linalg.norm(np.ravel(expected)) * np.linalg.norm(np.ravel(direction))


@pytest.mark.parametrize("m, n", [(5, 6), (6, 5), (5, 5)])
def test_repeated_singular_values(m, n, dtype, rng, backend):
    """2, 2 before 1: that single singular vectors have no derivative doesn't matter."""
    u, v = (np.linalg.qr(deviates(rng, (size, size), dtype))[0][:, :5] for size in (m, n))
    x = deviates(rng, (2, 2), dtype) + 2 * np.eye(2)
    a, b = deviates(rng, (5, 5), dtype), np.diag([2, 2, 1, 0.5, 0.1])
    a[:2, :2] = x @ np.diag([1, -1]) @ np.linalg.inv(x)
    a, b = u @ a @ adjoint(v), u @ b @ adjoint(v)
    da, db = deviates(rng, (2, m, n), dtype)
    weights = weights_of(rng, m, n, 2, dtype)

    def f(a, b):
        s, t, _, _, q, z = tfqz.ordqz(a, b, "rhp", rank=2, backend=backend)
        return inner(weights, [s, t, q, z])

    np.testing.assert_allclose(np.linalg.svd(b, compute_uv=False)[:3], [2, 2, 1])
    assert_derivative(f, lambda h: (a + h * da, b + h * db), (da, db), 1e-8)


def test_parallel_null_vectors():
    """Of a singular pencil's T, between whose zeros rounding has left one t_jj."""
    T = np.array([[0, 1.7e-15, -0.73, -0.87], [0, 6.95e-15, 1.163, -0.223], [0, 0, 0, -0.0029], [0, 0, 0, 0]], "complex128")
    assert all(np.isfinite(x.numpy()).all() for x in compressed.null_spaces(tf.constant(T[None])))
