"""`tfqz.balance` and `balance=True`: what is balanced, what comes back, how accurate badly scaled pencils become."""

import cases
import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import along, deviates, gradient, inner
from mpmath import mp

import tfqz
from tfqz import _backends

NATIVE = pytest.param("native", marks=pytest.mark.skipif(_backends.native.why_not() is not None, reason="no op library"))


def sizes(rng, n, decades):
    return 10.0 ** rng.uniform(-decades, decades, n)


def badly_scaled(rng, shape, dtype, decades=5):
    """Two random matrices with rows and columns of any lengths."""
    left, right = sizes(rng, shape[-2], decades), sizes(rng, shape[-1], decades)
    return [(left[:, None] * deviates(rng, shape, np.result_type(dtype, np.float64)) * right).astype(dtype) for _ in "ab"]


def exponents(M, similarity, backend):
    return [x.numpy() for x in _backends.BACKENDS[backend].balance(tf.constant(M), similarity)]


def sums(M, left, right):
    W = np.ldexp(np.float64(M), left[..., :, None] + right[..., None, :])
    return W.sum(axis=-1), W.sum(axis=-2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("density", [1, 0.3])
def test_similarities_are_as_good_as_scipys(dtype, density, backend, rng):
    n = 12
    M = np.abs(rng.standard_normal((n, n))) * (rng.random((n, n)) < density)
    d = sizes(rng, n, 3)
    M = (d[:, None] * M / d).astype(dtype)
    left, right = exponents(M, True, backend)
    off_diagonal = np.float64(M) * ~np.eye(n, dtype=bool)
    of_rows, of_columns = sums(off_diagonal, left, right)
    scipys = scipy.linalg.matrix_balance(off_diagonal, permute=False)[0]
    assert np.array_equal(left, -right)
    assert of_rows.sum() <= 1.2 * scipys.sum()
    both = (of_rows > 0) & (of_columns > 0)
    assert np.all(np.abs(np.log2(of_rows[both] / of_columns[both])) < 2)


@pytest.mark.parametrize("shape", [(7, 7), (3, 6, 6), (4, 9), (2, 9, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_and_columns_get_equal_sums(shape, dtype, backend, rng):
    M = np.abs(badly_scaled(rng, shape, dtype)[0])
    for of_lines in sums(M, *exponents(M, False, backend)):
        assert np.all(of_lines.max(axis=-1) < 8 * of_lines.min(axis=-1))


def test_what_no_scaling_balances(backend):
    """Zero rows and columns, NaN and Inf, nothing at all, and a matrix that is singular whatever its entries are."""
    zero = np.array([[0, 2e3, 0], [0, 0, 0], [0, 1e-5, 1e9]])
    for similarity in (True, False):
        left, right = exponents(zero, similarity, backend)
        assert left[1] == right[0] == 0
        for value in (np.nan, np.inf):
            bad = np.stack([zero, np.where(zero == 2e3, value, zero), zero])
            left_of_all, right_of_all = exponents(bad, similarity, backend)
            assert np.array_equal(left_of_all, [left, 0 * left, left]) and np.array_equal(right_of_all, [right, 0 * right, right])
        for shape in ((0, 0), (2, 0, 0), (0, 3, 3)):
            left, right = exponents(np.zeros(shape), similarity, backend)
            assert left.shape == right.shape == shape[:-1]
    assert all(not x.any() for x in exponents(np.zeros((3, 0)), False, backend))
    left, right = exponents(np.array([[1.0, 1, 1], [1, 0, 0], [1, 0, 0]]), False, backend)
    assert max(np.abs(left).max(), np.abs(right).max()) < 50


@pytest.mark.parametrize("similarity", [True, False])
def test_backends_agree(similarity, rng):
    """And so do eager code, graphs and XLA, with a second and a third value."""
    M = np.abs(badly_scaled(rng, (5, 4, 4), "float64")[0])
    expected = exponents(M, similarity, "graph")
    for backend in ("native", "graph"):
        if _backends.BACKENDS[backend].why_not() is not None:
            continue
        for jit_compile in (False, True):
            call = tf.function(lambda M, b=backend: _backends.BACKENDS[b].balance(M, similarity), jit_compile=jit_compile, autograph=False)
            for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 1, 2, 0, 0]):
                assert all(np.array_equal(x, y[order]) for x, y in zip(call(tf.constant(M[order])), expected))
        if backend == "native":
            mapped = tf.vectorized_map(lambda M, b=backend: _backends.BACKENDS[b].balance(M, similarity), tf.constant(M))
            assert all(np.array_equal(x, y) for x, y in zip(mapped, expected))


@pytest.mark.parametrize("dtype", cases.ALL)
def test_balancing_is_exact(dtype, backend, rng):
    a, b = badly_scaled(rng, (3, 4, 6), dtype, 3)
    b = b[0]
    a[1, 0, 0] = np.nan
    found = tfqz.balance(a, b, backend=backend)
    scaled_a, scaled_b, left, right = (x.numpy() for x in found)
    assert left.shape == (3, 4) and right.shape == (3, 6) and left.dtype == right.dtype == a.real.dtype
    assert np.all(np.frexp(left)[0] == 0.5) and np.all(np.frexp(right)[0] == 0.5)
    assert np.all(left[1] == 1) and np.all(right[1] == 1)
    for scaled, x in ((scaled_a, a), (scaled_b, np.broadcast_to(b, a.shape))):
        assert scaled.dtype == x.dtype and np.array_equal(scaled, left[..., :, None] * x * right[..., None, :], equal_nan=True)
    good = np.abs(scaled_a[[0, 2]]) / np.abs(a[[0, 2]]).max() + np.abs(scaled_b[[0, 2]]) / np.abs(b).max()
    lengths = good.sum(axis=-1)
    assert np.all(lengths.max(axis=-1) < 50 * lengths.min(axis=-1))
    # The other scale of either matrix changes nothing.
    again = tfqz.balance(a, b * 2.0**20, backend=backend)
    assert np.array_equal(again.left, left) and np.array_equal(again.right, right)


def test_derivatives_of_balancing(backend, rng):
    a, b = badly_scaled(rng, (3, 3), "float64")
    weights = [rng.standard_normal((3, 3)) for _ in "ab"]
    left, right = tfqz.balance(a, b, backend=backend)[2:]
    found = gradient(lambda a, b: inner(weights, tfqz.balance(a, b, backend=backend)[:2]), a, b)
    for x, weight in zip(found, weights):
        assert np.array_equal(x, left.numpy()[:, None] * weight * right.numpy())


def exact_eigenvalues(a, b):
    with mp.workdps(60):
        A, B = (mp.matrix(x.tolist()) for x in (a, b))
        return np.array([complex(1 / x - 1) for x in mp.eig(mp.inverse(A + B) * B, left=False, right=False)])


def worst(found, expected):
    """The largest relative error of an eigenvalue."""
    return max(np.min(np.abs(found - x)) / abs(x) for x in expected)


@pytest.mark.parametrize("output", ["real", "complex"])
@pytest.mark.slow_if("graph", "scipy")
def test_badly_scaled_pencils(output, backend, rng):
    """Factors are those of the pencil, eigenvalues have all digits."""
    options = {"output": output, "backend": backend}

    def unsorted(alpha, beta):
        return tf.zeros(tf.shape(beta), tf.int32)

    for a, b in (badly_scaled(rng, (5, 5), "float64"), [sizes(rng, 5, 4)[:, None] * rng.standard_normal((5, 5)), np.eye(5)]):
        expected = exact_eigenvalues(a, b)
        pencil = tfqz.balance(a, b, backend=backend)[:2]
        for sort in (unsorted, "rhp"):
            found, inside = tfqz.ordqz(a, b, sort, balance=True, **options), tfqz.ordqz(*pencil, sort, **options)
            s, t, q, z = (getattr(found, name).numpy() for name in "stqz")
            if sort is unsorted:
                assert all(np.allclose(x, y, rtol=1e-9) for x, y in zip(tfqz.qz(a, b, balance=True, **options), (s, t, q, z)))
            identity = np.eye(5)
            assert np.allclose(q.conj().T @ q, identity, atol=1e-13) and np.allclose(z.conj().T @ z, identity, atol=1e-13)
            # Rounding errors of the balanced pencil come back as much larger as the diagonals do.
            growth = np.abs(found.beta / inside.beta).max()
            for x, scaled, factor in ((a, pencil[0], s), (b, pencil[1], t)):
                rounding = 5e-15 * (np.abs(x).max() + growth * np.abs(scaled).max())
                assert np.allclose(q @ factor @ z.conj().T, x, rtol=0, atol=rounding)
            canonical = oracles.canonical(s, t, q, z)
            assert all(np.allclose(x, y, rtol=1e-12, atol=0) for x, y in zip(canonical, (s, t, q, z)))
        ratios = (found.alpha / tf.cast(found.beta, found.alpha.dtype)).numpy()
        assert worst(ratios, expected) < 1e-12
        assert np.all(np.diff((np.real(ratios) > 0).astype(int)) <= 0)
        eigenvalues = tfqz.eigvals(a, b, backend=backend, balance=True).numpy()
        assert worst(eigenvalues, expected) < 1e-12
        pair = tfqz.eigvals(a, b, True, backend=backend, balance=True).numpy()
        assert worst(pair[0] / pair[1], expected) < 1e-12


def test_factors_are_unitary_at_any_scale(backend, rng):
    """Pencils of whose rows, in single precision, the squares are denormals when they are orthonormalized."""
    a = [
        [0] * 7,
        [0, 0, 0, 0, 2e-36, 0.3, 0],
        [0, 0, 0, 0, 0, 3e-26, 0],
        [0, 0, -8e-36, -2e-31, 0, 0, 0],
        [0, 3e-36, 0, 0, 4e-22, -0.3, 3e-11],
    ]
    a += [[3e-36, 4e-31, 0, 0, 0, 6e-11, 1e-6], [-4e-31, 3e-26, 0, 2e-16, 3e-11, 5e-7, 0.5]]
    b = [[0, 0, 0, 0, 0, 0.5, 4e-31], [0, 0, 0, 0, 0.3, 2e-31, 0], [0, 0, 0, 3e-37, 0, 6e-27, 2e-21], [0, 0, -5e-36, -8e-31, 0, 0.3, 0]]
    b += [[0, 3e-36, 2e-31, -3e-26, 0, 6e-17, 3e-11], [1e-36, 0, 2e-25, 2e-21, 3e-17, 1e-10, 4e-6], [-1e-31, 0.5, 2e-22, 0, 0.3, 0.5, 0]]
    a, b = (x * np.exp2(rng.uniform(-2, 2, (300, 7, 7))) for x in (a, b))
    found = tfqz.qz(a.astype("float32"), b.astype("float32"), "complex", balance=True, backend=backend)
    for x in (found.q.numpy(), found.z.numpy()):
        assert np.abs(np.swapaxes(x.conj(), -1, -2) @ x - np.eye(7)).max() < 30 * 7 * np.finfo("float32").eps


def test_plain_qz_loses_these_digits(rng):
    """Or the test above shows nothing."""
    losses = []
    for _ in range(5):
        a, b = badly_scaled(rng, (5, 5), "float64")
        losses.append(worst(tfqz.eigvals(a, b).numpy(), exact_eigenvalues(a, b)))
    assert max(losses) > 1e-9


def pencil_with_gap(rng, dtype="float64"):
    """3 eigenvalues on the left, 2 on the right, and badly scaled rows and columns."""
    left, right = (deviates(rng, (5, 5), dtype) for _ in "ab")
    d, e = sizes(rng, 5, 2), sizes(rng, 5, 2)
    return [d[:, None] * (left @ np.diag(x) @ right) * e for x in ([-1.0, -3, -0.4, 2, 0.7], [1.0, 1, 2, 1, 1])]


@pytest.mark.parametrize("function", ["qz", "ordqz", "eigvals", "deflating_subspace"])
@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.slow_if("graph", "scipy")
def test_gradients(function, dtype, backend, rng):
    a, b = pencil_with_gap(rng, dtype)
    # Functions that neither order nor phases change.
    weights = [deviates(rng, (5, 5), dtype) for _ in "12"]
    scale = [1 / np.abs(x).max() for x in (a, b)]

    def value(a, b):
        options = {"backend": backend, "balance": True}
        if function == "qz":
            s, t, q, z = tfqz.qz(a, b, **options)
            products = [x * tf.matmul(q, tf.matmul(f, z, adjoint_b=True)) for x, f in zip(scale, (s, t))]
            return inner(weights, products)
        if function == "ordqz":
            found = tfqz.ordqz(a, b, "lhp", **options)
            return tf.reduce_sum(tf.math.log(tf.abs(found.alpha[:3]) / tf.abs(found.beta[:3])))
        if function == "eigvals":
            found = tfqz.eigvals(a, b, **options)
            return tf.reduce_sum(tf.math.real(found) ** 2)
        return inner(weights, tfqz.deflating_subspace(a, b, "lhp", **options)[2:4])

    directions = [x * rng.standard_normal(x.shape) for x in (a, b)]
    expected = oracles.central_difference(lambda a, b: value(a, b).numpy(), a, b, *directions, step=1e-5, order=4)
    assert along(gradient(value, a, b), directions) == pytest.approx(float(expected), rel=1e-7)


@pytest.mark.slow_if("graph")
def test_subspaces_of_badly_scaled_pencils(backend, rng):
    """a and b map the right subspace, of D2 X, into the left one, and projectors are those of the pencil."""
    a, b = pencil_with_gap(rng)
    found = tfqz.deflating_subspace(a, b, "lhp", dimension=3, backend=backend, balance=True)
    for x in (a, b):
        rest = x @ found.right - found.left @ (found.left.numpy().T @ x @ found.right)
        assert np.allclose(rest, 0, atol=1e-13 * np.abs(x).max())


@pytest.mark.parametrize("backend", [NATIVE, "graph"])
@pytest.mark.slow
def test_bad_elements_and_xla(backend, rng):
    """One element of a batch is NaN: the others, and their gradients, are those that they have alone."""
    a, b = (np.stack(x) for x in zip(*(pencil_with_gap(rng) for _ in range(3))))
    single = [[tf.constant(x[i]) for x in (a, b)] for i in range(3)]

    def value(a, b):
        options = {"backend": backend, "balance": True, "on_failure": "nan"}
        found, eigenvalues = tfqz.ordqz(a, b, "lhp", **options), tfqz.eigvals(a, b, **options)
        projector = tfqz.deflating_subspace(a, b, "lhp", **options).right_projector
        good = tf.math.is_finite(projector[..., 0, 0])
        # 0 times NaN is NaN: a loss masks what it computes with.
        logs = tf.math.log(tf.abs(tf.where(good[..., None], eigenvalues, tf.ones_like(eigenvalues))))
        z = tf.where(good[..., None, None], found.z, tf.ones_like(found.z))
        squares = tf.reduce_sum(z[..., :3] ** 2 * tf.range(5.0, dtype=a.dtype)[:, None], axis=[-2, -1])
        return tf.where(good, tf.reduce_sum(logs, axis=-1) + squares + projector[..., 0, 1], projector[..., 0, 0])

    def with_gradient(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            each = value(a, b)
            loss = tf.reduce_sum(tf.where(tf.math.is_finite(each), each, tf.zeros_like(each)))
        return each, *tape.gradient(loss, [a, b])

    alone = [[x.numpy() for x in with_gradient(*pencil)] for pencil in single]
    calls = [with_gradient, tf.function(with_gradient, autograph=False), tf.function(with_gradient, autograph=False, jit_compile=True)]
    for call in calls:
        for bad, order in ((1, [0, 1, 2]), (0, [2, 1, 0])):
            A, B = a[order].copy(), b[order]
            A[bad, 2, 3] = np.nan
            each, *gradients = (x.numpy() for x in call(tf.constant(A), tf.constant(B)))
            assert np.isnan(each[bad])
            for place, which in enumerate(order):
                for got, expected in zip(gradients, alone[which][1:]):
                    expected = np.zeros((5, 5)) if place == bad else expected
                    assert np.allclose(got[place], expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
                assert place == bad or each[place] == pytest.approx(alone[which][0], rel=1e-9)


@pytest.mark.slow_if("graph", "scipy")
def test_errors(backend):
    a, b = np.ones((2, 3)), np.ones((3, 3))
    message = "`balance` must be False for pencils that are not square and where a rank is given"
    for function in (tfqz.qz, tfqz.ordqz, tfqz.eigvals, tfqz.deflating_subspace):
        with pytest.raises(ValueError, match=message):
            function(a, a, backend=backend, balance=True)
        with pytest.raises(ValueError, match=message):
            function(b, b, rank=2, backend=backend, balance=True)
    bad = np.stack([np.eye(3), np.full((3, 3), np.inf)])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`b` must be finite; got NaN or Inf in batch element \[1\]"):
        tfqz.qz(b, bad, backend=backend, balance=True)
    with pytest.raises(ValueError, match="`b` must have the same inner shape"):
        tfqz.balance(a, b, backend=backend)
    for shape in ((0, 0), (0, 3, 3), (2, 0, 0)):
        empty = np.zeros(shape)
        assert tfqz.qz(empty, empty, backend=backend, balance=True).s.shape == shape
        assert tfqz.balance(empty, empty, backend=backend).left.shape == shape[:-1]
