"""What rectangular pencils are used for, against formulas that users know, in NumPy: dynamic mode decomposition, matrix pencils of signals,
nearest pencils with eigenvalues, Kronecker's form; eigenvectors, deflating subspaces and derivatives of eigenvalues."""

import numpy as np
import pytest
import rectangular_cases
import scipy.linalg
import tensorflow as tf
from functionals import along, deviates, gradient, inner

import tfqz

pytestmark = pytest.mark.slow_if("scipy", "graph")

DOUBLE = ("float64", "complex128")
SIGNAL = 0.98 * np.exp([0.3j, 0.7j, 1.9j])


@pytest.fixture(params=DOUBLE)
def dtype(request):
    return request.param


def adjoint(x):
    return x.conj().T


def distance(got, expected):
    """Of two sets of numbers."""
    between = np.abs(np.subtract.outer(np.asarray(got), np.asarray(expected)))
    assert between.shape[0] == between.shape[1]
    return max(between.min(axis=0).max(), between.min(axis=1).max())


def projector(x):
    return x @ adjoint(x)


def orthonormal(rng, m, n, dtype):
    return np.linalg.qr(deviates(rng, (m, n), dtype))[0]


@pytest.mark.parametrize("m, n", [(50, 10), (5, 40)])
@pytest.mark.no_case_if(lambda m, n, backend: backend == "graph" and m > n, "long loops of TensorFlow ops")
def test_exact_dmd(m, n, rng, backend):
    """Those of Y1 Y0^+ that are not 0 for the lack of data, of a noisy trajectory."""
    step = orthonormal(rng, m, m, "float64")
    states = [rng.standard_normal(m)]
    for _ in range(n):
        states.append(step @ states[-1] + 0.1 * rng.standard_normal(m))
    y = np.stack(states, axis=1)
    got = tfqz.eigvals(y[:, 1:], y[:, :-1], backend=backend)
    expected = np.linalg.eigvals(y[:, 1:] @ np.linalg.pinv(y[:, :-1]))
    assert distance(got, sorted(expected, key=abs)[-min(m, n) :]) < 1e-12


def snapshots(rng, noise):
    """60 x 26, of four modes: the modes, their eigenvalues and the data."""
    eigenvalues = np.array([0.99 * np.exp(0.4j), 0.99 * np.exp(-0.4j), 0.9, -0.7])
    modes = rng.standard_normal((60, 4)) + np.diag([1j, -1j, 0, 0])[[0, 1, 2, 3] * 15]
    modes[:, 1] = modes[:, 0].conj()
    y = np.real(modes @ (eigenvalues[:, None] ** np.arange(26)))
    return modes, eigenvalues, y + noise * rng.standard_normal(y.shape)


@pytest.mark.parametrize("noise", [0, 1e-3])
@pytest.mark.no_case_if(lambda backend: backend == "graph", "long loops of TensorFlow ops")
def test_projected_dmd(noise, rng, backend):
    """`svd_rank=4`: the eigenvalues of U^H Y1 V S^-1, and the modes Y1 V S^-1 w / lambda for its eigenvectors w."""
    modes, truth, y = snapshots(rng, noise)
    y1, y0 = y[:, 1:], y[:, :-1]
    u, s, v_h = np.linalg.svd(y0, full_matrices=False)
    reduced = adjoint(u[:, :4]) @ y1 @ adjoint(v_h[:4]) / s[:4]
    got = tfqz.eigvals(y1, y0, rank=4, backend=backend)
    assert distance(got, np.linalg.eigvals(reduced)) < 1e-12
    assert distance(got, truth) < (1e-12 if noise == 0 else 5e-3)
    S, T, Q, Z = (x.numpy() for x in tfqz.qz(y1, y0, "complex", rank=4, backend=backend))
    eigenvalues, w = np.linalg.eig(S @ np.linalg.inv(T))
    of_data = y1 @ Z @ np.linalg.solve(T, w) / eigenvalues
    propagated = y1 @ (adjoint(v_h[:4]) / s[:4]) @ adjoint(u[:, :4]) @ of_data
    np.testing.assert_allclose(propagated, of_data * eigenvalues, atol=1e-11 * np.abs(of_data).max())
    np.testing.assert_allclose(reduced @ adjoint(u[:, :4]) @ Q @ w, adjoint(u[:, :4]) @ Q @ w * eigenvalues, atol=1e-12)
    for eigenvalue, mode in zip(eigenvalues, of_data.T):
        true = modes[:, np.argmin(np.abs(truth - eigenvalue))]
        cosine = np.abs(np.vdot(true, mode)) / np.linalg.norm(true) / np.linalg.norm(mode)
        assert 1 - cosine < (1e-12 if noise == 0 else 1e-4)


