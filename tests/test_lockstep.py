"""QZ in vectors, in every width that this machine has, over the whole table of cases: small pencils of batches in lockstep, and single
ones."""

import cases
import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import deviates
from test_factors import THRESHOLD, first_largest

import tfqz
from tfqz._backends import native

VARIABLE = "TFQZ_SIMD"
LARGEST = 64  # as in cc/algorithms/batches.cc

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason=str(native.why_not()))


def decompose(a, b, **options):
    return [x.numpy() for x in tfqz.qz(a, b, backend="native", **options)]


def gradient(factors, bars):
    """Cotangents of the pencils from those of the factors and, if there are six, of the eigenvalues."""
    return [x.numpy() for x in native.qz_gradient(list(factors), bars[:4], None, eigenvalue_cotangents=bars[4:])]


def among_others(a, b, rng):
    """The pencil three times among six of others, so that it comes in several lanes and beside several neighbours."""
    others = [(deviates(rng, a.shape, a.dtype), deviates(rng, a.shape, a.dtype)) for _ in range(6)]
    others[2] = np.triu(others[2][0]), np.tril(others[2][1])
    pencils = [(a, b), *others[:3], (a, b), *others[3:], (a, b)]
    return np.stack([x for x, _ in pencils]), np.stack([x for _, x in pencils]), (0, 4, 8)


@pytest.mark.parametrize("a, b", cases.pencils(largest=LARGEST))
def test_every_case(a, b, simd, rng):
    """Reconstruction, unitarity, pattern and canonical form; to the last bit the same in every lane, whatever the others do."""
    if len(a) == 0:
        return
    stacked_a, stacked_b, places = among_others(a, b, rng)
    batch = decompose(stacked_a, stacked_b)
    for x, y, *factors in zip(stacked_a, stacked_b, *batch):
        assert oracles.residuals(x, y, *factors) < THRESHOLD
        assert oracles.structure_error(*factors[:2]) == ""
        s, t, _, z = factors
        diagonal, largest = np.diag(t), np.take_along_axis(z, first_largest(z)[None, :], axis=0)
        assert np.all(np.imag(diagonal) == 0) and np.all(np.real(diagonal) >= 0)
        assert np.all(np.imag(largest) == 0) and np.all(np.real(largest) > 0)
        at_zero = np.diag(s)[diagonal == 0]
        assert np.all(np.imag(at_zero) == 0) and np.all(np.real(at_zero) >= 0)
        for got, expected in zip(factors, oracles.canonical(*factors)):
            assert np.all(np.abs(got - expected) <= 8 * np.finfo(a.dtype).eps * np.abs(got).max(initial=0))
    for factor in batch:
        for place in places[1:]:
            assert np.array_equal(factor[0], factor[place])
    # As many as fill the widest vectors: fewer pencils of more than 32 rows may be decomposed one by one.
    expected = batch if len(a) <= 32 else decompose(np.stack([a, b] * 8), np.stack([b, a] * 8))
    for got, other in zip(decompose(np.stack([b, a] * 8), np.stack([a, b] * 8)), expected):
        assert np.array_equal(got[1], other[0])


def assert_right(a, b, factors):
    """Reconstruction, unitarity, pattern, and the canonical form up to rounding."""
    assert oracles.residuals(a, b, *factors) < THRESHOLD
    assert oracles.structure_error(*factors[:2]) == ""
    for got, expected in zip(factors, oracles.canonical(*factors)):
        assert np.all(np.abs(got - expected) <= 8 * np.finfo(a.dtype).eps * np.abs(got).max(initial=0))


@pytest.mark.parametrize("a, b", cases.pencils())
def test_every_case_by_itself(a, b, simd):
    assert_right(a, b, decompose(a, b))


@pytest.mark.parametrize("dtype", cases.ALL)
def test_every_size(dtype, simd, rng):
    """Sizes that vectors, and the steps of a bulge that are done together, divide with every remainder."""
    for n in [*range(1, 44), 63, 64, 65, 66, 67, 99, 130]:
        a, b = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
        assert_right(a, b, decompose(a, b))


@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.parametrize("n, infinite", [(20, 3), (70, 1), (70, 12)])
def test_infinite_eigenvalues_of_one(dtype, n, infinite, simd, rng):
    """They leave at either end of the pencil, from where vectors are full and from where they are not."""
    a, b = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
    b[:, rng.permutation(n)[:infinite]] = 0
    q, z = (scipy.linalg.qr(deviates(rng, (n, n), dtype))[0] for _ in "qz")
    a, b = q @ a @ z, q @ b @ z
    factors = decompose(a, b)
    assert_right(a, b, factors)
    beta = np.abs(np.diag(factors[1]))
    assert np.count_nonzero(beta <= 4 * n * np.finfo(dtype).eps * np.abs(factors[1]).max()) == infinite


