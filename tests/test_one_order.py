"""A pencil's factors are the same alone and in any batch: up to n = 16 to the last bit, beyond that in the same order of eigenvalues
unless rounding decides it."""

import cases
import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates

import tfqz
from tfqz._backends import native

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason=str(native.why_not()))

COUNT = 64


def jordan(rng, n, dtype):
    """A Jordan block, hidden by unitary matrices."""
    q, z = (np.linalg.qr(deviates(rng, (n, n), dtype))[0] for _ in "qz")
    return q @ (0.7 * np.eye(n) + np.eye(n, k=1)) @ z, q @ z


def with_zeros(rng, n, dtype):
    """Zero, infinite and undetermined eigenvalues."""
    a, b = (deviates(rng, (n, n), dtype) for _ in "ab")
    b[:, : (n + 1) // 2] = 0
    a[:, n // 2 : n // 2 + 2] = 0
    return a, b


def pencils(rng, n, dtype, count=COUNT):
    """Random ones, beside which there are triangular ones, defective ones, ones of any size, zeros, and such as fail."""
    a, b = (deviates(rng, (count, n, n), dtype) for _ in "ab")
    for k in range(count):
        kind = k % 13
        if kind == 1:
            a[k], b[k] = np.triu(a[k]), np.tril(b[k])
        elif kind == 3:
            a[k], b[k] = np.triu(a[k]), np.triu(b[k])
        elif kind == 4:
            a[k], b[k] = jordan(rng, n, dtype)
        elif kind == 6:
            a[k], b[k] = with_zeros(rng, n, dtype)
        elif kind == 7:
            a[k], b[k] = 1e-30 * a[k], 1e30 * b[k]
        elif kind == 9:
            a[k, 0, 0] = np.nan
        elif kind == 10:
            a[k] = 0
            b[k] = 0
        elif kind == 12:
            a[k] = 10.0 ** -np.arange(n)[:, None] * a[k] * 10.0 ** -np.arange(n)
    return a, b


def bits(results):
    """Of [element][result], NaN by any name."""
    results = [np.where(np.isnan(x), np.asarray(np.nan, x.dtype), x) for x in (np.asarray(x) for x in results)]
    return [b"".join(x[k].tobytes() for x in results) for k in range(len(results[0]))]


def one_by_one(f, arrays):
    return [bits([np.asarray(x)[None] for x in f(*(x[k] for x in arrays))])[0] for k in range(len(arrays[0]))]


def in_batches(f, arrays, size, start=0):
    """Of all elements, in batches of `size`, which begin at another element each time that `start` is another."""
    places = np.roll(np.arange(len(arrays[0])), -start)
    found = [None] * len(places)
    for first in range(0, len(places), size):
        chosen = places[first : first + size]
        for place, result in zip(chosen, bits(f(*(x[chosen] for x in arrays)))):
            found[place] = result
    return found


def factorize(a, b):
    return native.factorize(tf.convert_to_tensor(a), tf.convert_to_tensor(b), "nan")


def ordered(a, b):
    return tfqz.ordqz(a, b, sort="iuc", on_failure="nan", backend="native")


def eigvals(a, b):
    return [tfqz.eigvals(a, b, on_failure="nan", backend="native")]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 16])
@pytest.mark.parametrize("dtype", cases.ALL)
def test_to_the_last_bit(dtype, n, simd, rng):
    """In batches of every kind of size, at each place, whatever the others are."""
    arrays = pencils(rng, n, dtype)
    expected = one_by_one(factorize, arrays)
    lanes = {"avx512": 64, "avx2": 32, "baseline": 16}[simd] // np.finfo(dtype).dtype.itemsize
    for size in (2, 3, lanes - 1, lanes, lanes + 1, COUNT):
        assert in_batches(factorize, arrays, max(size, 1)) == expected
    for start in (1, 5):
        assert in_batches(factorize, arrays, lanes, start) == expected


@pytest.mark.parametrize("f", [ordered, eigvals])
@pytest.mark.parametrize("n", [2, 5, 16])
@pytest.mark.parametrize("dtype", cases.ALL)
def test_order_and_eigenvalues(dtype, n, f, simd, rng):
    arrays = pencils(rng, n, dtype)
    expected = one_by_one(f, arrays)
    for size in (3, COUNT):
        assert in_batches(f, arrays, size, start=1) == expected


@pytest.mark.parametrize("dtype", cases.ALL)
def test_threads(dtype, rng):
    """Whichever thread does it: those of a large batch are shared out, one pencil isn't."""
    a, b = pencils(rng, 4, dtype)
    expected = one_by_one(factorize, (a, b))
    many = bits(factorize(np.tile(a, (64, 1, 1)), np.tile(b, (64, 1, 1))))
    assert many == expected * 64


