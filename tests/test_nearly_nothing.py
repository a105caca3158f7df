"""Numbers that are nothing, or nearly: 0/0 in gradients, denormals in TensorFlow ops, what rounding leaves of nearly real pairs; all of it
found by the fuzzer of values, tests/fuzz_values."""

import cases
import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates, gradient, inner
from fuzz_values import properties

import tfqz
from tfqz._backends import native as op_library
from tfqz._derivative import equations, linear

NATIVE = pytest.mark.skipif(op_library.why_not() is not None, reason=str(op_library.why_not()))
UNDETERMINED = {
    "one": (np.zeros((1, 1)), np.zeros((1, 1))),
    "all": (np.zeros((3, 3)), np.zeros((3, 3))),
    "some": (np.diag([1.0, 0, 0, 2]), np.diag([1.0, 0, 0, 0])),
    "denormal": (np.zeros((3, 3)), np.array([[0, 0, 0], [0.5, 0, 0], [0, 1e-45, 0]])),
    "phase": (np.array([[0, 0, 0.5], [0, 0, 0], [0, 1e-45, 0]]), np.zeros((3, 3))),
    "nilpotent": (np.eye(12)[::-1] + np.eye(12, k=-5)[::-1] / 200 + np.triu(np.ones((12, 12)), 7) / 200, np.zeros((12, 12))),
}


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("name", UNDETERMINED)
def test_gradients_of_undetermined_eigenvalues_are_finite(name, dtype, backend, rng):
    """Of alpha and beta, alone and with factors, and of eigenvectors."""
    a, b = (x.astype(dtype) for x in UNDETERMINED[name])
    n = len(a)
    weights = [deviates(rng, (2, n), "complex128"), *(deviates(rng, (n, n), "complex128") for _ in range(2))]

    def of_eigenvalues(a, b):
        return inner(weights[:1], [tf.cast(tfqz.eigvals(a, b, True, backend=backend), tf.complex128)])

    def of_ordered(a, b):
        s, _, alpha, beta, q, _ = (tf.cast(x, tf.complex128) for x in tfqz.ordqz(a, b, backend=backend))
        return inner([weights[0], *weights[1:]], [tf.stack([alpha, beta]), s, q])

    def of_vectors(a, b):
        return inner(weights, [tf.cast(x, tf.complex128) for x in tfqz.eig(a, b, True, True, True, backend=backend)])

    for f in (of_eigenvalues, of_ordered, of_vectors):
        assert all(np.isfinite(g).all() for g in gradient(f, a, b)), f


@pytest.mark.parametrize("native", [False, pytest.param(True, marks=NATIVE)])
@pytest.mark.parametrize("dtype", cases.ALL)
def test_equations_of_what_rounding_leaves(dtype, native, rng):
    """Two eigenvalues 0/0, whose squares leave the range."""
    tiny = 1e-23 if np.finfo(dtype).bits == 32 else 1e-162
    S, T = np.array([[1, 2, 3], [0, tiny, tiny], [0, 0, 15 * tiny]], dtype), np.diag([0.9, 0, 0]).astype(dtype)
    M, N = (np.tril(deviates(rng, (3, 3), dtype), -1) for _ in "MN")
    for solve in (equations.solve, equations.solve_adjoint):
        assert all(np.isfinite(x).all() for x in solve(*map(tf.constant, (S, T, M, N)), native))


@NATIVE
@pytest.mark.parametrize("shape", [(6, 8), (8, 6)])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_gradients_of_singular_rectangular_pencils_are_finite(dtype, shape, simd, rng):
    """Of which S, where T has zeros, is rounding."""
    a, b = np.ones(shape, dtype), np.zeros(shape, dtype)
    b[3, 1] = 1
    for output in ("real", "complex"):
        weights = [deviates(rng, x.shape, x.dtype.as_numpy_dtype) for x in tfqz.qz(a, b, output, backend="native")]
        for _ in range(3):
            assert all(np.isfinite(g).all() for g in gradient(lambda a, b: inner(weights, tfqz.qz(a, b, output, backend="native")), a, b))
            a = a * (1 + np.finfo(dtype).eps * rng.integers(-1, 2, shape)).astype(dtype)


