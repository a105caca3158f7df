"""`tfqz.eigvals`: values against SciPy, gradients against eigenvectors, closed forms and differences, in clusters too."""

import cases
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import tensorflow as tf
from functionals import along, deviates, gradient, inner

import tfqz


def matched(found, expected):
    """`expected` in the order of `found`, by distances on the Riemann sphere."""
    x, y = (np.stack(np.atleast_2d(z)) / np.linalg.norm(z, axis=0) for z in (found, expected))
    distance = np.abs(x[0][:, None] * y[1][None, :] - x[1][:, None] * y[0][None, :])
    rows, columns = scipy.optimize.linear_sum_assignment(distance)
    return columns, distance[rows, columns]


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True))
def test_values_are_scipys(a, b, backend):
    if len(a) == 0:
        return
    expected = scipy.linalg.eigvals(a, b, homogeneous_eigvals=True)
    found = tfqz.eigvals(a, b, homogeneous_eigvals=True, backend=backend).numpy()
    assert found.shape == expected.shape and found.dtype == expected.dtype
    columns, distances = matched(found, expected)
    assert distances.max() < 1e-10
    plain = tfqz.eigvals(a, b, backend=backend).numpy()
    assert np.allclose(plain, scipy.linalg.eigvals(a, b)[columns], rtol=1e-9)


def test_infinite_and_undetermined(backend):
    """As SciPy has them; no gradient comes from them, and none is spoilt."""
    a, b = np.diag([2.0, 3.0, 0.0, 1.0]), np.diag([4.0, 0.0, 0.0, -2.0])
    found = tfqz.eigvals(a, b, backend=backend).numpy()
    assert np.count_nonzero(np.isposinf(found.real)) == 1 and np.count_nonzero(np.isnan(found)) == 1
    finite = np.isfinite(found)
    assert sorted(found[finite]) == [-0.5, 0.5]

    def f(a, b):
        return tf.reduce_sum(tf.math.real(tf.boolean_mask(tfqz.eigvals(a, b, backend=backend), finite)))

    da, db = gradient(f, a, b)
    assert np.allclose(da, np.diag([1 / 4, 0, 0, -1 / 2])) and np.allclose(db, np.diag([-1 / 8, 0, 0, -1 / 4]))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_a_simple_eigenvalue_beside_a_cluster(dtype, backend, rng):
    """Needs the separation of that eigenvalue only: others coincide, infinite ones too, defective or not."""
    n = 6
    for chain in ([(3, 2), (5, 1), (5, 1)], [(3, 3), (-4, 1)]):
        j = cases.jordan(*chain, (1, 1), (-2, 1))
        infinite = np.eye(n)
        if len(chain) == 2:
            infinite[4, 4] = 0
        q, z = (cases.unitary(lambda *shape: deviates(rng, shape, dtype), n) for _ in "qz")
        a, b = q @ j @ z, q @ infinite @ z
        eigenvalues, y, x = scipy.linalg.eig(a, b, left=True)
        k = int(np.argmin(abs(eigenvalues + 2)))
        y, x = y[:, k].conj(), x[:, k]
        da, db = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
        expected = (y @ da @ x - eigenvalues[k] * (y @ db @ x)) / (y @ b @ x)
        found = tfqz.eigvals(a, b, backend=backend).numpy()
        here = np.argmin(np.where(np.isfinite(found), abs(found + 2), np.inf))

        def f(a, b):
            return tf.math.real((1 - 2j) * tfqz.eigvals(a, b, backend=backend)[here])

        derivative = np.real((1 - 2j) * expected)
        assert along(gradient(f, a, b), (da, db)) == pytest.approx(derivative, rel=1e-6)


