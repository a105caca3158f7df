"""Generalized Schur forms put in order by the native backend: neighbouring blocks of all kinds, in every width of vectors."""

import cases
import numpy as np
import oracles
import pytest
import tensorflow as tf
from functionals import deviates
from test_ordqz_failures import REFUSED_BY_BOTH

from tfqz._backends import graph, native, scipy

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason=str(native.why_not()))


def schur_form(rng, n, dtype, pairs):
    """S, T, Q, Z in canonical form, [n, n], with well-conditioned eigenvalues: every fifth infinite, and complex pairs if `pairs`."""
    s, t = (np.triu(deviates(rng, (n, n), dtype)) / (2 * n) for _ in "st")
    np.fill_diagonal(s, deviates(rng, n, dtype) + np.where(rng.random(n) < 0.5, 1, -1))
    np.fill_diagonal(t, np.where(np.arange(n) % 5 == 4, 0, 1 + rng.random(n)))
    j = 0
    while pairs and j + 1 < n:
        if rng.random() < 0.5:
            p, (q, r), (a, d) = rng.standard_normal(), 1 + rng.random(2), np.sort(1 + rng.random(2))[::-1]
            s[j : j + 2, j : j + 2] = [[p, q], [-r, p]]
            t[j : j + 2, j : j + 2] = np.diag([a, d])
            j += 1
        j += 1
    q, z = (np.linalg.qr(deviates(rng, (n, n), dtype))[0] for _ in "qz")
    return oracles.canonical(s, t, q, z)


def schur_forms(rng, count, n, dtype):
    """Those of real dtypes with and without pairs."""
    real = np.dtype(dtype).kind == "f"
    forms = [schur_form(rng, n, dtype, real and k % 3 != 0) for k in range(count)]
    return [np.stack(factor).astype(dtype) for factor in zip(*forms)]


def reorder(factors, labels, on_failure="raise"):
    outputs = native.reorder([tf.constant(x) for x in factors], tf.constant(labels, tf.int32), on_failure)
    return [x.numpy() for x in outputs]


def labels_of(kind, rng, count, n):
    return {
        "none": np.zeros((count, n), np.int32),
        "all": np.full((count, n), -7, np.int32),
        "one": np.eye(n, dtype=np.int32)[rng.integers(0, n, count)],
        "half": rng.integers(0, 2, (count, n)),
        "classes": rng.integers(-3, 3, (count, n)),
        "backwards": np.tile(2**31 - n + np.arange(n), (count, 1)),
    }[kind].astype(np.int32)


def expected_order(s, labels):
    """Where each row comes from."""
    rows = [(max(labels[j : j + size]), list(range(j, j + size))) for j, size in oracles.blocks(s)]
    return [j for _, block in sorted(rows, key=lambda row: -int(row[0])) for j in block]


def assert_in_order(before, labels, after):
    s, t, q, z, alpha, beta = after
    eps = np.finfo(s.dtype).eps
    pencil = [before[2] @ x @ before[3].conj().T for x in before[:2]]
    assert oracles.residuals(*pencil, s, t, q, z) < 30
    assert oracles.structure_error(s, t) == ""
    again = oracles.canonical(s, t, q, z)
    assert all(np.allclose(x, y, atol=100 * eps * np.abs(x).max()) for x, y in zip((s, t, q, z), again))
    order = expected_order(before[0], labels)
    old_alpha, old_beta = (x[order] for x in oracles.homogeneous_eigenvalues(*before[:2]))
    alpha, beta = alpha.astype(complex), np.abs(beta)
    # Each is the old one, as a pair of numbers up to a factor.
    distance = np.abs(alpha * old_beta - old_alpha * beta) / (np.hypot(abs(alpha), beta) * np.hypot(abs(old_alpha), abs(old_beta)))
    assert distance.max() < 2000 * len(s) * eps
    assert np.array_equal(beta == 0, old_beta == 0)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 12, 33, 50])