def hankel(rng, rows, columns, noise=0.0):
    """Of a sum of three damped exponentials."""
    samples = (SIGNAL[:, None] ** np.arange(rows + columns - 1)).T @ np.array([1, 2j, -0.7])
    samples = samples + noise * deviates(rng, samples.shape, "complex128")
    return scipy.linalg.hankel(samples[:rows], samples[rows - 1 :])


@pytest.mark.parametrize("noise", [0, 1e-3])
@pytest.mark.parametrize("rows, columns", [(14, 10), (9, 15), (12, 12)])
def test_matrix_pencil_of_hua_and_sarkar(rows, columns, noise, rng, backend):
    y = hankel(rng, rows, columns + 1, noise)
    y0, y1 = y[:, :-1], y[:, 1:]
    u, s, v_h = np.linalg.svd(y0)
    expected = np.linalg.eigvals(adjoint(u[:, :3]) @ y1 @ adjoint(v_h[:3]) / s[:3])
    got = tfqz.eigvals(y1, y0, rank=3, backend=backend)
    assert distance(got, expected) < 1e-12 and distance(got, SIGNAL) < (1e-12 if noise == 0 else 1e-2)


@pytest.mark.parametrize("noise", [0, 1e-3])
def test_matrix_pencil_of_sarkar_and_pereira(noise, rng, backend):
    """A wide pencil: the first three right singular vectors without their first and without their last entry."""
    v_h = np.linalg.svd(hankel(rng, 12, 16, noise))[2][:3]
    got = tfqz.eigvals(v_h[:, 1:], v_h[:, :-1], backend=backend)
    assert distance(got, np.linalg.eigvals(v_h[:, 1:] @ np.linalg.pinv(v_h[:, :-1]))) < 1e-12
    assert distance(got, SIGNAL) < (1e-12 if noise == 0 else 1e-2)


@pytest.mark.parametrize("noise", [0, 1e-3])
def test_least_squares_esprit(noise, rng, backend):
    """A tall pencil: the signal subspace without its first and without its last row."""
    u = np.linalg.svd(hankel(rng, 25, 16, noise))[0][:, :3]
    got = tfqz.eigvals(u[1:], u[:-1], backend=backend)
    assert distance(got, np.linalg.eigvals(np.linalg.pinv(u[:-1]) @ u[1:])) < 1e-12
    assert distance(got, SIGNAL) < (1e-12 if noise == 0 else 1e-2)


@pytest.mark.parametrize("wide", [True, False])
def test_nearest_pencil_with_eigenpairs(wide, dtype, rng):
    """Of Ito and Murota, by the singular vectors of [A; B], of [A B] of a tall pair: as many eigenpairs as the smaller size. The form then
    has 0 beside the triangular block."""
    a, b = deviates(rng, (2, 3, 7), dtype)
    _, sigma, v_h = np.linalg.svd(np.vstack([a, b]))
    v = adjoint(v_h[:3])
    near = [a @ projector(v), b @ projector(v)]
    assert np.isclose(np.linalg.norm(np.vstack([near[0] - a, near[1] - b])), np.linalg.norm(sigma[3:]))
    if not wide:
        near, (a, b) = [adjoint(x) for x in near], (adjoint(a), adjoint(b))
    two_lines = tfqz.qz(a @ v, b @ v, "complex") if wide else tfqz.qz(adjoint(v) @ a, adjoint(v) @ b, "complex")
    eigenvalues = np.diag(two_lines.s) / np.diag(two_lines.t)
    s, *_ = tfqz.qz(*near)
    assert np.linalg.norm(s[:, 3:] if wide else s[:4]) < 1e-13 * np.linalg.norm(s)
    assert distance(tfqz.eigvals(*near), eigenvalues) < 1e-12 * np.abs(eigenvalues).max()
    for eigenvalue in eigenvalues:
        values = np.linalg.svd(near[0] - eigenvalue * near[1], compute_uv=False)
        assert values[-1] < 1e-13 * values[0] and values[-2] > 1e-3 * values[0]


