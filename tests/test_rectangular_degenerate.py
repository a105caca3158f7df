"""Rectangular pencils where something has no derivative or is not there: low ranks, zeros, no rows, thresholds, failures, errors.
Values are a decomposition whatever happens, gradients are finite, and exact for what doesn't see what is undetermined."""

import re

import numpy as np
import pytest
import tensorflow as tf
from functionals import along, deviates, gradient, inner, relative_error
from rectangular_cases import Rectangular, central_difference, row_space

import tfqz

pytestmark = pytest.mark.slow_if("scipy", "graph")
INVALID = tf.errors.InvalidArgumentError
FAR = [Rectangular(m, n, *lacks) for m, n in ((4, 7), (7, 4)) for lacks in ((2, 0), (0, 2))]
TWO = pytest.mark.parametrize("backend", ["native", "scipy"], indirect=True)  # the formula in C++, and in TensorFlow's ops


@pytest.fixture(params=["float64", "complex128"])
def dtype(request):
    return request.param


def adjoint(x):
    return np.swapaxes(x.conj(), -1, -2)


def numpy(tensors):
    return [x.numpy() for x in tensors]


def assert_decomposes(a, b, factors, **options):
    """Unitary Q and Z, the patterns of S and T, and the pencil from them; with `rank`, its part between Q and Z."""
    s, t, q, z = numpy(factors)
    m, n = a.shape
    p = min(m, n)
    for x in (q, z):
        np.testing.assert_allclose(adjoint(x) @ x, np.eye(x.shape[1]), atol=2e-14)
    if "rank" in options:
        above = 0
        np.testing.assert_allclose(s, adjoint(q) @ a @ z, atol=1e-13 * (1 + np.linalg.norm(a)))
        sigma = np.linalg.svd(b, compute_uv=False)
        assert abs(np.linalg.norm(q @ t @ adjoint(z) - b) - np.linalg.norm(sigma[options["rank"] :])) < 1e-13 * (1 + np.linalg.norm(b))
    else:
        above = m - p
        for x, factor in ((a, s), (b, t)):
            np.testing.assert_allclose(q @ factor @ adjoint(z), x, atol=1e-13 * (1 + np.linalg.norm(x)))
        assert not np.any(t[:above]) and not np.any(t[:, p:])
    s1, t1 = s[above:, :p], t[above:, :p]
    assert not np.any(np.tril(s1, -2)) and not np.any(np.tril(t1, -1))
    assert np.all(np.diag(t1).real >= 0) and not np.any(np.diag(t1).imag)
    return np.diag(t1).real


def assert_finite_gradients(a, b, rng, **options):
    """Of all factors and of alpha and beta."""
    if options["backend"] == "graph":
        return  # the same code as with scipy
    weights = [deviates(rng, x.shape, a.dtype) for x in tfqz.qz(a, b, **options)]
    assert all(np.all(np.isfinite(x)) for x in gradient(lambda a, b: inner(weights, tfqz.qz(a, b, **options)), a, b))
    pair = deviates(rng, tfqz.eigvals(a, b, homogeneous_eigvals=True, **options).shape, "complex128")
    of_pair = gradient(lambda a, b: inner([pair], [tfqz.eigvals(a, b, homogeneous_eigvals=True, **options)]), a, b)
    assert all(np.all(np.isfinite(x)) for x in of_pair)


def outside(b, x, rank):
    """(I - B B^+) X (I - B^+ B)."""
    u, _, v_h = np.linalg.svd(b)
    u, v_h = u[:, rank:], v_h[rank:]
    return u @ adjoint(u) @ x @ adjoint(v_h) @ v_h


@pytest.mark.parametrize("case", [*FAR, Rectangular(4, 7, 2, 2), Rectangular(7, 4, 2, 2)], ids=str)
@pytest.mark.no_case_if(lambda backend, dtype: backend != "native" and dtype != "float64", "the same code")
def test_low_ranks(case, dtype, rng, backend):
    a, b = case(dtype)
    beta = assert_decomposes(a, b, tfqz.qz(a, b, backend=backend))
    assert np.sum(beta < 1e-13 * np.linalg.norm(b)) == case.lacks_b
    alpha, beta = tfqz.eigvals(a, b, homogeneous_eigvals=True, backend=backend).numpy()
    assert np.sum(np.abs(alpha) < 1e-12 * np.linalg.norm(a)) == case.lacks_a
    assert_finite_gradients(a, b, rng, backend=backend)


