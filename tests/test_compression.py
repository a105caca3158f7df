"""The ops for rectangular matrices, `Tfqz>Compress`, `Tfqz>Complement` and `Tfqz>Svd`, against their definitions in NumPy; in programs of
XLA too."""

import re

import cases
import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from frames import adjoint, assert_orthonormal, pencil, space, tolerance
from functionals import deviates

from tfqz import _backends
from tfqz._backends import native

pytestmark = [
    pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load"),
    pytest.mark.slow_if("scipy", "graph", "complex64"),
]

# On either side of where LAPACK takes over from loops, and a batch by itself.
SMALL = [(6, 8), (8, 6), (1, 4), (4, 1), (3, 7), (7, 3), (2, 3)]
LARGE = [(30, 60), (60, 30), (20, 95), (95, 20), (2, 900)]
INVALID = tf.errors.InvalidArgumentError


def assert_compresses(a, b, x, ranks, rank, factor=1e4):
    assert_orthonormal(x)
    assert np.all(ranks == rank)
    for index in np.ndindex(ranks.shape):
        columns = x[index]
        for expected, part in zip(space(a[index], b[index], rank), (columns[:, :rank], columns)):
            assert np.abs(part @ adjoint(part) - expected).max() < tolerance(x.dtype, factor), index


def assert_inside(a, b, x, ranks, a_inner, b_inner):
    """What the pencil is compressed to, of B with exact zeros behind the rank."""
    tall = a.shape[-2] > a.shape[-1]
    for whole, inner in ((a, a_inner), (b, b_inner)):
        expected = adjoint(x) @ whole if tall else whole @ x
        assert inner.shape == expected.shape and inner.dtype == expected.dtype
        assert np.abs(inner - expected).max(initial=0) <= tolerance(x.dtype, 30) * np.abs(whole).max(initial=0) * max(a.shape[-2:])
    columns = adjoint(b_inner) if tall else b_inner
    assert np.all(columns[np.broadcast_to(np.arange(columns.shape[-1]) >= ranks[..., None, None], columns.shape)] == 0)


def compress(a, b, rank=None, on_failure="raise", module=native):
    return [x.numpy() for x in module.compress(tf.constant(a), tf.constant(b), rank, on_failure, left=a.shape[-2] > a.shape[-1])]


@pytest.fixture
def module(backend):
    return _backends.BACKENDS[backend]


def feasible(backend, size):
    """Loops of TensorFlow ops take long where rows are long."""
    if backend == "graph" and size > 9:
        pytest.skip("long loops of TensorFlow ops")


@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("m, n", SMALL + LARGE)
def test_compression_spans_what_it_should(m, n, dtype, backend, module, rng):
    """With ranks that it finds, and the same that it is told."""
    feasible(backend, max(m, n))
    p = min(m, n)
    for rank in {p, p - 1, max(p - 2, 0), 0}:
        a, b = pencil(rng, (3,), m, n, rank, dtype)
        for told in (None, rank):
            found = compress(a, b, told, module=module)
            assert_compresses(a, b, *found[:2], rank)
            assert_inside(a, b, *found)
        if backend == "native":  # by itself, not in lockstep
            found = compress(a[0], b[0], module=module)
            assert_compresses(a[0], b[0], *found[:2], rank)
            assert_inside(a[0], b[0], *found)


@pytest.mark.parametrize("m, n", [(3, 5), (45, 60)])
@pytest.mark.parametrize("power", [-30, 30])
def test_compression_of_extreme_entries(m, n, power, rng):
    """Squares leave the range of float32; what A does outside the range of B is much less than what it does there."""
    for transposed in (False, True):
        a, b = pencil(rng, (2,), m, n, m - 2, "float32")
        u, _, vh = np.linalg.svd(b)
        tiny = u[..., m - 2 :] @ adjoint(u[..., m - 2 :]) @ a @ adjoint(vh[..., m - 2 :, :]) @ vh[..., m - 2 :, :]
        factor = np.float32(10.0**power)
        a, b = ((adjoint(x) if transposed else x) for x in (factor * a, factor * b))
        found = compress(a, b)
        assert_compresses(a / factor, b / factor, *found[:2], m - 2)
        assert_inside(a, b, *found)
        exact = np.zeros((m, n), "float32")
        exact[: m - 2, : m - 2], exact[m - 2 :, m - 2 :] = np.eye(m - 2), 1e-25 * tiny[0, :2, : n - m + 2]
        only_b = np.zeros((m, n), "float32")
        only_b[: m - 2, : m - 2] = np.eye(m - 2)
        e, o = ((x.T if transposed else x)[None] for x in (exact, only_b))
        assert_compresses(np.where(np.abs(e) < 1e-3, 1e25 * e, e), o, *compress(e, o)[:2], m - 2)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("n", [1, 4, 45])
