"""`tfqz.eig`: values against SciPy and by their definition. Derivatives: test_eig_gradient.py."""

import cases
import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import deviates

import tfqz
from tfqz._form import canonical

pytestmark = pytest.mark.slow_if("graph", "scipy")  # which take seconds to trace


def homogeneous(a, b, **options):
    """alpha, beta, left and right vectors as arrays, alpha and beta of length 1 together."""
    w, vl, vr = (x.numpy() for x in tfqz.eig(a, b, True, True, True, **options))
    length = np.linalg.norm(w, axis=-2, keepdims=True)
    w = w / np.where(length > 0, length, 1)
    return w[..., 0, :], w[..., 1, :], vl, vr


def assert_conventions(v):
    """Length 1, the first of the largest entries real and positive."""
    epsilon = np.finfo(v.dtype).eps
    assert np.abs(np.linalg.norm(v, axis=-2) - 1).max(initial=0) < 8 * epsilon * v.shape[-1]
    largest = np.sum(np.where(canonical.is_largest(tf.constant(v)) == 1, v, 0), axis=-2)
    assert np.all(largest.imag == 0) and np.all(largest.real > 0)


def backward_error(a, b, v):
    """How far, for each column x, a x and b x are from being parallel: from a pencil that has this eigenvector."""
    pairs = np.stack([np.pad((x @ v).T, [(0, 0), (0, 1)]) for x in (a, b)], axis=-1)  # two rows at least
    return np.linalg.svd(pairs, compute_uv=False)[:, -1]


@pytest.mark.slow_if("random-200")
@pytest.mark.parametrize("a, b", cases.pencils(*cases.ALL))
def test_vectors_are_those_of_a_pencil_nearby(a, b, backend):
    """Whatever coincides. (A pair that rounding makes of a double eigenvalue knows its imaginary part to half the digits only.)"""
    if len(a) == 0:
        return
    a, b = (x / np.abs(x).max() if np.any(x) else x for x in (a, b))  # whose products are in the range
    alpha, beta, vl, vr = homogeneous(a, b, backend=backend)
    for v in (vl, vr):
        assert v.dtype == np.result_type(a.dtype, np.complex64)
        assert_conventions(v)
    precision = np.finfo(a.dtype).eps * max(np.linalg.norm(a), np.linalg.norm(b), 1) * len(a)
    a, b, vl, vr = (x.astype(complex) for x in (a, b, vl, vr))
    determined = np.abs(alpha) + np.abs(beta) > 0  # of a singular pencil any number is an eigenvalue
    for error in (backward_error(a, b, vr), backward_error(a.conj().T, b.conj().T, vl)):
        assert np.max(error[determined], initial=0) < 4 * precision


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True))
def test_values_are_scipys(a, b, backend):
    """The same call, tuple, shapes and dtypes; the same vectors up to their phases; and what `tfqz.eigvals` returns, in its order."""
    if len(a) == 0:
        return
    for left, right in ((True, True), (True, False), (False, True), (False, False)):
        found, expected = tfqz.eig(a, b, left, right, backend=backend), scipy.linalg.eig(a, b, left, right)
        found, expected = ((x if isinstance(x, tuple) else (x,)) for x in (found, expected))
        assert len(found) == len(expected) == 1 + left + right
        w, *vectors = (x.numpy() for x in found)
        np.testing.assert_array_equal(w, tfqz.eigvals(a, b, backend=backend))
        columns = np.argmin(np.abs(w[:, None] - expected[0]), axis=1)
        np.testing.assert_allclose(w, expected[0][columns], rtol=1e-9)
        for x, y in zip(vectors, expected[1:]):
            y = y[:, columns] / np.linalg.norm(y[:, columns], axis=0)  # SciPy 1.17 leaves this out for right vectors alone
            assert x.shape == y.shape and np.allclose(np.abs(np.sum(x.conj() * y, axis=0)), 1, atol=1e-10)
    w = tfqz.eig(a, b, False, False, True, backend=backend)
    np.testing.assert_array_equal(w, tfqz.eigvals(a, b, True, backend=backend))


@pytest.mark.parametrize("dtype", cases.REAL)
def test_real_pencils(dtype, backend, rng):
    """Real vectors for real eigenvalues, conjugates for pairs, to the last bit."""
    a, b = (deviates(rng, (3, 7, 7), dtype) for _ in "ab")
    w, vl, vr = (x.numpy() for x in tfqz.eig(a, b, True, backend=backend))
    assert np.any(w.imag > 0)
    for v in (vl, vr):
        for value, columns in zip(w, v):
            first = np.flatnonzero(value.imag > 0)
            np.testing.assert_array_equal(columns[:, first], columns[:, first + 1].conj())
            assert np.all(columns[:, value.imag == 0].imag == 0)


@pytest.mark.parametrize("n", [0, 1])
def test_small(n, backend):
    for dtype in cases.ALL:
        w, vl, vr = tfqz.eig(np.full((2, n, n), -3, dtype), np.full((n, n), 2, dtype), True, backend=backend)
        assert w.shape == (2, n) and vl.shape == vr.shape == (2, n, n)
        assert np.all(w.numpy() == -1.5) and np.all(vl.numpy() == 1) and np.all(vr.numpy() == 1)
    a = tf.zeros([2, n, n], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(a)
        value = tf.reduce_sum(tf.math.real(tfqz.eig(a, tf.eye(n, dtype=tf.float64), backend=backend)[1]))
    np.testing.assert_array_equal(tape.gradient(value, a), np.zeros((2, n, n)))


@pytest.mark.parametrize("dtype", cases.COMPLEX)
def test_moduli_beyond_the_range(dtype, backend, rng):
    """Of numbers that are in it: vectors are those of the pencil times a power of two."""
    a, b = (np.triu(deviates(rng, (5, 5), dtype)) for _ in range(2))
    b += np.diag(np.abs(np.diag(b)) - np.diag(b))  # Q = Z = I, of which the range doesn't keep another
    a *= np.finfo(dtype).max / 16
    a[0, 4] = 0.9 * (1 + 1j) * np.finfo(dtype).max
    with np.errstate(over="ignore"):
        assert np.isinf(np.abs(a)).any()
    for found, expected in zip(homogeneous(a, b, backend=backend)[2:], homogeneous(a * a.dtype.type(2.0**-100), b, backend=backend)[2:]):
        assert np.allclose(found, expected, rtol=0, atol=1e3 * np.finfo(dtype).eps)


def test_arguments(backend, rng):
    a, b = rng.standard_normal((2, 3, 4))
    with pytest.raises(ValueError, match=r"`a` must be square, \[\.\.\., n, n\]; got \(3, 4\)"):
        tfqz.eig(a, b, backend=backend)
    unknown = tf.function(lambda a, b: tfqz.eig(a, b, backend=backend), input_signature=[tf.TensorSpec(None, tf.float64)] * 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`a` must be square"):
        unknown(a, b)
    w, vr = unknown(a[:, :3], b[:, :3])
    np.testing.assert_allclose(a[:, :3] @ vr, b[:, :3] @ vr * w, atol=1e-12)
    with pytest.raises(ValueError, match="`on_failure` must be one of"):
        tfqz.eig(a[:, :3], b[:, :3], on_failure="no")
    a[1, 1] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match="`a` must be finite; got NaN or Inf"):
        tfqz.eig(a[:, :3], b[:, :3], backend=backend)
