"""The op `Tfqz>Extend`, the complete factors of a rectangular pencil from those of a square one, against its definition in NumPy; in
programs of XLA too."""

import re

import cases
import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import deviates

import tfqz
from tfqz._backends import native
from tfqz._form import canonical
from tfqz._form.products import matmul

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")

# On either side of where xGEMM takes over from loops.
SIZES = [(6, 8), (8, 6), (5, 5), (1, 4), (4, 1), (7, 8), (9, 2), (20, 70), (70, 20)]


def adjoint(x):
    return np.swapaxes(x.conj(), -1, -2)


def tolerance(dtype, factor=100.0):
    return factor * np.finfo(dtype).eps


def unitary(rng, batch, n, dtype):
    return np.linalg.qr(deviates(rng, (*batch, n, n), dtype))[0].astype(dtype)


def largest(x):
    """The phases of the largest entries of columns, [..., 1, n]."""
    if x.size == 0:
        return np.ones_like(x, shape=(*x.shape[:-2], 1, x.shape[-1]))
    x = np.take_along_axis(x, np.argmax(np.abs(x), axis=-2)[..., None, :], axis=-2)
    return np.where(x == 0, 1, x / np.where(x == 0, 1, np.abs(x)))


def case(rng, batch, m, n, dtype, of_a=None):
    """A, a frame, its complement, and canonical factors between these, with an infinite eigenvalue, one that is 0/0 and, of real dtypes, a
    pair. A's batch shape is `of_a`."""
    left, l, p = m > n, max(m, n), min(m, n)
    a = deviates(rng, (*(batch if of_a is None else of_a), m, n), dtype)
    both = unitary(rng, batch, l, dtype)
    s, t = (np.triu(deviates(rng, (*batch, p, p), dtype)) for _ in range(2))
    j = np.arange(p)
    t[..., j, j] = np.abs(t[..., j, j])
    if p > 3:
        t[..., 0, 0], s[..., 0, 0] = 0, np.abs(s[..., 0, 0])
        t[..., p - 1, p - 1] = s[..., p - 1, p - 1] = 0
    if p > 4 and np.dtype(dtype).kind == "f":
        t[..., 1, 2], s[..., 2, 1] = 0, -np.sign(s[..., 1, 2])
    q, z = (x / largest(x) for x in (unitary(rng, batch, p, dtype) for _ in range(2)))
    x, beside = both[..., :p], both[..., p:]
    # Of the outputs S needs A's part between the frames for Q S Z^H = A.
    inside = (q @ s @ adjoint(z)).astype(dtype)
    if of_a is None:
        a = x @ (inside - adjoint(x) @ a) + a if left else (inside - a @ x) @ adjoint(x) + a
    return [y.astype(dtype) for y in (a, x, beside, s, t, q, z)]


def expected(a, x, beside, s, t, q, z, left):
    """In double precision."""
    a, x, beside, s, t, q, z = (y.astype(np.result_type(y, np.float64)) for y in (a, x, beside, s, t, q, z))
    if left:
        q, beside = x @ q, beside[..., ::-1]
        rows = cols = np.ones_like(s, shape=(*s.shape[:-2], 1, s.shape[-1]))
    else:
        z = x @ z
        rows = cols = largest(z).conj()
    undetermined = (np.einsum("...ii->...i", s) == 0) & (np.einsum("...ii->...i", t) == 0)
    rows = np.where(undetermined[..., None, :], largest(q).conj(), rows)
    q, z, s, t = q * rows, z * cols, adjoint(rows) * s * cols, adjoint(rows) * t * cols
    if left:
        more = adjoint(beside) @ a @ z
        return [np.concatenate([more, s], -2), np.concatenate([0 * more, t], -2), np.concatenate([beside, q], -1), z]
    more = adjoint(q) @ a @ beside
    return [np.concatenate([s, more], -1), np.concatenate([t, 0 * more], -1), q, np.concatenate([z, beside], -1)]


def in_ops(a, x, beside, s, t, q, z, *, left):
    """The same in TensorFlow ops, what the op carries for XLA."""
    q, z = (matmul(x, q), z) if left else (q, matmul(x, z))
    s, t, q, z = canonical.canonicalize(s, t, q, z)
    if left:
        beside = tf.reverse(beside, [-1])
        more = matmul(beside, matmul(a, z), adjoint_a=True)
        whole = [tf.concat([y, w], axis=-2) for y, w in ((more, s), (tf.zeros_like(more), t))]
        return [*whole, tf.concat([beside, q], axis=-1), z]
    more = matmul(q, matmul(a, beside), adjoint_a=True)
    whole = [tf.concat([w, y], axis=-1) for y, w in ((more, s), (tf.zeros_like(more), t))]
    return [*whole, q, tf.concat([z, beside], axis=-1)]