@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("scale_a, scale_b", [(1e-30, 1e30), (1e30, 1e-30), (0, 1), (1, 0)])
def test_scales_of_one(dtype, scale_a, scale_b, simd, rng):
    """No squares leave the range, and none is lost."""
    n = 40
    a, b = (scale * deviates(rng, (n, n), dtype) for scale in (scale_a, scale_b))
    assert_right(a.astype(dtype), b.astype(dtype), decompose(a.astype(dtype), b.astype(dtype)))


def test_numbers_of_every_size_beside_blocks(simd):
    """What one over denormals makes Infinity in one pencil, while another one has a 2 x 2 block, is the same to the last bit alone."""
    rng = np.random.default_rng(0)
    a = rng.integers(-3, 4, (400, 4, 4)).astype("float32")
    b = np.ldexp(rng.uniform(-1, 1, a.shape), rng.integers(-148, 126, a.shape)).astype("float32")
    others = rng.standard_normal((2, *a.shape)).astype("float32")
    a, b = (np.concatenate([x, y]).reshape(2, *x.shape).swapaxes(0, 1).reshape(-1, 4, 4) for x, y in zip((a, b), others))
    whole = decompose(a, b, on_failure="nan")
    for k in range(0, len(a), 2):
        for x, y in zip(whole, decompose(a[k], b[k], on_failure="nan")):
            np.testing.assert_array_equal(x[k], y)


@pytest.mark.parametrize("dtype", cases.ALL)
def test_threads_change_nothing(dtype, simd, rng):
    """A single pencil is shared out over two threads, those of a batch are not."""
    a, b = (deviates(rng, (150, 150), dtype) for _ in "ab")
    for alone, of_two in zip(decompose(a, b), decompose(np.stack([a, a]), np.stack([b, b]))):
        assert np.array_equal(alone, of_two[0]) and np.array_equal(alone, of_two[1])


def assert_parts_are_those_of_the_whole(a, b):
    """In a graph factors that nothing uses aren't computed, nor S and T where only eigenvalues are used; the others don't notice."""
    whole = [x.numpy() for x in native.factorize(tf.constant(a), tf.constant(b), "nan")]
    eps = np.finfo(a.dtype).eps
    for used in ([0], [1], [2], [3], [0, 3], [4, 5]):

        @tf.function(autograph=False)
        def parts(a, b, used=used):
            outputs = native.factorize(a, b, "nan")
            return [outputs[i] for i in used]

        for i, part in zip(used, parts(a, b)):
            if i < 4:
                assert np.array_equal(part, whole[i], equal_nan=True)
            else:
                # No rounding by the phases of Z.
                scale = np.nanmax(np.abs(whole[i]), initial=0)
                assert np.allclose(part, whole[i], rtol=0, atol=4 * a.shape[-1] * eps * scale, equal_nan=True)


@pytest.mark.slow_if("regular", "complex64")
@pytest.mark.parametrize("kind", ["regular", "infinite", "undetermined"])
@pytest.mark.parametrize("dtype", cases.ALL)
def test_what_nothing_uses(dtype, kind, simd, rng):
    for shape in ((5, 5), (6, 8, 8), (40, 40), (5, 40, 40), (130, 130)):
        a, b = (deviates(rng, shape, dtype) for _ in "ab")
        if kind != "regular":
            b[..., :2] = 0
        if kind == "undetermined":
            a[..., 2] = b[..., 2] = 0
        if len(shape) == 3:
            a[1, 0, 0] = np.nan
        assert_parts_are_those_of_the_whole(a, b)


@pytest.mark.parametrize("dtype", cases.ALL)
def test_what_nothing_uses_of_lapacks(dtype, monkeypatch, rng):
    monkeypatch.setenv(VARIABLE, "none")
    for n in (5, 70):
        a, b = (deviates(rng, (n, n), dtype) for _ in "ab")
        a[:, 2] = b[:, 2] = 0
        assert_parts_are_those_of_the_whole(a, b)


def test_triangular_pencils_stay(simd, rng):
    """What is triangular already is decomposed already, but for signs."""
    a, b = (np.triu(deviates(rng, (70, 70), "float64")) for _ in "ab")
    s, t, q, z = decompose(a, b)
    assert np.array_equal(np.abs(s), np.abs(a)) and np.array_equal(np.abs(t), np.abs(b))
    assert np.array_equal(np.abs(q), np.eye(70)) and np.array_equal(np.abs(z), np.eye(70))