@pytest.mark.parametrize("exponent", [-540, 0, 500])
def test_quotients_of_equal_sizes(exponent, backend, rng):
    """alpha / beta where the square of beta leaves the range."""
    a, b = (deviates(rng, (3, 3), "complex128") for _ in "ab")
    scaled = [np.ldexp(x.real, exponent) + 1j * np.ldexp(x.imag, exponent) for x in (a, b)]
    np.testing.assert_allclose(tfqz.eigvals(*scaled, backend=backend), tfqz.eigvals(a, b, backend=backend), rtol=1e-13)


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("dtype", cases.ALL)
def test_denormals_are_numbers(dtype, backend, rng):
    """Entries next to the smallest normal number, or below, in all decompositions that TensorFlow ops have a part in."""
    least = -130 if np.finfo(dtype).bits == 32 else -1030
    for i, j in ((least, least), (0, least), (least, 0)):
        for shape in ((4, 4), (3, 5), (5, 3)):
            a, b = (properties.times(deviates(rng, shape, dtype), e) for e in (i, j))
            relative, absolute = properties.precision(a.dtype, 5)
            wide = properties.wide
            s, t, q, z = (x.numpy() for x in tfqz.qz(a, b, rank=3, backend=backend))
            error = properties.H(wide(q)) @ wide(a) @ wide(z) - wide(s)
            assert properties.norm(error) <= relative * properties.norm(wide(a)) + absolute
            rest = np.linalg.svd(((wide(b) - wide(q) @ wide(t) @ properties.H(wide(z))) / 2.0**j).astype(complex), compute_uv=False)
            whole = np.linalg.svd((wide(b) / 2.0**j).astype(complex), compute_uv=False)
            assert rest[0] <= (whole[3] if len(whole) > 3 else 0) + float(relative * whole[0] + absolute / 2.0**j)
            if shape != (4, 4):
                s, t, q, z = (x.numpy() for x in tfqz.qz(a, b, backend=backend))
                assert properties.residual(a, q, s, z) <= 1 and properties.residual(b, q, t, z) <= 1
            else:
                left, right = (x.numpy() for x in tfqz.eig(a, b, True, True, backend=backend)[1:])
                assert properties.vectors(a, b, right) <= 1 and properties.vectors(properties.H(a), properties.H(b), left) <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_that_underflow(dtype, backend, rng):
    """Of eigenvalues that are rounding errors of denormal numbers: what isn't in a block is real."""
    x, y = rng.standard_normal((2, 200, 4, 1))
    a, b = properties.times((x * y.swapaxes(1, 2)).astype(dtype), np.finfo(dtype).minexp + 2), deviates(rng, (200, 4, 4), dtype)
    below = np.diagonal(tfqz.qz(a, b, backend=backend).s, -1, 1, 2) != 0
    in_block = np.pad(below, [(0, 0), (0, 1)]) | np.pad(below, [(0, 0), (1, 0)])
    alpha = tfqz.eigvals(a, b, True, backend=backend).numpy()[:, 0]
    assert np.count_nonzero(below) > 10 and np.all(in_block | (alpha.imag == 0))


# A pair whose imaginary part is rounding.
NEARLY_REAL = (
    np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, -3.662109375e-05, -3.662109375e-05, 0], [0, 0, 0, 0.5]]),
    np.array([[0, 0.00078125, 0.00078125, 0], [0.5, 0.125, 0, 0], [-0.5, 0.125, 0, 0], [0, 0.5, 0, 0]]),
)


@NATIVE
def test_vectors_of_nearly_real_pairs(simd, rng):
    """Are those of a pencil nearby."""
    a, b = NEARLY_REAL
    for _ in range(20):
        q, z = (np.linalg.qr(rng.standard_normal(a.shape))[0] for _ in "qz")
        assert_vectors(q @ a @ z, q @ b @ z)


@NATIVE
def test_vectors_behind_nearly_double_pairs(simd, rng):
    """Where all eigenvalues are near one another the 2 x 2 systems of pairs are nearly singular."""
    for _ in range(60):
        b = rng.standard_normal((6, 6))
        assert_vectors(1.3 * b + 1e-4 * rng.standard_normal((6, 6)), b)