def extend(a, x, beside, *factors):
    return native.extend(a, x, beside, factors, a.shape[-2] > a.shape[-1], in_ops)


def assert_near(found, expected, inputs):
    scale = max(np.abs(y).max(initial=1) for y in expected) * max(inputs[0].shape[-2:]) ** 0.5
    for y, of_y in zip(found, expected, strict=True):
        assert y.shape == of_y.shape and y.dtype == inputs[0].dtype
        assert np.abs(y - of_y).max(initial=0) <= tolerance(inputs[0].dtype, 20) * scale


@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("m, n", SIZES)
def test_extends(m, n, dtype, rng):
    p = min(m, n)
    inputs = case(rng, (3,), m, n, dtype)
    a, _, beside, s, t, *_ = inputs
    S, T, Q, Z = found = [y.numpy() for y in extend(*inputs)]
    assert_near(found, expected(*inputs, m > n), inputs)
    assert_near(in_ops(*map(tf.constant, inputs), left=m > n), found, inputs)
    assert_near([Q @ S @ adjoint(Z), adjoint(Q) @ Q, adjoint(Z) @ Z], [a, np.eye(m) + 0 * Q, np.eye(n) + 0 * Z], inputs)
    # To the last bit: the diagonals, zeros, the complement, and what is real.
    inner = (Ellipsis, slice(-p, None), slice(None)) if m > n else (Ellipsis, slice(p))
    for whole, of_inner in ((S[inner], s), (T[inner], t)):
        assert np.array_equal(np.einsum("...ii->...i", whole), np.einsum("...ii->...i", of_inner))
        assert np.all(whole[of_inner == 0] == 0) and not np.any(np.signbit(whole.real[of_inner == 0]))
    outside = T[..., : m - p, :] if m > n else T[..., p:]
    assert np.all(outside == 0)
    assert np.array_equal(Q[..., : m - p], beside[..., ::-1]) if m > n else np.array_equal(Z[..., p:], beside)
    tops = np.take_along_axis(Z[..., :p], np.argmax(np.abs(Z[..., :p]), axis=-2)[..., None, :], axis=-2)
    assert m > n or (np.all(tops.imag == 0) and np.all(tops.real > 0))


@pytest.mark.parametrize("l, p", [(8, 3), (128, 32)])
def test_ties_are_for_the_first(l, p, rng):
    x = scipy.linalg.hadamard(l)[:, ::-1] / l**0.5
    s = np.triu(deviates(rng, (p, p), "float64"))
    factors = [s, np.eye(p), np.eye(p), np.eye(p)]
    for _ in range(3):
        near = x * (1 + 1e-15 * deviates(rng, (l, l), "float64")) * rng.choice([-1, 1], l)
        _, _, _, z = extend(np.zeros((p, l)), near[:, :p], near[:, p:], *factors)
        assert np.all(z[0, :p] > 0)


@pytest.mark.parametrize("of_a", [(), (1,), (3,), (2, 1), (2, 3)])
@pytest.mark.parametrize("m, n", [(3, 5), (5, 3)])
@pytest.mark.parametrize("compiled", [False, True])
def test_batch_shapes_broadcast(of_a, m, n, compiled, rng):
    inputs = case(rng, (2, 3), m, n, "float64", of_a)
    call = tf.function(extend, jit_compile=True) if compiled else extend
    assert_near([y.numpy() for y in call(*map(tf.constant, inputs))], expected(*inputs, m > n), inputs)


@pytest.mark.parametrize("m, n", [(3, 5), (5, 3), (20, 40)])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("compiled", [False, True])
def test_nan_stays(m, n, dtype, compiled, rng):
    inputs = case(rng, (2, 2), m, n, dtype)
    for y in inputs:
        y[1, 0] = np.nan
    inputs[3][0, 1, 0, 0] = np.nan
    call = tf.function(extend, jit_compile=True) if compiled else extend
    for y in call(*map(tf.constant, inputs)):
        assert np.array_equal(np.isnan(y).all(axis=(-1, -2)), [[False, True], [True, False]])
        assert np.array_equal(np.isnan(y).any(axis=(-1, -2)), [[False, True], [True, False]])


@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("m, n", [(6, 8), (8, 6), (30, 50)])
@pytest.mark.parametrize("way", ["cpu", "graph"])
def test_compiled(m, n, dtype, way, rng, monkeypatch):
    """Calls of the core: values are those of eager code, to the last bit. `graph`: the ops that it carries, as on other devices."""
    monkeypatch.setenv("TFQZ_XLA", way)
    inputs = case(rng, (2,), m, n, dtype)
    compiled = [y.numpy() for y in tf.function(extend, jit_compile=True)(*map(tf.constant, inputs))]
    eager = extend(*inputs)
    assert_near(compiled, eager, inputs)
    assert way == "graph" or all(np.array_equal(x, y) for x, y in zip(compiled, eager))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 3), (0, 3, 4), (2, 4, 0), (0, 4, 3)])
