"""Sparse, integer and singular pencils, in which much is exactly zero or equal: everything is finite, blocks are what they should be,
infinite eigenvalues infinite. Thousands of them: what goes wrong there does so once in some thousand."""

import cases
import numpy as np
import oracles
import pytest
import tensorflow as tf
from functionals import deviates
from test_factors import THRESHOLD

import tfqz
from tfqz import _backends


def structured(rng, dtype, count):
    """Stacks of pencils of some sizes, `count` in each."""

    def integers(*shape):
        return (rng.integers(-2, 3, shape) + (1j * rng.integers(-2, 3, shape) if dtype in cases.COMPLEX else 0)).astype(dtype)

    def kept(share, *shape):
        return rng.random((count, *shape)) < share

    for n in (2, 3, 4, 6, 9):
        share = rng.uniform(0.2, 0.6, (count, 1, 1))
        yield tuple(deviates(rng, (count, n, n), dtype) * (rng.random((count, n, n)) < share) for _ in "ab")
        yield integers(count, n, n), integers(count, n, n)
        yield tuple(integers(count, n, n) * (rng.random((count, n, n)) < share) for _ in "ab")
        ranks = rng.integers(0, n + 1, 2)
        yield tuple(integers(count, n, k) @ integers(count, k, n) for k in ranks)
        common = kept(0.8, 1, n)
        yield tuple(integers(count, n, n) * common for _ in "ab")


def block_problems(s, t, alpha):
    """Pencils of a stack with a 2 x 2 block whose alpha is real, or whose eigenvalues are by the exact sign of their discriminant."""
    k, j = np.nonzero(np.diagonal(s, -1, -2, -1))
    (p, q), (r, u) = [[s[k, j + x, j + y].astype(np.longdouble) for y in (0, 1)] for x in (0, 1)]
    a, d = (t[k, j + x, j + x].astype(np.longdouble) for x in (0, 1))
    discriminant = ((p * d - u * a) / 2) ** 2 + (q * r) * (a * d)
    return k[(alpha[k, j].imag == 0) | (discriminant >= 0)]


def assert_sound(a, b, outputs):
    s, t, q, z, alpha, _beta = outputs
    assert all(np.isfinite(x).all() for x in outputs)
    assert not np.tril(t, -1).any() and not np.tril(s, -1 if np.iscomplexobj(s) else -2).any()
    for i in range(0, len(a), 50):
        assert oracles.residuals(a[i], b[i], *(x[i] for x in outputs[:4])) < THRESHOLD
    n, eps = a.shape[-1], np.finfo(a.dtype).eps
    # |A - Q S Z^H|, the same for B, and orthogonality, of all; in the Frobenius norm.
    for x, factor in ((a, s), (b, t)):
        error = np.linalg.norm(x - q @ factor @ np.conj(np.swapaxes(z, 1, 2)), axis=(1, 2))
        assert np.all(error <= THRESHOLD * n * eps * np.linalg.norm(x, axis=(1, 2)))
    for x in (q, z):
        assert np.all(np.linalg.norm(np.conj(np.swapaxes(x, 1, 2)) @ x - np.eye(n), axis=(1, 2)) <= THRESHOLD * n * eps)
    if not np.iscomplexobj(s):
        assert block_problems(s, t, alpha).size == 0


def decompose(a, b, backend, on_failure="raise"):
    return [x.numpy() for x in _backends.choose(backend).factorize(tf.constant(a), tf.constant(b), on_failure)]


@pytest.mark.slow_if("graph-complex64", "graph-float32", "graph-float64")
@pytest.mark.parametrize("dtype", cases.ALL)
def test_all_is_sound(dtype, backend, rng):
    for a, b in structured(rng, dtype, {"native": 4000, "scipy": 100, "graph": 150}[backend]):
        assert_sound(a, b, decompose(a, b, backend))


