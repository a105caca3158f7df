"""Equal, infinite and undetermined eigenvalues: gradients are finite, and exact for what does not see inside a cluster."""

import cases
import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import along, cotangents, deviates, gradient, inner, linear, relative_error

import tfqz


@pytest.mark.parametrize("a, b", cases.pencils(slow=False))
def test_gradients_are_finite_everywhere(a, b, rng):
    """Of all factors at once, whether they have derivatives or not: no NaN, no infinity."""
    for output in ("real", "complex"):
        for g in gradient(linear(cotangents(rng, a, output), output=output), a, b):
            assert np.isfinite(g).all()


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("n, dtype", [(12, "float32"), (12, "complex64"), (18, "float64"), (18, "complex128")])
def test_gradients_of_pencils_of_rank_one_are_finite(n, dtype, backend):
    """All eigenvalues but one are 0/0, by rounding errors of rounding errors: the products of their inverses leave any range."""
    rows = np.arange(n) % 3 - 1
    for seed in range(6):
        rng = np.random.default_rng(seed)
        a, b = (np.outer(rows, rng.uniform(-1, 1, n)).astype(dtype) for _ in "ab")
        for g in gradient(linear(cotangents(rng, a), backend), a, b):
            assert np.isfinite(g).all()


@pytest.mark.slow_if("graph")
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_the_gradient_of_a_pencil_that_is_zero_is_finite(n, dtype, backend, rng):
    a = np.zeros((n, n), dtype)
    bars = cotangents(rng, a)
    for select in ([1, 1, 1, 1], [1, 1, 0, 0]):
        for g in gradient(linear([bar * used for bar, used in zip(bars, select)], backend), a, a):
            assert np.isfinite(g).all()


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, slow=False, singular_pencil=False, extreme=False, largest=8))
def test_second_derivatives_are_finite_everywhere(a, b, rng):
    bars, directions = cotangents(rng, a), [deviates(rng, a.shape, a.dtype) for _ in "ab"]

    def derivative(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = linear(bars)(a, b)
        return inner(directions, tape.gradient(value, [a, b]))

    assert all(not np.isnan(g).any() for g in gradient(derivative, a, b))


def with_eigenvalues(rng, dtype, alpha, beta, coupled=True):
    """A full pencil with the given eigenvalues alpha / beta, in a random order on its diagonal."""
    n = len(alpha)
    order = rng.permutation(n)
    above = np.triu(deviates(rng, (n, n), dtype), 1) if coupled else np.zeros((n, n), dtype)
    a = np.diag(np.asarray(alpha, dtype)[order]) + above
    b = np.diag(np.asarray(beta, dtype)[order]) + (np.triu(deviates(rng, (n, n), dtype), 1) if coupled else 0)
    q, z = (np.linalg.qr(deviates(rng, (n, n), dtype))[0] for _ in "qz")
    return q @ a @ z, q @ b @ z


# Eigenvalues as (alpha, beta), with a cluster at the end or the beginning: two or three infinite, zero, or finite and equal.
CLUSTERS = {
    "two-infinite": ([1, -2, 3, 1, 1], [1, 1, 1, 0, 0]),
    "three-infinite": ([1, -2, 3, 1, 2, 1], [1, 1, 1, 0, 0, 0]),
    "double": ([1, 1, 3, -2, 5], [1, 1, 1, 1, 1]),
    "triple": ([1, 1, 1, -2, 5, 8], [1, 1, 1, 1, 1, 1]),
    "double-zero": ([0, 0, 3, -2, 5], [1, 1, 1, 1, 1]),
}


def chordal(one, other):
    """All distances between two lists of eigenvalues (alpha, beta)."""
    one, other = (np.stack(pairs) / np.linalg.norm(np.stack(pairs), axis=0) for pairs in (one, other))
    return abs(np.outer(one[0], other[1]) - np.outer(one[1], other[0]))


def cuts(s, t):
    """Where Z's leading columns may be cut: no two eigenvalues that are equal, up to rounding, on both sides."""
    eigenvalues = oracles.homogeneous_eigenvalues(s, t)
    distance = chordal(eigenvalues, eigenvalues)
    return [k for k in range(1, len(s)) if distance[:k, k:].min() > 0.05 and s[k, k - 1] == 0]


def scipy_projectors(a, b, inside, outside):
    """Orthogonal projectors onto the right and the left deflating subspace of the eigenvalues that are nearer to `inside`."""

    def select(alpha, beta):
        return chordal((alpha, beta), inside).min(axis=1) < chordal((alpha, beta), outside).min(axis=1)

    *_, q, z = scipy.linalg.ordqz(a, b, sort=select, output="complex")
    k = len(inside[0])
    return [x[:, :k] @ x[:, :k].conj().T for x in (z, q)]


@pytest.mark.parametrize("coupled", [True, False], ids=["defective", "diagonalizable"])
@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_projectors_cut_beside_a_cluster(dtype, cluster, coupled, backend, rng):
    """The projectors onto the leading deflating subspaces, wherever the cut leaves the cluster on one side of it.

    Perturbed, the cluster splits and QZ finds it elsewhere: the differences are of SciPy's reordered subspaces.
    """
    cut = []
    while not cut:  # unsorted QZ may find the members of a cluster first and last
        a, b = with_eigenvalues(rng, dtype, *CLUSTERS[cluster], coupled)
        s, t, _, _ = (x.numpy() for x in tfqz.qz(a, b, backend=backend))
        cut = cuts(s, t)
    n = len(a)
    alpha, beta = oracles.homogeneous_eigenvalues(s, t)
    for k in cut:
        weights = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
        da, db = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)

        def f(a, b):
            _, _, q, z = tfqz.qz(a, b, backend=backend)
            return inner(weights, [tf.matmul(x[:, :k], x[:, :k], adjoint_b=True) for x in (z, q)])

        def reference(a, b):
            projectors = scipy_projectors(a, b, (alpha[:k], beta[:k]), (alpha[k:], beta[k:]))
            return sum(oracles.inner(*pair) for pair in zip(weights, projectors))

        assert f(a, b).numpy() == pytest.approx(reference(a, b), rel=1e-9, abs=1e-9)
        expected = float(oracles.central_difference(reference, a, b, da, db, 1e-5, order=4))
        # Rounding splits three equal eigenvalues by its cube root, and what a gradient loses for it counts beside the gradient: along a
        # direction chance may leave next to nothing of that.
        got = gradient(f, a, b)
        assert along(got, (da, db)) == pytest.approx(expected, abs=1e-5 * np.linalg.norm(got))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_extended_pencil_of_a_riccati_equation(dtype, backend, rng):
    """The finite eigenvalues beside several infinite ones.

    A^H X + X A - X B R^-1 B^H X + Q = 0 belongs to the pencil ([A 0 B; -Q -A^H 0; 0 B^H R], diag(I, I, 0)), which has as many
    infinite eigenvalues as there are inputs. The function is of the finite ones: the sum of their squares.
    """
    n, m = 3, 2
    A, B = deviates(rng, (n, n), dtype), deviates(rng, (n, m), dtype)
    Q, R = np.eye(n, dtype=dtype), np.eye(m, dtype=dtype)
    zero = np.zeros
    pencil = np.block(
        [
            [A, zero((n, n), dtype), B],
            [-Q, -A.conj().T, zero((n, m), dtype)],
            [zero((m, n), dtype), B.conj().T, R],
        ]
    )
    mass = scipy.linalg.block_diag(np.eye(2 * n), zero((m, m))).astype(dtype)

    def f(a, b):
        s, t, _, _ = tfqz.qz(a, b, output="complex", backend=backend)
        alpha, beta = tf.linalg.diag_part(s), tf.linalg.diag_part(t)
        finite = tf.abs(beta) > 1e-8
        squares = tf.where(finite, (alpha / tf.where(finite, beta, tf.ones_like(beta))) ** 2, tf.zeros_like(alpha))
        return tf.math.real(tf.reduce_sum(squares))

    assert np.count_nonzero(abs(np.diag(tfqz.qz(pencil, mass, output="complex", backend=backend).t)) < 1e-8) == m
    da = deviates(rng, pencil.shape, dtype)
    expected = oracles.central_difference(lambda a, b: f(a, b).numpy(), pencil, mass, da, 0 * mass, 1e-6)
    assert along(gradient(f, pencil, mass), (da, 0 * mass)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("name", ["identity-b", "grcar", "cycle", "nearly-defective", "both-singular", "singular-b"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_round_trip_where_the_convention_has_no_derivative(dtype, name, backend, rng):
    """B = I leaves rotations open, an infinite eigenvalue phases: a function that knows of neither has its exact gradient."""
    (case,) = [case for case in cases.CASES if case.name == name]
    a, b = case(dtype)
    C, D = deviates(rng, a.shape, dtype), deviates(rng, a.shape, dtype)

    def f(a, b):
        s, t, q, z = tfqz.qz(a, b, backend=backend)
        return inner((C, D), (q @ s @ tf.linalg.adjoint(z), q @ t @ tf.linalg.adjoint(z)))

    # The eigenvalues of the nearly defective one, and of Grcar's matrix, have condition numbers of 1e5.
    assert relative_error(gradient(f, a, b), (C, D)) < 1e-8


@pytest.mark.parametrize("scale_a, scale_b", [(2.0**500, 2.0**500), (2.0**-500, 2.0**-500), (2.0**500, 2.0**-500)])
def test_scaling_scales_the_gradient(scale_a, scale_b, backend, rng):
    """Q and Z don't know of scales, so their gradients by A and B are the inverse of them."""
    a, b = deviates(rng, (6, 6), "float64"), deviates(rng, (6, 6), "float64")
    bars = cotangents(rng, a)
    bars[0], bars[1] = 0 * a, 0 * b
    ab, bb = gradient(linear(bars, backend), a, b)
    scaled = gradient(linear(bars, backend), scale_a * a, scale_b * b)
    assert relative_error((scaled[0] * scale_a, scaled[1] * scale_b), (ab, bb)) < 1e-11


@pytest.mark.parametrize("cluster", [(1, 1), (2, 4), (1, 0), (0, 1)])
@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.parametrize("count", [2, 3])
def test_an_eigenvalue_between_equal_ones(count, dtype, cluster, backend, rng):
    """Simple eigenvalues at places 1, 3, ... of the factors with members of a cluster around them: against their eigenvectors.

    Right to about sqrt(eps) where the cluster stands in two places, eps^(1/3) where it stands in three.
    """
    values = [*[cluster, (3, 1), cluster, (-2, 1), cluster][: 2 * count - 1], (5, 1)]
    p, r = deviates(rng, (len(values),) * 2, dtype), deviates(rng, (len(values),) * 2, dtype)
    a, b = (p @ np.diag(np.array(x, dtype)) @ r for x in zip(*values))

    def order(alpha, beta):
        """The labels of `values` from first to last, by distances from each of them; equal ones in turn."""
        homogeneous = tf.cast(tf.stack([alpha, tf.cast(beta, alpha.dtype)]), tf.complex128)
        distance = np.abs(np.stack([y * homogeneous[0] - x * homogeneous[1] for x, y in values]))
        nearest = np.argmin(distance / np.linalg.norm(homogeneous, axis=0) / np.linalg.norm(values, axis=1)[:, None], axis=0)
        places = [k for k, value in enumerate(values) if value == cluster]
        return tf.constant([-(places.pop(0) if k == 0 else int(k)) for k in nearest])

    if np.diag(tfqz.qz(a, b, backend=backend).s, -1).any():
        pytest.skip("to rounding, two equal eigenvalues are a complex pair, which nothing stands between")
    bound = {2: 1e-6, 3: 1e-3}[count]
    for k in range(1, 2 * count - 1, 2):
        ratio = values[k][0] / values[k][1]

        def f(a, b):
            s, t, *_ = tfqz.ordqz(a, b, order, backend=backend)
            return tf.math.real((1 + 2j) * tf.cast(s[k, k] / t[k, k], tf.complex128))

        eigenvalues, left, right = scipy.linalg.eig(a, b, left=True)
        here = np.argmin(abs(eigenvalues - ratio))
        outer = np.outer(left[:, here], right[:, here].conj()) / np.conj(left[:, here].conj() @ b @ right[:, here])
        outer = outer * (1 if dtype == "float64" else 1 - 2j)
        assert relative_error(gradient(f, a, b), [np.asarray(outer, dtype), np.asarray(-ratio * outer, dtype)]) < bound


@pytest.mark.slow_if("scipy")
@pytest.mark.parametrize("defective", [False, True])
def test_trace_of_coinciding_pairs(defective, backend, rng):
    """The sum of all eigenvalues is tr(B^-1 A), by B -(B^-1 A B^-1)^T: with B = I, where T's block of a pair is a multiple of I."""
    block, none = np.array([[1, 2], [-3, 0.5]]), np.zeros((2, 2))
    p = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    a = tf.constant(p @ np.block([[block, np.eye(2) * defective], [none, block]]) @ p.T)
    ab, bb = gradient(lambda a, b: tf.reduce_sum(tf.math.real(tfqz.eigvals(a, b, backend=backend))), a, tf.eye(4, dtype=a.dtype))
    assert np.abs(ab - np.eye(4)).max() < 1e-6 and np.abs(bb + a.numpy().T).max() < 1e-5


@pytest.mark.slow_if("graph")
def test_infinite_eigenvalues_that_rounding_has_split(backend, rng):
    """Of a double, defective one of complex pencils t_jj is next to the root of the precision: phases, of which functions of the pencil
    know nothing, must not be divided by that, and by the distance of both again."""
    shape, dtype = (200, 3, 3), "complex128"
    a, b = (np.triu(deviates(rng, shape, dtype), 1) + np.diag(diagonal) for diagonal in ([1, 1, 1], [0, 0, 1]))
    q, z = (np.linalg.qr(deviates(rng, shape, dtype))[0] for _ in "qz")
    a, b, weights = q @ a @ z, q @ b @ z, deviates(rng, (2, *shape), dtype)

    def f(a, b):
        s, t, q, z = tfqz.qz(a, b, backend=backend)
        return inner(weights, [q @ x @ tf.linalg.adjoint(z) for x in (s, t)])

    t = tfqz.qz(a, b, backend=backend).t.numpy()
    split = np.abs(np.diagonal(t, axis1=1, axis2=2)).min(axis=-1) > 1e-9
    assert np.count_nonzero(split) > 5
    for found, weight in zip(gradient(f, a, b), weights):
        assert np.abs(found - weight)[split].max() < 1e-5
