"""`tfqz.deflating_subspace`: the subspaces against SciPy's, their derivatives to second order, clusters on one side of the cut."""

import cases
import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import along, deviates, gradient, inner, relative_error
from test_degenerate import with_eigenvalues

import tfqz


def scipys_projectors(a, b, sort):
    """Onto the right and the left subspace."""
    *_, alpha, beta, q, z = scipy.linalg.ordqz(a, b, sort)
    k = np.count_nonzero(scipy.linalg._decomp_qz._select_function(sort)(alpha, beta.real))
    return [x[:, :k] @ x[:, :k].conj().T for x in (z, q)]


@pytest.mark.parametrize("sort", ["lhp", "ouc"])
@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True))
def test_subspaces_are_scipys(a, b, sort, backend):
    n = len(a)
    found = tfqz.deflating_subspace(a, b, sort, backend=backend)
    right, left, *projectors, dimension = (x.numpy() for x in found)
    inside = np.arange(n) < dimension
    for basis, projector in zip((right, left), projectors):
        assert np.allclose(basis.conj().T @ basis, np.diag(inside.astype(float)), atol=1e-13)
        assert np.allclose(basis @ basis.conj().T, projector, atol=1e-13)
    if n > 0:
        assert all(np.allclose(x, y, atol=1e-9) for x, y in zip(projectors, scipys_projectors(a, b, sort)))
    for x in (a, b):
        assert np.allclose(x @ right, left @ (left.conj().T @ x @ right), atol=1e-12 * np.abs(x).max(initial=0))


def test_a_basis_is_a_function_of_the_subspace(rng):
    """Any equivalent pencil with the same subspace gives the same basis: lower triangular rows with a positive diagonal."""
    for dtype in cases.ALL:
        a, b = deviates(rng, (6, 6), dtype), deviates(rng, (6, 6), dtype)
        mixed = deviates(rng, (6, 6), dtype)
        right = tfqz.deflating_subspace(a, b, "iuc").right.numpy()
        again = tfqz.deflating_subspace(mixed @ a, mixed @ b, "iuc").right.numpy()
        assert np.allclose(right, again, atol=1e4 * np.finfo(dtype).eps)