@pytest.mark.parametrize("case", [case for case in cases.CASES if case.infinite], ids=str)
@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_infinite_eigenvalues_are_counted(case, dtype, simd, rng):
    a, b = case(dtype)
    _, t, _, _ = decompose(*among_others(a, b, rng)[:2])
    bound = 4 * len(a) * np.finfo(dtype).eps * np.abs(t[0]).max(initial=0)
    assert np.count_nonzero(np.abs(np.diag(t[0])) <= bound) == case.infinite


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True, largest=8))
def test_eigenvalues_are_scipys(a, b, simd, rng):
    if len(a) == 0:
        return
    stacked = among_others(a, b, rng)[:2]
    _, _, _, _, alpha, beta = (x.numpy() for x in native.factorize(*(tf.constant(x) for x in stacked), "raise"))
    expected = list(scipy.linalg.eigvals(a, b))
    for value in alpha[0] / beta[0]:
        nearest = min(expected, key=lambda x: abs(x - value))
        assert abs(nearest - value) < 1e-9 * max(1, abs(value))
        expected.remove(nearest)


@pytest.mark.parametrize("case", [case for case in cases.CASES if not case.singular_pencil and not case.slow], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_alpha_and_beta(case, dtype, simd, rng):
    """Of the blocks as they stand, conjugate pairs with the upper one first."""
    if dtype not in case.dtypes or not 0 < len(case(dtype)[0]) <= LARGEST:
        return
    stacked = among_others(*case(dtype), rng)[:2]
    s, t, _, _, alpha, beta = (x.numpy()[0] for x in native.factorize(*(tf.constant(x) for x in stacked), "raise"))
    expected_alpha, expected_beta = oracles.homogeneous_eigenvalues(s, t)
    eps = np.finfo(dtype).eps
    scale_a, scale_b = (max(np.abs(x).max(), np.finfo(dtype).tiny) for x in (s, t))
    assert np.all(np.abs(alpha - expected_alpha) <= 8 * np.sqrt(eps) * scale_a)
    assert np.all(np.abs(beta - expected_beta) <= 16 * eps * scale_b)
    for k, size in oracles.blocks(s):
        if size == 2:
            assert alpha[k] == alpha[k + 1].conj() and alpha[k].imag >= 0 and beta[k] == beta[k + 1]


@pytest.mark.parametrize("dtype", cases.NOT_CONVERGING.dtypes)
def test_converges_where_lapack_does_not(dtype, simd, rng):
    a, b = cases.NOT_CONVERGING(dtype)
    factors = decompose(*among_others(a, b, rng)[:2])
    assert oracles.residuals(a, b, *(x[0] for x in factors)) < THRESHOLD


@pytest.mark.parametrize("n", [1, 2, 3, 6])
@pytest.mark.parametrize("count", [2, 3, 5, 37])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_any_number_of_pencils(count, n, dtype, simd, rng):
    """Whole groups and what is left over, of which some are not finite: the others are what they are without these."""
    a, b = deviates(rng, (count, n, n), dtype), deviates(rng, (count, n, n), dtype)
    expected = decompose(a, b)
    for i in range(count):
        assert oracles.residuals(a[i], b[i], *(x[i] for x in expected)) < THRESHOLD
    bad = np.arange(count) % 3 == 1
    a[bad, 0, 0] = np.nan
    for got, reference in zip(decompose(a, b, on_failure="nan"), expected):
        assert np.isnan(got[bad]).all() and np.array_equal(got[~bad], reference[~bad])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`a` must be finite; got NaN or Inf in batch element \[1\]"):
        decompose(a, b)


def test_broadcasting_and_xla(simd, rng):
    a, b = deviates(rng, (3, 1, 4, 4), "float64"), deviates(rng, (5, 4, 4), "float64")
    expected = decompose(*(np.broadcast_to(x, (3, 5, 4, 4)) for x in (a, b)))
    for got, compiled, reference in zip(decompose(a, b), tf.function(tfqz.qz, jit_compile=True)(a, b), expected):
        assert np.array_equal(got, reference) and np.array_equal(compiled, reference)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3, 3), (2, 70, 70)])
def test_unknown_vectors(shape, monkeypatch, rng):
    monkeypatch.setenv(VARIABLE, "avx1024")
    words = r"The environment variable TFQZ_SIMD must be one of ('\w+', )+'none' on this machine; got 'avx1024'"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        decompose(deviates(rng, shape, "float64"), deviates(rng, shape, "float64"))


def test_lapack_alone(monkeypatch, rng):
    """Then a batch is what its pencils are one by one."""
    monkeypatch.setenv(VARIABLE, "none")
    a, b = deviates(rng, (4, 5, 5), "complex64"), deviates(rng, (4, 5, 5), "complex64")
    for i, factors in enumerate(zip(*decompose(a, b))):
        for got, single in zip(factors, decompose(a[i], b[i])):
            assert np.array_equal(got, single)