def complement_and_projector(case):
    def parts(a, b, **options):
        *_, q, z = tfqz.qz(a, b, **options)
        inside, beside = (z[:, : case.p], z[:, case.p :]) if case.m < case.n else (q[:, case.m - case.n :], q[:, : case.m - case.n])
        return [inside @ tf.linalg.adjoint(inside), beside]

    return parts


def simple_eigenvalues(case):
    """Power sums of those that are neither 0 nor infinite."""

    def parts(a, b, **options):
        values = tfqz.eigvals(a, b, **options)
        counts = tf.math.is_finite(tf.abs(values)) & (tf.abs(values) > 1e-8)
        values = tf.where(counts, values, 0)
        return [tf.math.real(tf.reduce_sum(values**power, keepdims=True)) for power in (1, 2)]

    return parts


@TWO
@pytest.mark.parametrize("make", [complement_and_projector, simple_eigenvalues])
@pytest.mark.parametrize("case", FAR, ids=str)
def test_what_does_not_see_inside_a_cluster(case, make, dtype, rng, backend):
    """Eigenvalue 0 or infinity twice: the subspace, its complement's basis, and the other eigenvalues have their derivatives."""
    at, direction = case.curve(dtype)
    parts = make(case)
    weights = [deviates(rng, x.shape, x.dtype.as_numpy_dtype) for x in parts(*at(0))]

    def f(a, b):
        return inner(weights, parts(a, b, backend=backend))

    got = gradient(f, *at(0))
    (expected,) = central_difference(lambda a, b: [f(a, b)], at)
    scale = np.sqrt(sum(np.linalg.norm(x) ** 2 for x in got) * sum(np.linalg.norm(x) ** 2 for x in direction))
    assert abs(along(got, direction) - expected) < 1e-7 * scale


@TWO
@pytest.mark.parametrize("case", [*FAR, Rectangular(4, 7, 0, 1), Rectangular(7, 4, 0, 1)], ids=str)
def test_products(case, dtype, rng, backend):
    """<C, Q S Z^H> + <D, Q T Z^H> has the gradient (C, D), without what raises a rank where 0 or infinity is a multiple eigenvalue."""
    a, b = case(dtype)
    C, D = deviates(rng, (2, case.m, case.n), dtype)

    def f(a, b):
        s, t, q, z = tfqz.qz(a, b, backend=backend)
        return inner([C, D], [q @ x @ tf.linalg.adjoint(z) for x in (s, t)])

    Ab, Bb = gradient(f, a, b)
    if case.lacks_a:
        Ab = Ab - outside(a, Ab - C, case.p - case.lacks_a)
    assert relative_error([Ab, Bb], [C, D - outside(b, D, case.p - case.lacks_b)]) < (1e-6 if case.lacks_a else 1e-8)


@TWO
@pytest.mark.parametrize("case", [case for case in FAR if case.lacks_b] + [Rectangular(3, 5, 0, 1), Rectangular(5, 3, 0, 1)], ids=str)
def test_no_gradient_where_the_rank_grows(case, dtype, rng, backend):
    """Nothing has a derivative there, and so the gradient of anything is 0."""
    a, b = case(dtype)
    weights = [deviates(rng, x.shape, dtype) for x in tfqz.qz(a, b)]
    _, Bb = gradient(lambda a, b: inner(weights, tfqz.qz(a, b, backend=backend)), a, b)
    assert np.linalg.norm(outside(b, Bb, case.p - case.lacks_b)) < 1e-11 * np.linalg.norm(Bb)


@pytest.mark.parametrize("m, n", [(3, 5), (5, 3), (2, 5)])
def test_zeros(m, n, dtype, rng, backend):
    full, nothing = deviates(rng, (m, n), dtype), np.zeros((m, n), dtype)
    for a, b in ((full, nothing), (nothing, full), (nothing, nothing)):
        factors = tfqz.qz(a, b, backend=backend)
        assert_decomposes(a, b, factors)
        assert np.all((factors.t.numpy() == 0) | (b is full)) and np.all((factors.s.numpy() == 0) | (a is full))
        assert_finite_gradients(a, b, rng, backend=backend)
        if a is full or b is full:
            x = factors.z.numpy()[:, :m] if m < n else factors.q.numpy()[:, m - n :]
            expected = np.linalg.pinv(full) @ full if m < n else full @ np.linalg.pinv(full)
            np.testing.assert_allclose(x @ adjoint(x), expected, atol=1e-13)