@NATIVE
def test_vectors_of_pairs_of_denormals(simd):
    """Are those of the same pencil in ordinary numbers: alpha and beta have more digits than numbers of their size."""
    a, b = np.array([[76408600.0, 3], [-20629100, 0]]), np.diag([28895500.0, 1])
    found, expected = (tfqz.eig(*(properties.times(x, e) for x in (a, b)), True, True, backend="native")[1:] for e in (-1074, 0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pairs_of_denormals_go_together(dtype, backend):
    """To a callable `sort` one of a pair may be what the other isn't; TensorFlow's threads take the entry below the diagonal for 0."""
    a = properties.times(np.array([[0, 1], [-1, 0]], dtype), np.finfo(dtype).minexp - 8)
    found = tfqz.deflating_subspace(a, np.eye(2, dtype=dtype), lambda alpha, beta: np.imag(alpha) > 0, backend=backend)
    assert found.dimension == 2


def assert_vectors(a, b):
    left, right = (v.numpy() for v in tfqz.eig(a, b, True, True, backend="native")[1:])
    assert properties.vectors(a, b, right) <= 1 and properties.vectors(a.T, b.T, left) <= 1


@NATIVE
@pytest.mark.parametrize("dtype", cases.ALL)
def test_frames_of_columns_with_small_entries(dtype, simd):
    """In a batch: a first entry whose square has few digits, with a real or a complex phase."""
    least = 5e-23 if np.finfo(dtype).bits == 32 else 5e-162
    for small in (least, least * (1 + 2j) if np.dtype(dtype).kind == "c" else -least):
        b = np.array([[[small], [1]], [[1], [small]], [[2], [0]]], dtype)
        for a in (np.zeros_like(b), np.ones_like(b)):
            for x, y, *factors in zip(a, b, *(x.numpy() for x in tfqz.qz(a, b, backend="native"))):
                s, t, q, z = factors
                assert max(properties.unitarity(q), properties.residual(x, q, s, z), properties.residual(y, q, t, z)) <= 1


@NATIVE
@pytest.mark.parametrize("seed", [139, 191])
def test_complements_of_frames_with_denormals(seed):
    """Their phases have few digits."""
    rng = np.random.default_rng(seed)

    def matrix():
        size = 10.0 ** rng.uniform(-290, 290, (12, 3))
        real = rng.standard_normal((12, 3)) * size
        return real + 1j * rng.standard_normal((12, 3)) * 10.0 ** rng.uniform(-290, 290, (12, 3))

    q = tfqz.qz(matrix(), matrix(), backend="native").q.numpy()
    assert np.abs(q.conj().T @ q - np.eye(12)).max() < 12 * properties.THRESHOLD * np.finfo(np.float64).eps


@pytest.mark.slow_if("graph-complex64")
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_bases_of_frames_with_denormals(dtype, backend):
    """Phases of entries whose squares are 0."""
    least = float(np.finfo(dtype).smallest_subnormal)
    a = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, least], [0.015625, 0, 0, 2.6e5 * least]], dtype)
    subspace = tfqz.deflating_subspace(a, np.diag([1, 1, 0, 1]).astype(dtype), "iuc", backend=backend)
    assert subspace.dimension == 3
    for basis, projector in ((subspace.right, subspace.right_projector), (subspace.left, subspace.left_projector)):
        np.testing.assert_allclose(basis @ tf.linalg.adjoint(basis), projector, atol=50 * np.finfo(dtype).eps)
        np.testing.assert_allclose(tf.linalg.adjoint(basis) @ basis, np.diag([1, 1, 1, 0]), atol=50 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [pytest.param(dtype, marks=pytest.mark.slow) if dtype != "float32" else dtype for dtype in cases.ALL])
def test_rows_of_very_different_lengths_in_ops(dtype, rng):
    """What is left of a column may have squares that are denormals, of which TensorFlow's QR makes reflectors that aren't unitary."""
    span = 70 if dtype in ("float32", "complex64") else 540
    a, b = deviates(rng, (2, 2000, 4, 4), dtype)
    b = (b * np.ldexp(1.0, -rng.integers(0, span, (2000, 4, 1))) * np.ldexp(1.0, -rng.integers(0, span // 4, (2000, 1, 4)))).astype(dtype)
    t, q, z = (x.numpy() for x in tfqz.qz(a, b, backend="graph")[1:])
    assert max(properties.unitarity(x[k]) for x in (q, z) for k in range(len(a))) < 1
    assert max(properties.residual(b[k], q[k], t[k], z[k]) for k in range(len(a))) < 1


@pytest.mark.parametrize("dtype, exponent", [("float32", -70), ("complex64", -70), ("float64", -540), ("complex128", 500)])
def test_linear_systems_of_any_size(dtype, exponent, rng):
    """Whose squares are denormals, or nothing, or infinite."""
    A, F = deviates(rng, (2, 5, 3, 3), dtype)
    expected = np.linalg.solve(A, F)
    scale = np.ldexp(1.0, exponent).astype(A.real.dtype)
    found = linear.solve(tf.constant(scale * A), tf.constant(F), native=False).numpy()
    assert np.allclose(scale * found, expected, rtol=1000 * np.finfo(dtype).eps)