def singular_block(size):
    """Kronecker's L: [0 I] - lambda [I 0]."""
    return np.eye(size, size + 1, k=1), np.eye(size, size + 1)


KRONECKER = [((2, [[1.0]], [[2.0]]), [1, 2]), ((1, [[1.0, 3], [0, -2]]), [1, -2]), ((1, [[0.5, 1], [-1, 0.5]]), [0.5 + 1j, 0.5 - 1j])]


@pytest.mark.parametrize("parts, regular", KRONECKER)
def test_regular_part_is_among_the_eigenvalues(parts, regular, dtype, rng, backend):
    """And W, what the first columns of Z span, turns with the columns of the pencil and doesn't know of its rows."""
    size, *blocks = parts
    alone = singular_block(size)
    a = scipy.linalg.block_diag(alone[0], *blocks)
    b = scipy.linalg.block_diag(alone[1], *map(np.eye, map(len, blocks)))
    m, n = a.shape
    for _ in range(3):
        g, y = deviates(rng, (m, m), dtype), orthonormal(rng, n, n, dtype)
        pair = g @ a @ adjoint(y), g @ b @ adjoint(y)
        got = tfqz.eigvals(*pair, backend=backend).numpy()
        assert len(got) == m and all(np.abs(got - x).min() < 1e-10 for x in regular)
        z = tfqz.qz(*pair, backend=backend).z.numpy()[:, :m]
        original = tfqz.qz(*(x.astype(dtype) for x in (a, b)), backend=backend).z.numpy()[:, :m]
        np.testing.assert_allclose(projector(z), projector(y @ original), atol=1e-12)
        mixed = tfqz.qz(2 * pair[0] - 3 * pair[1], -0.5 * pair[1], backend=backend).z.numpy()[:, :m]
        np.testing.assert_allclose(projector(z), projector(mixed), atol=1e-12)


def test_beside_the_block_is_the_residual(dtype, rng, backend):
    """min ||X B - A||, the misfit of DMD; for a tall pair of B X - A."""
    a, b = deviates(rng, (2, 3, 6), dtype)
    misfit = np.linalg.norm(np.linalg.lstsq(b.T, a.T, rcond=None)[0].T @ b - a)
    assert np.isclose(np.linalg.norm(tfqz.qz(a, b, backend=backend).s[:, 3:]), misfit, rtol=1e-12)
    assert np.isclose(np.linalg.norm(tfqz.qz(a.T, b.T, backend=backend).s[:3]), misfit, rtol=1e-12)


SHAPES = [(3, 6, None), (6, 3, None), (5, 6, 3)]
BLOCKS = {"float64": ([[-1.5, 0.8], [-0.8, -1.5]], [[2.0]]), "complex128": ([[-1.5 + 0.7j]], [[-0.4 - 1j]], [[1.5 + 1j]])}


def eigenvalues_of(dtype):
    """Those of `with_eigenvalues`: two in the left half plane, one in the right one."""
    return np.linalg.eigvals(scipy.linalg.block_diag(*BLOCKS[dtype]))


def with_eigenvalues(rng, m, n, rank, dtype):
    """A pencil that has them, as far as the three largest singular values of B go, and whatever beside these."""
    x, inside = deviates(rng, (2, 3, 3), dtype) + 3 * np.eye(3)
    a, b = deviates(rng, (m, n), dtype), np.zeros((m, n), dtype)
    b[:3, :3] = inside
    a[:3, :3] = x @ scipy.linalg.block_diag(*BLOCKS[dtype]) @ np.linalg.solve(x, inside)
    if rank is not None:
        b[3:, 3:] = 0.1 * deviates(rng, (m - 3, n - 3), dtype)
    u, v = orthonormal(rng, m, m, dtype), orthonormal(rng, n, n, dtype)
    return u @ a @ v, u @ b @ v