@TWO
@pytest.mark.parametrize("m, n", [(4, 6), (6, 4)])
@pytest.mark.parametrize("kind", ["ranks 1 and 2", "data of rank 2", "no gap", "rank below k"])
def test_nothing_has_a_derivative(m, n, kind, dtype, rng, backend):
    """0/0 among the eigenvalues, or no gap between singular values: a decomposition, and finite gradients."""
    options = {}
    a, b = deviates(rng, (m, 1), dtype) @ deviates(rng, (1, n), dtype), deviates(rng, (m, 2), dtype) @ deviates(rng, (2, n), dtype)
    if kind == "data of rank 2":
        modes, amplitudes = deviates(rng, (m, 2), dtype), np.vander([0.9, -0.5], n + 1, increasing=True)
        y = modes @ amplitudes
        a, b = y[:, 1:], y[:, :-1]
    elif kind == "no gap":
        options = {"rank": 2}
        u, v = (np.linalg.qr(deviates(rng, (size, size), dtype))[0][:, :4] for size in (m, n))
        a, b = deviates(rng, (m, n), dtype), u @ np.diag([3, 1, 1, 0.5]) @ adjoint(v)
    elif kind == "rank below k":
        options = {"rank": 3}
    assert_decomposes(a, b, tfqz.qz(a, b, backend=backend, **options), **options)
    assert_finite_gradients(a, b, rng, backend=backend, **options)
    if kind == "data of rank 2":  # and this is what has
        values = tfqz.eigvals(a, b, rank=2, backend=backend).numpy()
        np.testing.assert_allclose(np.sort(values.real), [-0.5, 0.9], atol=1e-12)


@pytest.mark.parametrize("a, b", [((0, 3), (0, 3)), ((3, 0), (3, 0)), ((0, 2, 3), (1, 2, 3)), ((0, 3, 2), (3, 2)), ((2, 0, 3), (0, 3))])
@pytest.mark.no_case_if(lambda a, dtype, backend: backend != "native" and (dtype != "float64" or len(a) > 2), "the same code")
def test_empty(a, b, dtype, backend):
    m, n = a[-2:]
    a, b = np.ones(a, dtype), np.ones(b, dtype)
    s, t, q, z = numpy(tfqz.qz(a, b, backend=backend))
    assert s.shape == t.shape == (*a.shape[:-2], m, n) and q.shape == (*a.shape[:-2], m, m) and z.shape == (*a.shape[:-2], n, n)
    assert np.array_equal(q, np.broadcast_to(np.eye(m)[:, ::-1] if n == 0 else np.eye(m), q.shape))
    assert np.array_equal(z, np.broadcast_to(np.eye(n), z.shape))
    assert tfqz.eigvals(a, b, backend=backend).shape == (*a.shape[:-2], min(m, n))
    found = gradient(lambda a, b: tf.add_n([tf.reduce_sum(tf.math.real(x)) for x in tfqz.qz(a, b, backend=backend)]), a, b)
    assert [x.shape for x in found] == [a.shape, b.shape] and not np.any(found[1])


@pytest.mark.parametrize("m, n", [(1, 5), (5, 1), (1, 2)])
@pytest.mark.no_case_if(lambda dtype, backend: backend != "native" and dtype != "float64", "the same code")
def test_vectors(m, n, dtype, rng, backend):
    """One eigenvalue, <b, a> / <b, b>; `rank=1` is the same without the complement."""
    a, b = deviates(rng, (2, m, n), dtype)
    expected = np.vdot(b, a) / np.vdot(b, b)
    for options in ({}, {"rank": 1}, {"rank_of_b": 1}):
        np.testing.assert_allclose(tfqz.eigvals(a, b, backend=backend, **options), [expected], rtol=1e-13)
        s, t, *_ = numpy(tfqz.qz(a, b, backend=backend, **options))
        block = s[-1, 0] / t[-1, 0]
        np.testing.assert_allclose([block, t[-1, 0]], [expected, np.linalg.norm(b)], rtol=1e-13)
        weight = deviates(rng, (1,), dtype)
        Ab, _ = gradient(lambda a, b: inner([weight], [tfqz.eigvals(a, b, backend=backend, **options)]), a, b)
        np.testing.assert_allclose(Ab, weight * b / np.linalg.norm(b) ** 2, rtol=1e-12)