@pytest.mark.parametrize("compiled", [False, True])
def test_empty(shape, compiled, rng):
    """Of nothing the complement is all."""
    *batch, m, n = shape
    inputs = case(rng, batch, m, n, "float64")
    found = [y.numpy() for y in tf.function(extend, jit_compile=compiled)(*map(tf.constant, inputs))]
    assert_near(found, expected(*inputs, m > n), inputs)


def test_shapes_that_do_not_fit(rng):
    inputs = case(rng, (2,), 3, 5, "float64")
    for place in range(7):
        wrong = list(inputs)
        wrong[place] = wrong[place][..., :-1, :]
        for compiled in (False, True):
            with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape("must be the frame, its complement and factors of `a`")):
                tf.function(native.extend, jit_compile=compiled)(*wrong[:3], wrong[3:], False, in_ops)
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape("got (4, 3, 5), (2, 5, 3), (2, 5, 2), (2, 3, 3), ")):
        extend(np.zeros((4, 3, 5)), *inputs[1:])
    with pytest.raises(tf.errors.InvalidArgumentError):
        native.extend(*inputs[:3], inputs[3:], True, in_ops)


def test_what_is_known_of_shapes():
    def shapes(a, x):
        specs = [tf.TensorSpec(shape, tf.float64) for shape in (a, x)]
        square = tf.zeros([2, 3, 3], tf.float64)

        def call(a, x):
            return native.extend(a, x, tf.zeros([2, 5, 2], tf.float64), [square] * 4, False, in_ops)

        outputs = tf.function(call).get_concrete_function(*specs).outputs
        return [y.shape.as_list() if y.shape.rank is not None else None for y in outputs]

    assert shapes([3, 5], [2, 5, 3]) == [[2, 3, 5], [2, 3, 5], [2, 3, 3], [2, 5, 5]]
    assert shapes([None, 3, None], [None, 5, 3]) == [[None, 3, None], [None, 3, None], [None, 3, 3], [None, None, None]]
    assert shapes(None, [2, 5, 3]) == [[2, None, None]] * 4
    assert shapes([3, 5], None) == [None] * 4


@pytest.mark.parametrize("of_a, a_stacked", [((4, 2), True), ((4,), True), ((2,), False), ((), False)])
@pytest.mark.parametrize("m, n", [(3, 5), (5, 3)])
def test_vectorized(of_a, a_stacked, m, n, rng):
    """A's batch shape may be smaller than that of the others, with or without the iterations."""
    a, *others = case(rng, (4, 2), m, n, "float64", of_a)
    others = [tf.constant(y) for y in others]

    def call(inputs):
        return extend(inputs[0] if a_stacked else tf.constant(a), *inputs[-6:])

    together = tf.vectorized_map(call, ([tf.constant(a)] if a_stacked else []) + others, fallback_to_while_loop=False)
    for i in range(4):
        one = extend(a[i] if a_stacked else a, *(y[i] for y in others))
        assert all(np.allclose(y[i], of_one, atol=1e-12) for y, of_one in zip(together, one))


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("tall", [False, True])
def test_factors_beyond_the_range(tall, backend, rng):
    """Rows of A may be longer than the largest number, beside an ordinary square part: an error, or NaN for that element alone."""
    a, b = rng.standard_normal((2, 2, 4, 7))
    b[..., 4:] = 0
    a[1, :, 4:] = 1e308 * np.sqrt([1, 3, 3])
    if tall:
        a, b = (np.ascontiguousarray(x.swapaxes(1, 2)) for x in (a, b))
        a[1, 4:] = 1e308 * np.sqrt([[1], [3], [3]])
    found = [x.numpy() for x in tfqz.qz(a, b, backend=backend, on_failure="nan")]
    alone = [x.numpy() for x in tfqz.qz(a[:1], b[:1], backend=backend)]
    if np.isnan(found[0][1]).any():
        assert all(np.isnan(x[1]).all() for x in found)
        words = r"`a` must have factors in the range of its dtype; got \d+ entries that are not in batch element \[1\]"
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            tfqz.qz(a, b, backend=backend)
    else:  # of a turn of it that happens to fit
        assert backend == "graph" and all(np.isfinite(x).all() for x in found)
    assert all(np.allclose(x[0], y[0], rtol=1e-12, atol=1e-12) for x, y in zip(found, alone))