def test_nothing_to_compress(n, dtype, backend, module, rng):
    feasible(backend, n + 20)
    for m in (n, n + 2):
        for left in (False, True):
            a, b = pencil(rng, (2,), n if left else m, m if left else n, n - 1, dtype)
            for told in (None, n - 1):
                x, ranks, *inner = (y.numpy() for y in module.compress(tf.constant(a), tf.constant(b), told, "raise", left=left))
                assert np.array_equal(x, np.broadcast_to(np.eye(n), (2, n, n))) and np.all(ranks == n)
                assert np.array_equal(inner, [a, b])


@pytest.mark.parametrize("shapes", [([3, 1], [2]), ([], [4]), ([2, 1, 3], [5, 1]), ([], [])])
def test_batch_shapes_broadcast(shapes, rng):
    (a, b), batch = (deviates(rng, (*shape, 3, 5), "float64") for shape in shapes), np.broadcast_shapes(*shapes)
    x, ranks, *inner = compress(a, b, rank=2)
    assert x.shape == (*batch, 5, 3) and ranks.shape == batch and all(y.shape == (*batch, 3, 3) for y in inner)
    a, b = (np.broadcast_to(y, (*batch, 3, 5)) for y in (a, b))
    for index in np.ndindex(batch):
        of_one = compress(a[index], b[index], rank=2)
        assert all(np.allclose(y[index], of_one[i], atol=1e-13) for i, y in ((0, x), (2, inner[0]), (3, inner[1])))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 3), (0, 3, 4), (2, 0, 4, 3)])
def test_empty(shape):
    *batch, m, n = shape
    l, p = max(m, n), min(m, n)
    x = np.zeros(shape)

    @tf.function(jit_compile=True)
    def compiled():
        return [*native.compress(x, x, None, "raise", left=m > n), *native.svd(tf.constant(x), "raise")]

    for results in ([*native.compress(x, x, None, "raise", left=m > n), *native.svd(tf.constant(x), "raise")], compiled()):
        inner = (*batch, *((p, n) if m > n else (m, p)))
        of_svd = [(*batch, m, p), (*batch, p), (*batch, n, p)]
        assert [tuple(y.shape) for y in results] == [(*batch, l, p), (*batch,), inner, inner, *of_svd]
        assert np.all(results[1].numpy() == 0)


@pytest.mark.parametrize("l, p", [(4, 0), (60, 0), (4, 4), (0, 0)])
@pytest.mark.parametrize("compiled", [False, True])
def test_complement_of_nothing_and_of_all(l, p, compiled):
    x = tf.eye(l, p, batch_shape=[2], dtype=tf.complex64)
    basis, rows = tf.function(native.complement, jit_compile=compiled)(x)
    assert np.array_equal(basis, np.broadcast_to(np.eye(l, l - p), (2, l, l - p)))
    assert np.array_equal(rows, np.broadcast_to(np.arange(l - p), (2, l - p)))


@pytest.mark.parametrize("m, n", [(3, 5), (5, 3), (45, 50)])
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@pytest.mark.parametrize("compiled", [False, True])
def test_failures(m, n, dtype, compiled, rng):
    a, b = pencil(rng, (2, 3), m, n, min(m, n), dtype)
    a[1, 0, 0, 0], b[1, 2, -1, 1] = np.nan, np.inf
    a, b = tf.constant(a), tf.constant(b)
    compress, svd = (tf.function(f, jit_compile=compiled) for f in (native.compress, native.svd))
    for call, name, place in (
        (lambda: compress(a, b, None, "raise", left=m > n), "a", "1, 0"),
        (lambda: compress(tf.zeros_like(b), b, None, "raise", left=m > n), "b", "1, 2"),
        (lambda: svd(b, "raise"), "b", "1, 2"),
    ):
        with pytest.raises(INVALID, match=re.escape(f"`{name}` must be finite; got NaN or Inf in batch element [{place}]")):
            call()
    x, ranks, *inner = (y.numpy() for y in compress(a, b, None, "nan", left=m > n))
    u, s, v = (y.numpy() for y in svd(b, "nan"))
    failed = [(1, 0), (1, 2)]
    for index in np.ndindex(2, 3):
        assert all(np.all(np.isnan(y[index])) == np.any(np.isnan(y[index])) == (index in failed) for y in (x, *inner))
        assert ranks[index] == (-1 if index in failed else min(m, n))
        assert all(np.all(np.isnan(y[index])) == np.any(np.isnan(y[index])) == (index == (1, 2)) for y in (u, s, v))
    basis, rows = native.complement(x)
    assert np.array_equal(np.isnan(basis).all(axis=(-1, -2)), np.isnan(x).all(axis=(-1, -2)))
    assert np.all((rows >= 0) & (rows < max(m, n)))