def left_and_right(x):
    """Of right eigenvectors of A B^+: lambda, w and y, y^H w = 1."""
    values, w = np.linalg.eig(x)
    return values, w, adjoint(np.linalg.inv(w))


@pytest.mark.parametrize("m, n, rank", SHAPES)
def test_deflating_subspaces(m, n, rank, dtype, rng, backend):
    """The first two columns after `ordqz`: for what A and B do between the triangular block's columns, which is all that a wide pair does
    with the rows of B, and all of a tall B. There the last columns of Q are exact on the left."""
    a, b = with_eigenvalues(rng, m, n, rank, dtype)
    *_, alpha, beta, q, z, sdim = (x.numpy() for x in tfqz.ordqz(a, b, "lhp", return_sdim=True, rank=rank, backend=backend))
    assert sdim == 2
    assert distance(alpha / beta, eigenvalues_of(dtype)) < 1e-12 and np.all((alpha / beta)[:2].real < 0)
    beside = 0 if rank else m - 3
    x, y, last = z[:, :2], q[:, beside : beside + 2], q[:, beside + 2 :]
    for matrix, whole in ((a, rank is None and m < n), (b, rank is None)):
        mapped = matrix @ x if whole else projector(q[:, beside:]) @ matrix @ x
        np.testing.assert_allclose(mapped, projector(y) @ mapped, atol=1e-12)
        np.testing.assert_allclose(adjoint(last) @ matrix @ x, 0, atol=1e-12)
    if m > n and rank is None:
        inverse = np.linalg.pinv(b) @ a @ x
        np.testing.assert_allclose(inverse, projector(x) @ inverse, atol=1e-12)
        for matrix in (a, b):
            np.testing.assert_allclose(adjoint(last) @ matrix, adjoint(last) @ matrix @ projector(z[:, 2:]), atol=1e-12)
    subspace = tfqz.deflating_subspace(a, b, "lhp", rank=rank, backend=backend)
    assert subspace.dimension.numpy() == 2 and subspace.right.shape == (n, 3) and subspace.left.shape == (m, 3)
    for basis, expected, found in zip(subspace[:2], (x, y), subspace[2:]):
        np.testing.assert_allclose(found, projector(expected), atol=1e-12)
        np.testing.assert_allclose(projector(basis.numpy()), found, atol=1e-12)
        assert np.all(basis.numpy()[:, 2] == 0)
    fixed = tfqz.deflating_subspace(a, b, "lhp", dimension=2, rank=rank, backend=backend)
    assert all(np.array_equal(x, y[:, :2]) for x, y in zip(fixed[:2], subspace[:2]))


@pytest.mark.parametrize("wide", [True, False])
def test_eigenvectors(wide, dtype, rng):
    """A x = lambda B x for a wide pencil, y^H A = lambda y^H B for a tall one, from the factors."""
    a, b = with_eigenvalues(rng, *((3, 6) if wide else (6, 3)), None, dtype)
    s, t, q, z = (x.numpy() for x in tfqz.qz(a, b, "complex"))
    values, right = scipy.linalg.eig(s[:, :3] if wide else adjoint(s[3:]), t[:, :3] if wide else adjoint(t[3:]))
    vectors = z[:, :3] @ right if wide else q[:, 3:] @ right
    matrices = (a, b) if wide else (adjoint(a), adjoint(b))
    np.testing.assert_allclose(matrices[0] @ vectors, matrices[1] @ vectors * values, atol=1e-12)


@pytest.mark.parametrize("m, n, rank", SHAPES)
@pytest.mark.parametrize("sign", [1, -1])
def test_order_by_labels(m, n, rank, sign, dtype, rng, backend):
    """Two clusters by a function, and how many have a label above 0."""
    a, b = with_eigenvalues(rng, m, n, rank, dtype)

    def labels(alpha, beta):
        return tf.cast(sign * tf.sign(tf.math.real(alpha)), tf.int32)

    found = tfqz.ordqz(a, b, labels, return_sdim=True, rank=rank, backend=backend)
    assert list(labels(found.alpha, found.beta)) == sorted([sign, -sign, -sign], reverse=True)
    assert found.sdim.numpy() == (1 if sign > 0 else 2)
    products = [(found.q @ x @ tf.linalg.adjoint(found.z)).numpy() for x in (found.s, found.t)]
    expected = (a, b) if rank is None else [projector(found.q.numpy()) @ x @ projector(found.z.numpy()) for x in (a, b)]
    np.testing.assert_allclose(products, expected, atol=1e-12)


