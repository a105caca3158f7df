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


@pytest.mark.slow_if("scipy")
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


def between(order, dtype, infinite=False):
    """A pencil, already triangular, with the eigenvalue 2 behind a Jordan block and before one more member of its cluster."""
    a = np.diag([1.0] * order + [2, 1]) + np.eye(order + 2, k=1) / 2
    b = np.eye(order + 2)
    if infinite:
        a, b = np.eye(order + 2), a - np.diag([1.0] * order + [1, 1])
        a[order, order] = 2
    return a.astype(dtype), b.astype(dtype)


def by_vectors(a, b, near, directions):
    """The eigenvalue nearest to `near`, and its derivative along each pair of directions, from SciPy's eigenvectors."""
    eigenvalues, left, right = scipy.linalg.eig(a, b, left=True)
    k = np.argmin(np.where(np.isfinite(eigenvalues), abs(eigenvalues - near), np.inf))
    y, x = left[:, k].conj(), right[:, k]
    return eigenvalues[k], [(y @ da @ x - eigenvalues[k] * (y @ db @ x)) / (y @ b @ x) for da, db in directions]


def place(values, near):
    values = np.asarray(values)
    return int(np.argmin(np.where(np.isfinite(values), abs(values - near), np.inf)))


@pytest.mark.slow_if("scipy", "graph")
@pytest.mark.parametrize("infinite", [False, True], ids=["finite", "infinite"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_between_members_of_a_defective_cluster(dtype, infinite, backend, rng):
    """One eigenvalue of `eigvals`, homogeneous or not, and of the diagonals of S and T in C++; for each order of the Jordan block."""
    for order in (2, 3, 4, 5):
        a, b = between(order, dtype, infinite)
        directions = [(deviates(rng, a.shape, dtype), deviates(rng, a.shape, dtype))]
        _, (expected,) = by_vectors(a, b, 2, directions)
        k = place(tfqz.eigvals(a, b, backend=backend), 2)

        def plain(a, b):
            return tf.math.real((1 - 2j) * tf.cast(tfqz.eigvals(a, b, backend=backend)[k], tf.complex128))

        def homogeneous(a, b):
            alpha, beta = tf.unstack(tfqz.eigvals(a, b, True, backend=backend))
            return tf.math.real((1 - 2j) * tf.cast(alpha[k] / beta[k], tf.complex128))

        def diagonals(a, b):
            s, t, _, _ = tfqz.qz(a, b, backend=backend)
            return tf.math.real((1 - 2j) * tf.cast(s[k, k] / t[k, k], tf.complex128))

        for f in (plain, homogeneous, *[diagonals] * (backend == "native")):
            assert along(gradient(f, a, b), directions[0]) == pytest.approx(
                np.real((1 - 2j) * expected), rel=1000 * float(np.finfo(dtype).eps)
            )


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_a_complex_pair_between_members_of_a_defective_cluster(dtype, rng):
    """In full matrices, whose clusters rounding has split, in an order that puts members before and behind; alone and in a batch."""
    n = 7
    j = scipy.linalg.block_diag(cases.jordan((1, 4)), [[2, 1.5], [-1, 1.8]], [[1]])
    j[:4, 4:] = deviates(rng, (4, 3), "float64") / 3
    q, z = (cases.unitary(lambda *shape: deviates(rng, shape, dtype), n) for _ in "qz")
    a, b = (q @ j @ z).astype(dtype), (q @ z).astype(dtype)
    value = max(np.linalg.eigvals(j[4:6, 4:6]), key=np.imag)
    directions = [(deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype))]
    _, (expected,) = by_vectors(a, b, value, directions)

    def order(alpha, beta):
        """Three members first, the pair, and the others."""
        near = np.abs(alpha / tf.cast(beta, alpha.dtype) - 1) < 0.5
        return tf.constant(np.where(near, np.where(np.cumsum(near) <= 3, 2, 0), 1))

    ordered = tfqz.ordqz(a, b, order)
    k = place(ordered.alpha.numpy() / ordered.beta.numpy(), value)
    assert k in (3, 4)

    def f(a, b):
        ordered = tfqz.ordqz(a, b, order)
        return tf.math.real((1 - 2j) * ordered.alpha[k] / tf.cast(ordered.beta[k], ordered.alpha.dtype))

    assert along(gradient(f, a, b), directions[0]) == pytest.approx(np.real((1 - 2j) * expected), rel=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("infinite", [False, True], ids=["finite", "infinite"])
def test_second_derivatives_between_members_of_a_defective_cluster(infinite, rng):
    """Against differences of first ones; in forward mode too."""
    a, b = between(4, "float64", infinite)
    (u, v), (p, r) = directions = [[deviates(rng, a.shape, "float64") for _ in "ab"] for _ in range(2)]
    k = place(tfqz.eigvals(a, b), 2)

    def square(a, b):
        return tf.math.real(tfqz.eigvals(a, b)[k] ** 2)

    def derivative(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = square(a, b)
        return inner((u, v), tape.gradient(value, [a, b]))

    def expected(h):
        value, (change,) = by_vectors(a + h * p, b + h * r, 2, directions[:1])
        return np.real(2 * value * change)

    h = 1e-4
    difference = (8 * (expected(h) - expected(-h)) - expected(2 * h) + expected(-2 * h)) / (12 * h)
    assert along(gradient(derivative, a, b), (p, r)) == pytest.approx(difference, rel=1e-8)
    A, B = tf.constant(a), tf.constant(b)
    with tf.autodiff.ForwardAccumulator([A, B], [tf.constant(u), tf.constant(v)]) as accumulator:
        value = square(A, B)
    assert float(accumulator.jvp(value)) == pytest.approx(expected(0), rel=1e-12)


def test_the_gradient_of_a_transmission_zero(backend, rng):
    """Of G(s) = (s + 1) / s^4, whose system pencil has a Jordan block of order 5 at infinity."""
    A, B = np.eye(4, k=1), np.eye(4)[:, 3:]
    C, D = np.array([[1.0, 1, 0, 0]]), np.zeros((1, 1))
    pencil, mass = np.block([[A, B], [C, D]]), np.diag([1.0, 1, 1, 1, 0])
    for _ in range(3):
        p, r = (cases.unitary(lambda *shape: deviates(rng, shape, "float64"), 5) for _ in "pr")
        a, b = p @ pencil @ r, p @ mass @ r
        directions = [[deviates(rng, a.shape, "float64") for _ in "ab"]]
        _, (expected,) = by_vectors(a, b, -1, directions)
        k = place(tfqz.eigvals(a, b, backend=backend), -1)
        found = gradient(lambda a, b: tf.math.real(tfqz.eigvals(a, b, backend=backend)[k]), a, b)
        assert along(found, directions[0]) == pytest.approx(np.real(expected), rel=1e-11)


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


@pytest.mark.slow_if("scipy-float32", "scipy-complex64", "graph-float32", "graph-complex64")
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


@pytest.mark.slow_if("graph")
def test_batches_and_names(backend, rng):
    a, b = deviates(rng, (3, 1, 4, 4), "float32"), deviates(rng, (2, 4, 4), "float32")
    assert tfqz.eigvals(a, b, backend=backend).shape == (3, 2, 4)
    assert tfqz.eigvals(a, b, True, backend=backend).shape == (3, 2, 2, 4)
    a[1, 0, 2, 2] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`a` must be finite; got NaN or Inf in batch element \[1, 0\]"):
        tfqz.eigvals(a, b, backend=backend)
    filled = tfqz.eigvals(a, b, backend=backend, on_failure="nan").numpy()
    assert np.isnan(filled[1]).all() and np.isfinite(filled[[0, 2]]).all()