def test_large_entries_are_finite():
    big = np.full((3, 5), 1e300)
    _, rank, _, inner = compress(np.eye(3, 5), big)
    assert rank == 1 and np.allclose(np.linalg.norm(inner / 1e300), 15**0.5)
    assert np.allclose(native.svd(tf.constant(big), "raise")[1][0], 1e300 * 15**0.5)


@pytest.mark.parametrize(
    "a, b, rank, words",
    [
        ((3,), (3, 4), None, "`a` must be a matrix or a batch of them, [..., m, n]; got (3,) and (3, 4)"),
        ((3, 4), (4,), None, "`b` must be a matrix or a batch of them, [..., m, n]; got (3, 4) and (4,)"),
        ((2, 3, 4), (4, 3), None, "`b` must have the same inner shape as `a`; got (2, 3, 4) and (4, 3)"),
        ((2, 3, 4), (5, 3, 4), None, "`a` and `b` must have batch shapes that broadcast; got (2, 3, 4) and (5, 3, 4)"),
        ((3, 4), (3, 4), 4, "`rank_of_b` must be from 0 to 3, the smaller one of m and n; got 4"),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_shapes_that_do_not_fit(a, b, rank, words, compiled):
    unknown = tf.TensorSpec(None, tf.float64)
    call = tf.function(lambda a, b: native.compress(a, b, rank, "raise", left=False), input_signature=[unknown] * 2, jit_compile=compiled)
    with pytest.raises(INVALID, match=re.escape(words)):
        call(tf.ones(a, tf.float64), tf.ones(b, tf.float64))


def test_what_is_known_of_shapes():
    def shapes(function, *known):
        specs = [tf.TensorSpec(shape, tf.float64) for shape in known]
        return [
            x.shape.as_list() if x.shape.rank is not None else None for x in tf.function(function).get_concrete_function(*specs).outputs
        ]

    def pair(a, b):
        return native.compress(a, b, None, "raise", left=False)

    def svd(b):
        return native.svd(b, "raise")

    assert shapes(pair, [2, 1, 3, 5], [7, 3, None]) == [[2, 7, 5, 3], [2, 7], [2, 7, 3, 3], [2, 7, 3, 3]]
    assert shapes(pair, [None, 3, None], [3, None]) == [[None, None, None], [None], [None, 3, None], [None, 3, None]]
    assert shapes(pair, None, [3, 5]) == [None] * 4
    assert shapes(native.complement, [4, 5, 2]) == [[4, 5, 3], [4, 3]]
    assert shapes(native.complement, [4, 5, None]) == [[4, 5, None], [4, None]]
    assert shapes(native.complement, None) == [None, None]
    assert shapes(svd, [4, 5, 2]) == [[4, 5, 2], [4, 2], [4, 2, 2]]
    assert shapes(svd, [4, None, 2]) == [[4, None, None], [4, None], [4, 2, None]]
    with pytest.raises(ValueError):
        shapes(native.complement, [4, 5])


def frame(rng, batch, l, p, dtype):
    return np.linalg.qr(deviates(rng, (*batch, l, p), dtype))[0].astype(dtype)


def chosen_rows(x):
    """By Gram-Schmidt with pivoting, in double precision."""
    chosen, x = [], x.astype(np.result_type(x, np.float64))
    for _ in range(x.shape[1]):
        length = np.linalg.norm(x, axis=1)
        chosen.append(int(np.argmax(length >= (1 - 1e-10) * length.max())))
        unit = x[chosen[-1]] / length[chosen[-1]]
        x = x - np.outer(x @ np.conj(unit), unit)
    return sorted(chosen)


def assert_canonical(basis, rows):
    """Lower triangular with a real, positive diagonal at the rows, to the last bit."""
    assert np.all(np.diff(rows, axis=-1) > 0)
    for index in np.ndindex(rows.shape[:-1]):
        square = basis[index][rows[index]]
        assert np.all(np.triu(square, 1) == 0)
        assert np.all(np.imag(np.diag(square)) == 0) and np.all(np.real(np.diag(square)) > 0)


@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("l, p", [(8, 6), (8, 2), (5, 4), (2, 1), (7, 0), (40, 20), (90, 20), (90, 70), (150, 60)])
def test_complement(l, p, dtype, backend, module, rng):
    feasible(backend, l)
    d = l - p
    x = frame(rng, (4,), l, p, dtype)
    basis, rows = (y.numpy() for y in module.complement(tf.constant(x)))
    assert basis.shape == (4, l, d) and rows.shape == (4, d)
    assert_orthonormal(np.concatenate([x, basis], axis=-1))
    assert_canonical(basis, rows)
    full = np.linalg.qr(x.astype(np.result_type(x, np.float64)), mode="complete")[0][..., p:]
    for found, expected in zip(rows, full):
        # In single precision a near tie may fall otherwise.
        assert list(found) == chosen_rows(expected) or np.finfo(dtype).eps > 1e-10
    if backend == "native":  # by itself, not in lockstep
        alone, rows_alone = module.complement(tf.constant(x[0]))
        assert np.abs(alone - basis[0]).max(initial=0) < tolerance(dtype, 3e3) * max(1, d) or list(rows_alone) != list(rows[0])
    if p > 0:
        again, rows_again = module.complement(tf.constant(x @ frame(rng, (4,), p, p, dtype)))
        same = np.all(rows_again == rows, axis=-1)
        assert np.all(same) or np.finfo(dtype).eps > 1e-10
        assert np.abs(again - basis)[same].max(initial=0) < tolerance(dtype, 3e3) * max(1, d)


@pytest.mark.parametrize("l, p", [(8, 4), (128, 32)])
def test_ties_are_for_the_first(l, p, rng):
    """All rows of the complement are as long: rounding must not choose between them."""
    hadamard = scipy.linalg.hadamard(l) / l**0.5
    x = hadamard[:, :p]
    expected = native.complement(x)
    assert expected[1][0] == 0
    for _ in range(3):
        basis, rows = native.complement(x @ frame(rng, (), p, p, "float64"))
        assert np.array_equal(rows, expected[1]) and np.allclose(basis, expected[0], atol=1e-12)


@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("m, n", [(6, 8), (8, 6), (1, 3), (3, 1), (4, 4), (45, 30)])
def test_svd(m, n, dtype, module, rng):
    for rank in {min(m, n), min(m, n) - 1}:
        b = pencil(rng, (3,), m, n, rank, dtype)[1]
        u, s, v = (x.numpy() for x in module.svd(tf.constant(b), "raise"))
        assert_orthonormal(u)
        assert_orthonormal(v)
        assert s.dtype == np.abs(b).dtype and np.all(np.diff(s) <= 0)
        assert np.allclose(s, np.linalg.svd(b, compute_uv=False), rtol=0, atol=tolerance(dtype) * 30)
        assert np.allclose(u * s[..., None, :] @ adjoint(v), b, rtol=0, atol=tolerance(dtype) * 30)


@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("m, n", [(3, 5), (8, 6), (40, 60)])
def test_compiled(m, n, dtype, rng):
    """Values are those of eager code, to the last bit."""
    a, b = pencil(rng, (2, 1), m, n, min(m, n) - 1, dtype)
    a = a[0]

    def all_of_them(a, b):
        x, *others = native.compress(a, b, None, "raise", left=m > n)
        return [x, *others, *native.complement(x), *native.svd(b, "raise"), *native.compress(a, b, 1, "nan", left=m > n)]

    a, b = tf.constant(a), tf.constant(b)
    for compiled, eager in zip(tf.function(all_of_them, jit_compile=True)(a, b), all_of_them(a, b)):
        assert compiled.dtype == eager.dtype and np.array_equal(compiled, eager)


def test_vectorized(rng):
    a, b = pencil(rng, (4, 2), 3, 5, 2, "float64")

    def all_of_them(x):
        compressed, *others = native.compress(x[0], b[0], None, "raise", left=False)
        return [compressed, *others, *native.complement(compressed), *native.svd(x[1], "raise")]

    a, b = tf.constant(a), tf.constant(b)
    together = tf.vectorized_map(all_of_them, (a, b), fallback_to_while_loop=False)
    for i in range(4):
        assert all(np.allclose(x[i], y, atol=1e-12) for x, y in zip(together, all_of_them((a[i], b[i]))))