@pytest.mark.parametrize("dtype", cases.ALL)
def test_every_order(dtype, n, simd, rng):
    """In batches of all sizes: a single one, fewer than there are lanes, and more."""
    for kind in ("none", "all", "one", "half", "classes", "backwards") if n < 20 else ("one", "classes"):
        for count in (1, 3, 21) if n < 20 else (1, 3):
            factors, labels = schur_forms(rng, count, n, dtype), labels_of(kind, rng, count, n)
            after = reorder(factors, labels)
            for k in range(count):
                assert_in_order([x[k] for x in factors], labels[k], [x[k] for x in after])
            if kind in ("none", "all"):
                assert all(np.allclose(x, y, rtol=0, atol=4 * np.finfo(dtype).eps) for x, y in zip(after[2:4], factors[2:4]))


@pytest.mark.parametrize("dtype", cases.ALL)
def test_what_comes_out_does_not_depend_on_the_others(dtype, simd, rng):
    """Bit by bit: backwards, and beside others that fail or that go elsewhere."""
    n, count = 9, 37
    factors, labels = schur_forms(rng, count, n, dtype), rng.integers(0, 3, (count, n))
    expected = reorder(factors, labels)
    backwards = reorder([x[::-1] for x in factors], labels[::-1])
    assert all(np.array_equal(x, y[::-1]) for x, y in zip(expected, backwards))
    factors[0][1::4] = np.nan
    factors[1][2::4] = np.nan
    some = reorder(factors, labels, "nan")
    for k in range(count):
        for x, y in zip(some, expected):
            assert np.isnan(x[k]).all() if k % 4 in (1, 2) else np.array_equal(x[k], y[k])