@TWO
@pytest.mark.parametrize("transposed", [False, True])
def test_common_null_space(transposed, dtype, rng, backend):
    """Of 2 x 5 matrices of rank 2 it is as ordinary as the rest of the complement."""
    rows, g, h = deviates(rng, (2, 5), dtype), *deviates(rng, (2, 2, 2), dtype)
    a, b = ((x.T if transposed else x) for x in (g @ rows, h @ rows))
    factors = tfqz.qz(a, b, backend=backend)
    assert_decomposes(a, b, factors)
    assert np.linalg.norm(factors.s[:3] if transposed else factors.s[:, 2:]) < 1e-13
    assert_finite_gradients(a, b, rng, backend=backend)


@pytest.mark.parametrize("m, n", [(3, 5), (5, 3)])
@pytest.mark.parametrize("small, rank", [(1e-12, 3), (1e-17, 2)])
def test_threshold_of_the_rank(m, n, small, rank, dtype, rng, backend):
    """Of W the direction that hangs on it comes from B, or from A."""
    u, v = (np.linalg.qr(deviates(rng, (size, size), dtype))[0][:, :3] for size in (m, n))
    a, b = deviates(rng, (m, n), dtype), u @ np.diag([1, 0.5, small]) @ adjoint(v)
    for options in ({}, {"rank_of_b": rank}):
        s, t, q, z = numpy(tfqz.qz(a, b, backend=backend, **options))
        diagonal = np.abs(np.diag(t[max(m - n, 0) :]))
        assert np.sum(diagonal == 0) == 3 - rank
        x = z[:, :m] if m < n else q[:, m - n :]
        expected = row_space(a, b, rank) if m < n else row_space(adjoint(a), adjoint(b), rank)
        np.testing.assert_allclose(x @ adjoint(x), expected, atol=1e-3 if rank == 3 else 1e-12)
        np.testing.assert_allclose(q @ s @ adjoint(z), a, atol=1e-13)


@pytest.mark.parametrize("m, n", [(4, 6), (6, 4)])
def test_stated_ranks(m, n, dtype, rng, backend):
    """`rank_of_b=r` keeps r rows of B, those that pivoting chooses, and what B has along them; a tall one's columns."""
    a, b = Rectangular(m, n, 0, 2)(dtype)
    b = b + 1e-7 * deviates(rng, (m, n), dtype)
    assert np.all(assert_decomposes(a, b, tfqz.qz(a, b, rank_of_b=4, backend=backend)) > 0)
    s, t, q, z = factors = numpy(tfqz.qz(a, b, rank_of_b=2, backend=backend))
    wide = b if m < n else adjoint(b)
    rows, left = [], wide
    for _ in range(2):
        rows.append(np.argmax(np.linalg.norm(left, axis=1)))
        unit = left[rows[-1]] / np.linalg.norm(left[rows[-1]])
        left = left - np.outer(left @ unit.conj(), unit)
    kept = wide @ np.linalg.pinv(wide[rows]) @ wide[rows]
    kept = kept if m < n else adjoint(kept)
    np.testing.assert_allclose(q @ t @ adjoint(z), kept, atol=1e-13 * np.linalg.norm(b))
    assert 1e-8 < np.linalg.norm(kept - b) < 1e-5
    np.testing.assert_allclose(q @ s @ adjoint(z), a, atol=1e-13 * np.linalg.norm(a))
    weights = [deviates(rng, x.shape, dtype) for x in factors]
    same = tfqz.qz(a, kept, backend=backend)
    np.testing.assert_allclose(same.z @ tf.linalg.adjoint(same.z), z @ adjoint(z), atol=1e-12)
    if relative_error(factors, same) > 1e-9:
        return  # in another order
    got = gradient(lambda a, b: inner(weights[2:], tfqz.qz(a, b, rank_of_b=2, backend=backend)[2:]), a, b)
    assert all(np.all(np.isfinite(x)) for x in got)


CALLS = {
    "qz": tfqz.qz,
    "eigvals": lambda a, b, **options: [tfqz.eigvals(a, b, **options)],
    "ordqz": lambda a, b, **options: tfqz.ordqz(a, b, "rhp", **options),
    "deflating_subspace": lambda a, b, **options: tfqz.deflating_subspace(a, b, "rhp", **options)[:4],
}