@pytest.mark.parametrize("eigenvalues", [False, True], ids=["factors", "eigenvalues"])
@pytest.mark.parametrize("a, b", cases.pencils(largest=32, separated=True))
def test_gradients(a, b, eigenvalues, simd, monkeypatch, rng):
    """As one by one, without vectors, among others; those beside a pencil with equal eigenvalues too."""
    if len(a) == 0:
        return
    stacked_a, stacked_b, _ = among_others(a, b, rng)
    stacked_a[2] = stacked_b[2] = np.eye(len(a))
    factors = tfqz.qz(stacked_a, stacked_b, backend="native")
    bars = [tf.constant(deviates(rng, stacked_a.shape, a.dtype)) for _ in factors]
    if eigenvalues:
        alpha = deviates(rng, stacked_a.shape[:-1], "complex64" if a.dtype.itemsize == 4 * (1 + np.iscomplexobj(a)) else "complex128")
        bars += [tf.constant(alpha), tf.constant(deviates(rng, stacked_a.shape[:-1], a.dtype))]

    lockstep = gradient(factors, bars)
    monkeypatch.setenv(VARIABLE, "none")
    tolerance = 1e-9 if np.finfo(a.dtype).eps < 1e-10 else 1e-3
    for got, expected in zip(lockstep, gradient(factors, bars)):
        for k in range(len(got)):
            assert abs(got[k] - expected[k]).max() <= tolerance * abs(expected[k]).max()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_a_pencil_is_what_it_is_alone(n, dtype, simd, rng):
    """Bit by bit, in whatever place, beside whichever others, forward and backward: the other way round everything is the same."""
    count = 21
    a, b, *bars = (deviates(rng, (count, n, n), dtype) for _ in range(6))
    bars.append(
        np.complex64(deviates(rng, (count, n), dtype)) if dtype in ("float32", "complex64") else deviates(rng, (count, n), dtype) + 0j
    )
    bars.append(deviates(rng, (count, n), dtype))
    for some in (4, 6):
        found, turned = ([], [])
        for step, results in ((1, found), (-1, turned)):
            factors = [tf.constant(x[::step]) for x in decompose(a, b)]
            results += [
                x[::step] for x in (*decompose(a[::step], b[::step]), *gradient(factors, [tf.constant(x[::step]) for x in bars[:some]]))
            ]
        for x, y in zip(found, turned):
            assert np.array_equal(x, y)


def smallest_distance(s, t):
    """Chordal, of two eigenvalues that are not a complex pair."""
    alpha, beta = (x / np.abs(x).max() for x in oracles.homogeneous_eigenvalues(s, t))
    length = np.sqrt(abs(alpha) ** 2 + beta**2)
    distances = abs(np.outer(alpha, beta) - np.outer(beta, alpha)) / np.outer(length, length)
    for k, size in oracles.blocks(s):
        distances[k : k + size, k : k + size] = 1
    return distances.min()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_blocks_at_all_places(dtype, simd, monkeypatch, rng):
    """Real pencils with complex pairs in every pattern, some of them close to one another or to a real pair."""
    n, count = 7, 64
    s, t = np.triu(deviates(rng, (count, n, n), dtype)), np.triu(deviates(rng, (count, n, n), dtype), 1)
    for k in range(count):
        j = 0
        while j < n:
            centre, length = rng.integers(-3, 4) + 1e-3 * rng.standard_normal(), rng.choice([1, 1, 1e-2])
            size = min(rng.integers(1, 3), n - j)
            t[k, j, j] = rng.uniform(0.5, 2)
            s[k, j, j] = centre * t[k, j, j]
            if size == 2:
                d = t[k, j + 1, j + 1] = rng.uniform(0.1, 1) * t[k, j, j]
                t[k, j, j + 1] = 0
                s[k, j + 1, j + 1] = centre * d
                s[k, j, j + 1], s[k, j + 1, j] = length * rng.uniform(0.5, 1), -length * rng.uniform(0.5, 1)
            j += size
    q, z = (np.linalg.qr(deviates(rng, (count, n, n), dtype))[0] for _ in range(2))
    factors, bars = [tf.constant(x) for x in (s, t, q, z)], [tf.constant(deviates(rng, (count, n, n), dtype)) for _ in range(4)]
    lockstep = gradient(factors, bars)
    monkeypatch.setenv(VARIABLE, "none")
    tolerance = [1e3 * np.finfo(dtype).eps / smallest_distance(x, y) ** 2 for x, y in zip(s, t)]
    for got, expected in zip(lockstep, gradient(factors, bars)):
        for k in range(count):
            assert abs(got[k] - expected[k]).max() <= tolerance[k] * abs(expected[k]).max()
