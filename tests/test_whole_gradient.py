"""The op `Tfqz>WholeGradient`, the gradient of the complete factors of a rectangular pencil, against its formula in TensorFlow ops."""

import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates

import tfqz
from tfqz._backends import native
from tfqz._derivative import rectangular

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")

# On either side of where xGEMM takes over from loops, and of where pencils go in lockstep.
SIZES = [(6, 8), (8, 6), (1, 4), (4, 1), (7, 8), (9, 2), (20, 30), (40, 30), (3, 40), (36, 40)]
DTYPES = ["float32", "float64", "complex64", "complex128"]


def unitary(rng, batch, n, dtype):
    return np.linalg.qr(deviates(rng, (*batch, n, n), dtype))[0]


def pencil(rng, batch, m, n, dtype, infinite):
    """Of so many infinite eigenvalues, the others well apart, of real dtypes with pairs of complex ones."""
    p, l = min(m, n), max(m, n)
    s, t = (np.triu(deviates(rng, (*batch, p, p), dtype), 1) / (2 * p) for _ in range(2))
    s, t = s + np.diag(np.arange(1.0, p + 1)), t + np.eye(p)
    for j in range(0, p - 1 - infinite, 2):
        s[..., j, j + 1], s[..., j + 1, j], s[..., j + 1, j + 1] = 0.4, -0.4, s[..., j, j]
    j = np.arange(p - infinite, p)
    t[..., j, j] = 0
    beside = deviates(rng, (*batch, p, l - p), dtype)
    q, z = unitary(rng, batch, p, dtype), unitary(rng, batch, l, dtype)
    z_h = np.swapaxes(z.conj(), -1, -2)
    pencil = [(q @ np.concatenate(x, -1) @ z_h).astype(dtype) for x in ((s, beside), (t, 0 * beside))]
    return pencil if m < n else [np.swapaxes(x.conj(), -1, -2).copy() for x in pencil]


def inputs_of(a, b, infinite, rng):
    """Those of the op, but for the chosen rows, and these."""
    factors = tfqz.qz(a, b, on_failure="nan", rank_of_b=min(a.shape[-2:]) - infinite)
    cotangents = [tf.constant(deviates(rng, x.shape, x.dtype.as_numpy_dtype)) for x in factors]
    m, n = a.shape[-2:]
    rows = [native.complement(x)[1] for x in (factors.z[..., : min(m, n)], factors.q[..., max(m - n, 0) :])]
    return [*factors, *cotangents, tf.constant(a)], rows


def by_op(inputs, rows):
    return [x.numpy() for x in native.whole_gradient(inputs, rows, None)]


def by_formula(inputs, rows):
    m, n = inputs[-1].shape[-2:]
    return [x.numpy() for x in rectangular._whole(*inputs, *rows, native=True, right=m < n, left=m > n)]


def assert_close(got, expected, dtype):
    for x, y in zip(got, expected):
        assert np.all(np.isfinite(x))
        error, size = (np.linalg.norm(z, axis=(-2, -1)) for z in (x - y, y))
        assert np.max(error / size) < 1e4 * np.finfo(dtype).eps


@pytest.mark.slow_if("complex64", "float32")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, n", SIZES)
@pytest.mark.parametrize("infinite", [0, 1, 2])
def test_is_the_formula(m, n, infinite, dtype, rng):
    if infinite > min(m, n) // 2:
        pytest.skip("too small")
    for batch in ((), (1,), (2, 5)):
        inputs, rows = inputs_of(*pencil(rng, batch, m, n, dtype, infinite), infinite, rng)
        assert_close(by_op(inputs, rows), by_formula(inputs, rows), dtype)


@pytest.mark.slow_if("float32")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, n", [(6, 8), (8, 6), (36, 40)])
def test_elements_that_failed(m, n, dtype, rng):
    """Beside others, of which some are deficient; NaN where cotangents are not all 0."""
    full, deficient = (pencil(rng, (4,), m, n, dtype, infinite) for infinite in (0, 2))
    a, b = (np.concatenate(x) for x in zip(full, deficient))
    a[[2, 5]] = np.nan
    inputs, rows = inputs_of(a, b, 0, rng)
    inputs[4:8] = [tf.constant(np.where(np.arange(8)[:, None, None] == 5, 0, x)) for x in inputs[4:8]]
    got, expected = by_op(inputs, rows), by_formula(inputs, rows)
    good = [i for i in range(8) if i not in (2, 5)]
    assert_close([x[good] for x in got], [x[good] for x in expected], dtype)
    assert all(np.all(np.isnan(x[2])) and np.all(x[5] == 0) for x in (*got, *expected))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("m, n", [(3, 5), (5, 3)])
@pytest.mark.slow_if("3-5-complex128", "5-3")
def test_in_programs_of_xla_and_for_iterations(m, n, dtype, rng):
    a, b = map(tf.constant, pencil(rng, (3,), m, n, dtype, 0))
    weights = [tf.constant(deviates(rng, x.shape, dtype)) for x in tfqz.qz(a, b)]

    def gradients(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = tf.add_n([tf.math.real(tf.reduce_sum(tf.math.conj(w) * x)) for w, x in zip(weights, tfqz.qz(a, b))])
        return tape.gradient(value, [a, b])

    def jacobian(a, b):
        with tf.GradientTape() as tape:
            tape.watch(b)
            t = tfqz.qz(a, b).t
        return tape.jacobian(t, b)

    expected = gradients(a, b)
    for got in (tf.function(gradients)(a, b), tf.function(gradients, jit_compile=True)(a, b)):
        for x, y in zip(got, expected):
            np.testing.assert_allclose(x, y, atol=1e-10 * np.abs(y).max())
    found = tf.function(gradients).get_concrete_function(a, b).graph.get_operations()
    assert "Tfqz>WholeGradient" in {op.type for op in found}
    if dtype == "float64":
        whole = jacobian(a[0], b[0])
        with tf.GradientTape() as tape:
            tape.watch(b)
            entry = tfqz.qz(a, b).t[0, m - min(m, n), 1]
        np.testing.assert_allclose(whole[m - min(m, n), 1], tape.gradient(entry, b)[0], atol=1e-10)


def test_shapes_are_checked(rng):
    inputs, rows = inputs_of(*pencil(rng, (2,), 3, 5, "float64", 0), 0, rng)
    for changed in ([*inputs[:2], inputs[3], *inputs[3:]], [*inputs[:-1], inputs[-1][0]]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="of a pencil that isn't square; got"):
            native.whole_gradient(changed, rows, None)
    with pytest.raises(tf.errors.InvalidArgumentError, match="right_rows"):
        native.whole_gradient(inputs, [rows[0][:, :1], rows[1]], None)