@pytest.mark.slow_if("2-4-1-b")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("m, n, rank, culprit", [(2, 3, None, "a"), (3, 2, None, "b"), (3, 3, 2, "a"), (2, 4, 1, "b")])
@pytest.mark.no_case_if(lambda name, backend: backend != "native" and name != "qz", "the same code")
def test_failed_elements(name, m, n, rank, culprit, rng, backend):
    """One of three has NaN: all of its results are, others are as without it, and a loss that masks it has the gradient 0 there."""
    call, options = CALLS[name], {"rank": rank, "backend": backend}
    a, b = pencil = rng.standard_normal((2, 3, m, n))
    pencil["ab".index(culprit), 1, 0, -1] = np.nan
    with pytest.raises(INVALID, match=re.escape(f"`{culprit}` must be finite; got NaN or Inf in batch element [1]")):
        call(a, b, **options)

    def loss(a, b):
        values = [tf.where(tf.math.is_nan(tf.abs(x)), tf.zeros_like(x), x) for x in call(a, b, on_failure="nan", **options)]
        return tf.add_n([tf.reduce_sum(tf.math.real(x) ** 3) for x in values])

    for got, expected in zip(call(a, b, on_failure="nan", **options), call(a[::2], b[::2], **options)):
        assert np.all(np.isnan(got[1]))
        np.testing.assert_allclose(got[::2], expected, atol=1e-12)
    for got, expected in zip(gradient(loss, a, b), gradient(loss, a[::2], b[::2])):
        assert not np.any(got[1])
        np.testing.assert_allclose(got[::2], expected, atol=1e-9 * np.abs(expected).max())
    if "qz" not in name:
        return
    for got in gradient(lambda a, b: tf.reduce_sum(tf.math.real(call(a, b, on_failure="nan", **options)[0])), a, b):
        assert np.all(np.isnan(got[1])) and np.all(np.isfinite(got[::2]))


ERRORS = [
    ((3, 5), {"rank": 2.0}, TypeError, "`rank` must be None or an integer; got 2.0"),
    ((3, 5), {"rank": True}, TypeError, "`rank` must be None or an integer; got True"),
    ((3, 5), {"rank_of_b": "2"}, TypeError, "`rank_of_b` must be None or an integer; got '2'"),
    ((3, 5), {"rank": 0}, ValueError, "`rank` must be from 1 to 3, the smaller one of m and n; got 0"),
    ((5, 3), {"rank": 4}, ValueError, "`rank` must be from 1 to 3, the smaller one of m and n; got 4"),
    ((3, 5), {"rank_of_b": -1}, ValueError, "`rank_of_b` must be from 0 to 3, the smaller one of m and n; got -1"),
    ((3, 5), {"rank_of_b": 4}, ValueError, "`rank_of_b` must be from 0 to 3, the smaller one of m and n; got 4"),
    ((3, 5), {"rank": 2, "rank_of_b": 2}, ValueError, "`rank_of_b` must be None where `rank` is given; got 2 and 2"),
    ((4, 4), {"rank_of_b": 3}, ValueError, "`rank_of_b` must be None for square pencils, whose QZ needs no rank; got 3"),
    ((None, None), {"rank": 0}, ValueError, "`rank` must be at least 1; got 0"),
    ((None, None), {"rank_of_b": -1}, ValueError, "`rank_of_b` must be at least 0; got -1"),
    ((3, None), {"rank": 4}, ValueError, "`rank` must be from 1 to 3, the smaller one of m and n; got 4"),
]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("shape, options, error, words", ERRORS)
def test_errors_of_ranks(call, shape, options, error, words):
    spec = tf.TensorSpec(shape, tf.float64)
    with pytest.raises(error, match=re.escape(words)):
        tf.function(lambda a, b: call(a, b, **options), input_signature=[spec] * 2).get_concrete_function()


LATE = [
    ("rank", 3, (2, 5), r"`rank` must be at most the smaller one of m and n,\D*2\D*got 3"),
    ("rank", 3, (2, 2), r"`rank` must be at most the smaller one of m and n,\D*2\D*got 3"),
    ("rank_of_b", 4, (3, 4), r"`rank_of_b` must be at most the smaller one of m and n,\D*3\D*got 4"),
    ("rank_of_b", 2, (3, 3), r"`rank_of_b` must be None for square pencils, whose QZ needs no rank; got\D*2"),
]


@pytest.mark.parametrize("option, value, shape, words", LATE)
def test_errors_of_ranks_when_shapes_are_late(option, value, shape, words, backend):
    spec = tf.TensorSpec([None, None], tf.float64)
    graph = tf.function(lambda a, b: tfqz.eigvals(a, b, backend=backend, **{option: value}), input_signature=[spec] * 2)
    with pytest.raises(INVALID, match=words):
        graph(np.ones(shape), np.ones(shape))