@pytest.mark.parametrize("m, n, rank", SHAPES)
def test_gradient_of_projectors(m, n, rank, dtype, rng, backend):
    """Of bases too."""
    a, b, da, db = *with_eigenvalues(rng, m, n, rank, dtype), *deviates(rng, (2, m, n), dtype)
    weights = [deviates(rng, shape, dtype) for shape in ((n, 2), (m, 2), (n, n), (m, m))]

    def value(a, b):
        return inner(weights, tfqz.deflating_subspace(a, b, "lhp", dimension=2, rank=rank, backend=backend)[:4])

    assert_derivative(value, lambda h: (a + h * da, b + h * db), (da, db))


def assert_derivative(f, at, direction, accuracy=1e-8):
    got = gradient(f, *at(0))
    (expected,) = rectangular_cases.central_difference(lambda a, b: [f(a, b)], at)
    scale = np.sqrt(sum(np.linalg.norm(x) ** 2 for x in got) * sum(np.linalg.norm(x) ** 2 for x in direction))
    assert abs(along(got, direction) - expected) < accuracy * scale


def gradient_of_eigenvalue(a, b, value, weight):
    """Of Re(conj(weight) lambda) for the eigenvalue of a wide pencil that is nearest to `value`, by the formula."""
    pseudoinverse = np.linalg.pinv(b)
    values, w, y = left_and_right(a @ pseudoinverse)
    k = np.argmin(np.abs(values - value))
    x, y = pseudoinverse @ w[:, k], y[:, k]
    outside = np.eye(len(b[0])) - pseudoinverse @ b
    moves = np.conj(weight) * np.outer(adjoint(pseudoinverse) @ x, y.conj() @ a @ outside)
    return weight * np.outer(y, x.conj()), -weight * np.conj(values[k]) * np.outer(y, x.conj()) + moves


@pytest.mark.parametrize("wide", [True, False])
def test_derivative_of_an_eigenvalue(wide, dtype, rng, backend):
    a, b = with_eigenvalues(rng, *((3, 6) if wide else (6, 3)), None, dtype)
    weight = 0.3 - 0.8j
    for value in eigenvalues_of(dtype):

        def f(a, b):
            eigenvalues = tfqz.eigvals(a, b, backend=backend)
            return tf.math.real(np.conj(weight) * eigenvalues[int(np.argmin(np.abs(eigenvalues.numpy() - value)))])

        if wide:
            expected = gradient_of_eigenvalue(a, b, value, weight)
        else:
            expected = [adjoint(x) for x in gradient_of_eigenvalue(adjoint(a), adjoint(b), np.conj(value), np.conj(weight))]
        for got, exact in zip(gradient(f, a, b), expected):
            exact = exact.real if dtype == "float64" else exact
            assert np.linalg.norm(got - exact) < 1e-11 * np.linalg.norm(exact)


@pytest.mark.slow
@pytest.mark.slow_if("complex128", "5-6-3", "6-3-None")
@pytest.mark.parametrize("m, n, rank", SHAPES)
def test_second_derivative_of_eigenvalues(m, n, rank, dtype, rng):
    a, b, da, db, *others = *with_eigenvalues(rng, m, n, rank, dtype), *deviates(rng, (4, m, n), dtype)
    weights = deviates(rng, (3,), "complex128")

    def first(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = tf.math.real(tf.reduce_sum(weights * tfqz.eigvals(a, b, rank=rank)))
        return inner(others, tape.gradient(value, [a, b]))

    assert_derivative(lambda a, b: first(*map(tf.convert_to_tensor, (a, b))), lambda h: (a + h * da, b + h * db), (da, db), 1e-7)