def second_order_check(f, a, b, rng, rel):
    """First and second directional derivatives of f against central differences."""
    directions = [[deviates(rng, a.shape, a.dtype) for _ in "ab"] for _ in "12"]

    def derivative(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = f(a, b)
        return inner(directions[0], tape.gradient(value, [a, b]))

    for function, move in ((f, directions[0]), (derivative, directions[1])):
        expected = oracles.central_difference(lambda a, b: function(tf.constant(a), tf.constant(b)).numpy(), a, b, *move, 1e-5, order=4)
        assert along(gradient(function, a, b), move) == pytest.approx(float(expected), rel=rel, abs=rel)


@pytest.mark.slow_if("scipy", "graph-complex")
@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_derivatives_of_bases_and_projectors(dtype, backend, rng):
    a, b = deviates(rng, (5, 5), dtype), deviates(rng, (5, 5), dtype)
    weights = [deviates(rng, (5, 5), dtype) for _ in range(4)]
    second_order_check(lambda a, b: inner(weights, tfqz.deflating_subspace(a, b, "iuc", backend=backend)[:4]), a, b, rng, 1e-6)


# (alpha, beta) of the selected eigenvalues and of the others: lambda < 2 is inside.
CLUSTERS = {
    "double": ([1, 1, -1], [1, 1, 1], [4, 5], [1, 1]),
    "triple-and-double": ([1, 1, 1], [1, 1, 1], [4, 4, 7], [1, 1, 1]),
    "double-zero": ([0, 0, 1], [1, 1, 1], [3, -4], [1, 1]),
    "three-infinite": ([1, -1], [1, 1], [1, 1, 1], [0, 0, 0]),
}


@pytest.mark.parametrize("coupled", [True, False], ids=["defective", "diagonalizable"])
@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_clusters_on_one_side(dtype, cluster, coupled, rng):
    """To second order, where eigenvalues on one side of the cut coincide."""
    alpha, beta, other_alpha, other_beta = CLUSTERS[cluster]
    a, b = with_eigenvalues(rng, dtype, alpha + other_alpha, beta + other_beta, coupled)
    n, k = len(a), len(alpha)
    weights = [deviates(rng, (n, size), dtype) for size in (k, k, n, n)]

    def f(a, b):
        found = tfqz.deflating_subspace(a, b, lambda alpha, beta: tf.abs(alpha) < 2 * tf.math.real(beta), dimension=k)
        return inner(weights, found[:4])

    second_order_check(f, a, b, rng, 1e-5)


@pytest.mark.slow_if("scipy", "graph")
def test_batches_may_differ_in_dimension(backend, rng):
    b = np.eye(4)
    a = np.stack([np.diag(x) for x in ([-1.0, -2, 3, 4], [1.0, 2, 3, 4], [-1.0, -2, -3, -4])])
    found = tfqz.deflating_subspace(a, b, "lhp", backend=backend)
    assert found.dimension.numpy().tolist() == [2, 0, 4]
    for projector, inside in zip(found.right_projector, ([1, 1, 0, 0], [0] * 4, [1] * 4)):
        assert np.allclose(projector, np.diag(inside))
    a, b = deviates(rng, (4, 1, 5, 5), "float64"), deviates(rng, (3, 5, 5), "float64")
    weight = deviates(rng, (4, 3, 5, 5), "float64")
    whole = gradient(lambda a, b: inner([weight], [tfqz.deflating_subspace(a, b, backend=backend).right]), a, b)
    part = [
        gradient(lambda a, b: inner([weight[2, j]], [tfqz.deflating_subspace(a, b, backend=backend).right]), a[2, 0], b[j])[0]
        for j in range(3)
    ]
    assert np.allclose(whole[0][2, 0], sum(part))


@pytest.mark.slow_if("graph", "scipy")
def test_dimension(backend, rng):
    """As many columns; another number of eigenvalues is an error that names the element, or NaN."""
    a = np.stack([np.diag([-1.0, -2, 3]), np.diag([-1.0, 2, 3])])
    good = tfqz.deflating_subspace(a[0], np.eye(3), dimension=2, backend=backend)
    assert good.right.shape == good.left.shape == (3, 2) and good.right_projector.shape == (3, 3)

    def call(a, on_failure="raise"):
        return tfqz.deflating_subspace(a, np.eye(3), dimension=2, backend=backend, on_failure=on_failure)

    rule = "`a`, `b` must be a pencil of which `sort` selects 2 eigenvalues, as `dimension` says; got"
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"{rule} 1 in batch element \[1\]"):
        call(a)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"{rule}\D*1\D*in batch element\D*1\]"):
        tf.function(call)(a)
    for filled in (call(a, "nan"), tf.function(call)(a, "nan")):
        assert np.isnan(filled.right[1]).all() and np.isfinite(filled.right[0]).all()
    for wrong in (-1, 2.0, True):
        with pytest.raises(ValueError, match=rf"`dimension` must be None or an integer >= 0; got {wrong}"):
            tfqz.deflating_subspace(a, np.eye(3), dimension=wrong, backend=backend)


def test_sizes_at_the_ends(backend):
    for n, sort, k in ((3, "rhp", 3), (3, "lhp", 0), (1, "rhp", 1), (0, "lhp", 0)):
        eye = np.eye(n)
        found = tfqz.deflating_subspace(eye, eye, sort, backend=backend)
        assert int(found.dimension) == k and np.allclose(found.right_projector, eye if k else 0 * eye)
        da, db = gradient(lambda a, b: tf.reduce_sum(tfqz.deflating_subspace(a, b, sort, backend=backend).right), eye, eye)
        assert not da.any() and not db.any()


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_under_xla(dtype, rng):
    a, b = tf.constant(deviates(rng, (2, 5, 5), dtype)), tf.constant(deviates(rng, (2, 5, 5), dtype))
    weights = [deviates(rng, (2, 5, 5), dtype) for _ in range(4)]

    def step(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = inner(weights, tfqz.deflating_subspace(a, b, "iuc")[:4])
        return [value, *tape.gradient(value, [a, b])]

    assert relative_error(tf.function(step, jit_compile=True)(a, b), step(a, b)) < 1e-10