@pytest.mark.parametrize("infinite", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_what_nothing_uses(dtype, infinite, simd, rng):
    """In a graph, where Q and others may be left out, the rest is the same."""
    n = 8
    for count in (1, 5):
        factors, labels = schur_forms(rng, count, n, dtype), rng.integers(0, 2, (count, n))
        if not infinite:
            factors[1] = factors[1] + np.eye(n, dtype=dtype) * (np.diagonal(factors[1], 0, -2, -1)[..., None, :] == 0)
        whole = reorder(factors, labels)
        for used in ([3], [4, 5], [0, 1, 3]):

            @tf.function(autograph=False)
            def parts(*factors, labels=labels, used=used):
                outputs = native.reorder(factors, tf.cast(labels, tf.int32), "raise")
                return [outputs[i] for i in used]

            for i, part in zip(used, parts(*factors)):
                assert np.array_equal(part, whole[i])


@pytest.mark.parametrize("kinds", [(1, 1), (1, 2), (2, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nearly_equal_eigenvalues(dtype, kinds, rng):
    """However near, and however far from normal: what LAPACK can exchange is exchanged, with errors that are rounding."""
    n = sum(kinds)
    for distance in (1e-1, 1e-3, 1e-5, 1e-8, 1e-12, 0):
        for size in (1, 1e3, 1e6):
            s, t = np.triu(deviates(rng, (n, n), "float64")), np.triu(deviates(rng, (n, n), "float64"))
            for j, (first, block) in enumerate(zip((0, kinds[0]), kinds)):
                rows = slice(first, first + block)
                ratio = 10.0 ** rng.integers(-4, 1)
                s[rows, rows] = np.array([[1, 1], [-ratio, 1]])[:block, :block] + j * distance * np.eye(block)
                t[rows, rows] = np.eye(block)
            s[: kinds[0], kinds[0] :] *= size
            factors = [np.stack([x] * 2).astype(dtype) for x in (s, t, np.eye(n), np.eye(n))]
            labels = np.array([[0] * kinds[0] + [1] * kinds[1]] * 2)
            ours = [x[0] for x in reorder(factors, labels, "nan")]
            theirs = [x.numpy()[0] for x in scipy.reorder([tf.constant(x) for x in factors], tf.constant(labels, tf.int32), "nan")]
            assert np.isfinite(theirs[0]).all() <= np.isfinite(ours[0]).all()
            if np.isfinite(ours[0]).all():
                assert oracles.residuals(factors[0][0], factors[1][0], *ours[:4]) < 30
                assert oracles.structure_error(*ours[:2]) == ""


def test_zeros(simd, rng):
    """0/0 among others, a zero matrix, and numbers whose squares leave the range."""
    labels = [[0, 0, 1, 1, 2]] * 3
    for dtype in cases.ALL:
        eye = np.eye(5, dtype=dtype)
        s, t = (np.stack([np.triu(deviates(rng, (5, 5), dtype)) for _ in range(3)]) for _ in "st")
        s[0], t[1] = 0, 0
        s[2, 2:], t[2, 2:] = 0, 0
        for scale_s, scale_t in ((1, 1), (1e-30, 1e30), (1e30, 1e-30)):
            factors = [(scale_s * s).astype(dtype), (scale_t * t).astype(dtype), np.stack([eye] * 3), np.stack([eye] * 3)]
            for count in (1, 3):
                after = reorder([x[-count:] for x in factors], labels[-count:])
                for k in range(count):
                    outputs = [x[k] for x in after[:4]]
                    assert oracles.residuals(factors[0][k - count], factors[1][k - count], *outputs) < 30
                    assert oracles.structure_error(*outputs[:2]) == ""


def test_an_element_that_is_refused(simd, rng):
    """Alone, and the others stay what they are."""
    factors = schur_forms(rng, 12, 4, "float64")
    labels = np.array([[0, 0, 1, 1]] * 12)
    expected = reorder(factors, labels)
    for x, y in zip(factors, (*REFUSED_BY_BOTH, np.eye(4), np.eye(4))):
        x[5] = y
    for x, y in zip(reorder(factors, labels, "nan"), expected):
        assert np.isnan(x[5]).all() and np.array_equal(np.delete(x, 5, 0), np.delete(y, 5, 0))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"LAPACK's dtgexc returned info = 1 in batch element \[5\]"):
        reorder(factors, labels)


def of_every_size(rng, first, second, dtype):
    """S, T, Q, Z of two blocks, of one row or two, whose entries are of sizes that have squares beside each other which underflow."""
    n, span = first + second, 80 if dtype == "float32" else 600
    s, t = np.triu(np.ldexp(rng.standard_normal((2, n, n)), -rng.integers(0, span, (2, n, n))))
    for k, size in ((0, first), (first, second)):
        block = slice(k, k + size)
        t[block, block] = np.diag(np.sort(np.abs(np.diag(t)[block]))[::-1])
        if size == 2:
            s[k, k + 1], s[k + 1, k] = abs(s[k, k + 1]), -np.ldexp(1 + rng.random(), -rng.integers(0, span))
    return [x.astype(dtype) for x in (s, t, np.eye(n), np.eye(n))]


@pytest.mark.parametrize("backend", [native, pytest.param(graph, marks=pytest.mark.slow)], ids=["native", "graph"])
@pytest.mark.parametrize("first, second", [(1, 2), (2, 1), (2, 2)])
@pytest.mark.parametrize("dtype", cases.REAL)
def test_blocks_of_numbers_of_every_size(dtype, first, second, backend, rng):
    """Squares that underflow beside others make no cosines and sines: Q and Z stay orthogonal, or the exchange is refused."""
    factors = [np.stack(x) for x in zip(*(of_every_size(rng, first, second, dtype) for _ in range(3000 if backend is native else 600)))]
    labels = np.tile([0] * first + [1] * second, (len(factors[0]), 1)).astype(np.int32)
    s, t, q, z = (x.numpy() for x in backend.reorder(list(map(tf.constant, factors)), tf.constant(labels), "nan")[:4])
    good = ~np.isnan(s).any(axis=(1, 2))
    assert np.mean(good) > 0.7
    for k in np.flatnonzero(good):
        assert oracles.residuals(factors[0][k], factors[1][k], s[k], t[k], q[k], z[k]) < 30