@pytest.mark.parametrize("name", ["random-8", "rotations-hidden", "identity-b", "toeplitz"])
def test_conjugate_pairs(name, backend):
    """Real sums over pairs, here over all eigenvalues: tr B^-1 A and log |det B^-1 A|, whose gradients are known."""
    (case,) = [case for case in cases.CASES if case.name == name]
    a, b = case("float64")
    inverse_a, inverse_b = np.linalg.inv(a), np.linalg.inv(b)

    def trace(a, b):
        return tf.reduce_sum(tf.math.real(tfqz.eigvals(a, b, backend=backend)))

    def log_determinant(a, b):
        return tf.reduce_sum(tf.math.log(tf.abs(tfqz.eigvals(a, b, backend=backend))))

    da, db = gradient(trace, a, b)
    scale = np.abs(inverse_b).max()
    assert np.allclose(da, inverse_b.T, atol=1e-9 * scale)
    assert np.allclose(db, -(inverse_b @ a @ inverse_b).T, atol=1e-9 * scale * np.abs(a @ inverse_b).max())
    da, db = gradient(log_determinant, a, b)
    assert np.allclose(da, inverse_a.T, atol=1e-9 * np.abs(inverse_a).max())
    assert np.allclose(db, -inverse_b.T, atol=1e-9 * scale)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("chains", [[(2, 2), (-1, 1)], [(1, 1), (1, 1), (3, 1)], [(0.5, 1)] * 3 + [(3, 1)], [(-2, 1)] * 2 + [(3, 1)] * 2])
def test_sums_over_clusters(chains, dtype, backend, rng):
    """The trace at pencils with equal eigenvalues, and where these are semisimple the log-determinant: right to about sqrt(eps)."""
    j = cases.jordan(*chains)
    n = len(j)
    q, z = (cases.unitary(lambda *shape: deviates(rng, shape, dtype), n) for _ in "qz")
    upper = np.eye(n) + np.triu(deviates(rng, (n, n), dtype), 1) / 4
    a, b = q @ j @ upper @ z, q @ upper @ z

    def trace(a, b):
        return tf.reduce_sum(tf.math.real(tfqz.eigvals(a, b, backend=backend)))

    def log_determinant(a, b):
        return tf.reduce_sum(tf.math.log(tf.abs(tfqz.eigvals(a, b, backend=backend))))

    inverse = np.linalg.inv(b)
    da, db = gradient(trace, a, b)
    assert np.allclose(da, inverse.conj().T, atol=1e-6) and np.allclose(db, -(inverse @ a @ inverse).conj().T, atol=1e-6)
    if max(size for _, size in chains) > 1:
        return  # a curved function of defective eigenvalues: what rounding leaves equal has lost its derivative
    da, db = gradient(log_determinant, a, b)
    assert np.allclose(da, np.linalg.inv(a).conj().T, atol=1e-6) and np.allclose(db, -inverse.conj().T, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_homogeneous_gradient_at_infinite_eigenvalues(dtype, backend, rng):
    """alpha and beta of a singular B: <C, alpha> + <D, beta> by differences along what leaves B's rank, in double precision."""
    n = 4
    a, b = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
    b[-1] = 0
    weights = deviates(rng, (2, n), "complex128")

    def f(a, b):
        values = tf.cast(tfqz.eigvals(a, b, homogeneous_eigvals=True, backend=backend), tf.complex128)
        return inner([weights], [values])

    g = gradient(f, a, b)
    assert all(np.isfinite(x).all() and x.dtype == dtype for x in g)
    if dtype in cases.DOUBLE:
        da, db = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
        db[-1] = 0
        h = 1e-6
        difference = (f(a + h * da, b + h * db) - f(a - h * da, b - h * db)) / (2 * h)
        assert along(g, (da, db)) == pytest.approx(float(difference), rel=1e-6)


def test_batches_and_names(backend, rng):
    a, b = deviates(rng, (3, 1, 4, 4), "float32"), deviates(rng, (2, 4, 4), "float32")
    assert tfqz.eigvals(a, b, backend=backend).shape == (3, 2, 4)
    assert tfqz.eigvals(a, b, True, backend=backend).shape == (3, 2, 2, 4)
    a[1, 0, 2, 2] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`a` must be finite; got NaN or Inf in batch element \[1, 0\]"):
        tfqz.eigvals(a, b, backend=backend)
    filled = tfqz.eigvals(a, b, backend=backend, on_failure="nan").numpy()
    assert np.isnan(filled[1]).all() and np.isfinite(filled[[0, 2]]).all()