@pytest.mark.parametrize("n", [2, 9, 16])
@pytest.mark.parametrize("dtype", cases.ALL)
def test_gradients(dtype, n, simd, rng):
    """Of the factors and of the eigenvalues; some cotangents are zero, as of what a loss leaves out."""
    a, b = pencils(rng, n, dtype)
    factors = [x.numpy() for x in factorize(a, b)]
    bars = [deviates(rng, x.shape, x.dtype) for x in factors]
    for i, bar in enumerate(bars):
        bar[i::7] = 0
    bars[2][::3] = bars[3][::3] = 0
    bars[4][::2] = bars[5][::2] = 0
    whole = ~np.isnan(factors[0]).any(axis=(1, 2))

    def gradient(*arrays):
        s, t, q, z, *bars = (tf.constant(x) for x in arrays)
        return native.qz_gradient([s, t, q, z], bars[:4], None, eigenvalue_cotangents=bars[4:])

    for some in (4, 6):
        arrays = [x[whole] for x in (*factors[:4], *bars[:some])]
        expected = one_by_one(gradient, arrays)
        for size in (3, COUNT):
            assert in_batches(gradient, arrays, size, start=1) == expected


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_programs(dtype, rng):
    """Eager, in a graph and by XLA, with shapes known and unknown."""
    arrays = pencils(rng, 5, dtype)
    expected = one_by_one(factorize, arrays)
    for options in ({}, {"jit_compile": True}):
        program = tf.function(factorize, autograph=False, **options)
        for size in (1, 3, COUNT):
            assert in_batches(program, [x[:13] for x in arrays], size) == expected[:13]
        assert one_by_one(program, [x[:13] for x in arrays]) == expected[:13]
    unknown = tf.function(factorize, autograph=False, input_signature=[tf.TensorSpec(None, dtype)] * 2)
    assert one_by_one(unknown, arrays) == in_batches(unknown, arrays, 7) == expected


def test_prediction_of_one(rng):
    """A batch's first element, and an epoch's last batch of one."""
    inputs = [tf.keras.Input((6, 6), dtype="float64") for _ in "ab"]
    model = tf.keras.Model(inputs, tfqz.keras.GeneralizedEigenvalues(backend="native")(inputs))
    a, b = (rng.standard_normal((33, 6, 6)) for _ in "ab")
    predicted = model.predict([a, b], batch_size=32, verbose=0)
    for place in (0, 17, 32):
        alone = model.predict([a[place : place + 1], b[place : place + 1]], verbose=0)
        assert alone.tobytes() == predicted[place : place + 1].tobytes()


def points(a, b):
    """Homogeneous eigenvalues (alpha, beta) of length 1, in their order."""
    alpha, beta = (x.numpy() for x in factorize(a, b)[4:])
    length = np.sqrt(abs(alpha) ** 2 + abs(beta) ** 2)
    return alpha / length, beta.real / length


def chordal(x, y):
    return abs(x[0] * y[1] - x[1] * y[0])


@pytest.mark.parametrize("n", [20, 40])
@pytest.mark.parametrize("dtype", cases.ALL)
def test_same_order_unless_rounding_decides(dtype, n, simd, rng):
    """Alone other code rounds otherwise. Where perturbations of some thousand roundings leave the order in a batch as it is, that is it."""
    kept = 0
    for k in range(12):
        a, b = (deviates(rng, (n, n), dtype) for _ in "ab")
        if k % 4 == 3:
            b[:, :2] = 0
        noise = 3e3 * np.finfo(dtype).eps
        others = [(x * (1 + noise * rng.standard_normal((23, n, n)))).astype(dtype) for x in (a, b)]
        alpha, beta = points(*(np.concatenate([x[None], y]) for x, y in zip((a, b), others)))
        distances = abs(np.outer(alpha[0], beta[0]) - np.outer(beta[0], alpha[0])) + np.eye(n)
        reach = distances.min() / 2
        if np.all(chordal((alpha, beta), (alpha[0], beta[0])) < reach):
            kept += 1
            assert np.all(chordal(points(a, b), (alpha[0], beta[0])) < reach)
    assert kept >= 1


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_same_order_of_what_is_triangular_in_part(dtype, simd, rng):
    """Rows and columns that are so already stay where they are, and those that are zero but for one entry don't go anywhere."""
    n = 20
    a, b = (deviates(rng, (n, n), dtype) for _ in "ab")
    for x in (a, b):
        x[:, :4] = np.triu(x[:, :4])
        x[-3:] = np.triu(x)[-3:]
        x[9, :9] = x[9, 10:] = 0
        x[:12, 12] = x[13:, 12] = 0
    alpha, beta = points(np.stack([a] * 16), np.stack([b] * 16))
    assert np.all(chordal(points(a, b), (alpha[0], beta[0])) < 1e-3)