@pytest.mark.parametrize("simd", ["avx512", "avx2", "baseline", "none"])
@pytest.mark.parametrize("dtype", cases.ALL)
def test_in_all_vectors(dtype, simd, monkeypatch, rng):
    monkeypatch.setenv("TFQZ_SIMD", simd)
    for a, b in structured(rng, dtype, 800):
        try:
            outputs = decompose(a, b, "native")
        except tf.errors.InvalidArgumentError as error:
            if "TFQZ_SIMD" not in str(error):
                raise
            pytest.skip("not on this machine")
        assert_sound(a, b, outputs)


# The sum in the quotient of the shift has a denormal square in single precision.
TINY_SUM = np.zeros((2, 4, 4), np.complex64)
TINY_SUM[0][[2, 3, 3], [1, 0, 3]] = -0.33743754 + 0.158511147j, 0.425318897 + 0.905018449j, -0.459317476 + 0.828362167j
TINY_SUM[1][[1, 2, 3, 3], [1, 2, 0, 3]] = (
    1.4669627 + 1.15679967j, 0.481058627 + 0.309500635j, 1.29043221 - 0.382120639j, 1.01383603 - 1.02339435j,
)  # fmt: skip


@pytest.mark.parametrize("simd", ["avx512", "avx2", "baseline"])
def test_a_tiny_sum_in_the_shift(simd, backend, monkeypatch):
    monkeypatch.setenv("TFQZ_SIMD", simd)
    a, b = (np.stack([x, x]) for x in TINY_SUM)
    try:
        outputs = decompose(a, b, backend)
    except tf.errors.InvalidArgumentError:
        pytest.skip("not on this machine")
    assert_sound(a, b, outputs)


@pytest.mark.parametrize("dtype", cases.ALL)
def test_what_overflows_is_a_failure(dtype, backend):
    """S has an entry n times as large as A's, out of range: an error that says so, and NaN in that element alone."""
    n = 4
    a = np.stack([np.eye(n), np.full((n, n), np.finfo(dtype).max * 0.9)] * 2).astype(dtype)
    b = np.broadcast_to(np.eye(n, dtype=dtype), a.shape)
    for x, y, where in ((a[:2], b[:2], r" in batch element \[1\]"), (a[1], b[1], "")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"(returned|got) NaN or Inf{where}"):
            tfqz.qz(x, y, backend=backend)
    for factor in tfqz.qz(a, b, backend=backend, on_failure="nan"):
        assert np.isnan(factor[1]).all() and np.isnan(factor[3]).all() and np.isfinite(factor[::2]).all()
    if backend != "graph":  # which computes with the pencil (A, I) scaled
        with pytest.raises(tf.errors.InvalidArgumentError, match="returned NaN or Inf"):
            tfqz.schur(a[1], backend=backend)


@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("count", [1, 20])
def test_what_is_triangular_keeps_its_small_entries(dtype, count, backend):
    """No rounding touches them: 2, 3, 4, 5 are eigenvalues, though t_jj is far below the precision times the norm of T."""
    t = np.diag([1, 1e-10, 1e-16, 1e-19]) + np.triu(np.ones((4, 4)), 1)
    a, b = (np.stack([x.astype(dtype)] * count) for x in (t * [[2], [3], [4], [5]], t))
    _, _, _, _, alpha, beta = decompose(a, b, backend)
    assert np.allclose(alpha / beta, [2, 3, 4, 5], rtol=1e-5)


@pytest.mark.parametrize("dtype", cases.COMPLEX)
@pytest.mark.slow
def test_nothing_is_left_below_the_diagonal_by_lapack(dtype, rng):
    """Badly scaled pencils, larger ones than those that are not LAPACK's, with many t_jj that it finds negligible."""
    n = 400
    for span in (2, 6):
        rows, columns = 10.0 ** rng.integers(-span, span + 1, (2, n))
        a, b = ((rows[:, None] * deviates(rng, (n, n), "complex128") * columns).astype(dtype) for _ in "ab")
        factors = [x.numpy() for x in tfqz.qz(a, b, backend="native")]
        assert oracles.structure_error(*factors[:2]) == ""
        assert oracles.residuals(a, b, *factors) < THRESHOLD
