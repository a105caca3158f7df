"""Pencils of m x n matrices: values, conventions and gradients of all factors, against the formulas that define them and differences."""

import numpy as np
import pytest
import rectangular_cases
import tensorflow as tf
from functionals import along, deviates, gradient, inner, relative_error
from rectangular_cases import CASES, Rectangular, central_difference

import tfqz

DOUBLE = ("float64", "complex128")


REPRESENTATIVE = [Rectangular(3, 5), Rectangular(5, 3), Rectangular(4, 7, 0, 1), Rectangular(7, 4, 0, 1)]


# Of tests of what follows from others, those that are always run.
ALWAYS = [*REPRESENTATIVE, Rectangular(4, 7, 1, 0), Rectangular(7, 4, 1, 0), Rectangular(1, 4), Rectangular(4, 1), Rectangular(6, 7)]


@pytest.fixture(params=[pytest.param(case, marks=[] if case in ALWAYS else pytest.mark.slow) for case in CASES], ids=str)
def case(request):
    return request.param


@pytest.fixture(
    params=[*CASES, *(pytest.param((case, name), id=f"{case}-{name}") for name in ("scipy", "graph") for case in REPRESENTATIVE)], ids=str
)
def case_and_backend(request):
    """Each case with the default backend, some with each."""
    if isinstance(request.param, Rectangular):
        return request.param, None
    return request.param


@pytest.fixture(params=DOUBLE)
def dtype(request):
    return request.param


def blocks_of(s, t, q, z):
    """S1, T1, Q1, Z1, and the basis of the complement in the order away from the block: NumPy arrays."""
    m, n = s.shape
    p = min(m, n)
    beside = z[:, p:] if n > m else q[:, : m - p][:, ::-1]
    return s[m - p :, :p], t[m - p :, :p], q[:, m - p :], z[:, :p], beside


def numpy(tensors):
    return [x.numpy() for x in tensors]


@pytest.mark.slow_if("graph-complex")
def test_factors(case_and_backend, dtype):
    case, backend = case_and_backend
    a, b = case(dtype)
    m, n, p = case.m, case.n, case.p
    s, t, q, z = numpy(tfqz.qz(a, b, backend=backend))
    assert [x.shape for x in (s, t, q, z)] == [(m, n), (m, n), (m, m), (n, n)]
    for x, factor in ((a, s), (b, t)):
        assert np.linalg.norm(q @ factor @ z.conj().T - x) < 1e-13 * np.linalg.norm(x)
    for x in (q, z):
        assert np.linalg.norm(x.conj().T @ x - np.eye(len(x))) < 2e-14
    s1, t1, _, z1, beside = blocks_of(s, t, q, z)
    assert np.all(np.tril(s1, -2) == 0) and np.all(np.tril(t1, -1) == 0)
    assert np.count_nonzero(t) <= p * (p + 1) // 2
    assert np.all(np.diagonal(t1).imag == 0) and np.all(np.diagonal(t1).real >= 0)
    assert np.sum(np.abs(np.diagonal(t1)) < 1e-13 * np.linalg.norm(t)) == case.lacks_b
    largest = z1[np.argmax(np.abs(z1) > (1 - 1e-12) * np.abs(z1).max(axis=0), axis=0), np.arange(p)]
    assert np.all(largest.imag == 0) and np.all(largest.real > 0)
    if m != n:
        spanned = np.eye(max(m, n)) - beside @ beside.conj().T
        wide = (a, b) if m < n else (a.conj().T, b.conj().T)
        assert np.linalg.norm(spanned - rectangular_cases.row_space(*wide, p - case.lacks_b)) < 1e-12


@pytest.mark.slow_if("graph-complex")
def test_complement_is_triangular_at_rows(case_and_backend, dtype):
    """Lower triangular with a positive diagonal at the rows that pivoting chooses; the same for the adjoint pencil, and for any A."""
    case, backend = case_and_backend
    a, b = case(dtype)
    beside = blocks_of(*numpy(tfqz.qz(a, b, backend=backend)))[-1]
    rows, left = [], beside
    for _ in range(beside.shape[1]):
        lengths = np.linalg.norm(left, axis=1)
        rows.append(int(np.argmax(lengths > (1 - 1e-12) * lengths.max())))
        unit = left[rows[-1]] / lengths[rows[-1]]
        left = left - np.outer(left @ unit.conj(), unit)
    L = beside[sorted(rows)]
    assert np.all(np.triu(L, 1) == 0) and np.all(np.diagonal(L).imag == 0) and np.all(np.diagonal(L).real > 0)
    adjoint = blocks_of(*numpy(tfqz.qz(a.conj().T, b.conj().T, backend=backend)))[-1]
    np.testing.assert_allclose(adjoint, beside, atol=2e-14)
    if case.lacks_b == 0:
        again = blocks_of(*numpy(tfqz.qz(np.ones_like(a), b, backend=backend)))[-1]
        np.testing.assert_allclose(again, beside, atol=1e-13)


def test_eigenvalues_are_those_of_the_pseudoinverse(case_and_backend, dtype):
    case, backend = case_and_backend
    a, b = case(dtype)
    if case.lacks_b:
        pytest.skip("infinite ones")
    product = a @ np.linalg.pinv(b) if case.m < case.n else np.linalg.pinv(b) @ a
    expected = np.linalg.eigvals(product)
    got = tfqz.eigvals(a, b, backend=backend).numpy()
    assert got.shape == (case.p,)
    assert max(np.abs(expected - x).min() for x in got) < 1e-12 * np.abs(expected).max()
    alpha, beta = tfqz.eigvals(a, b, homogeneous_eigvals=True, backend=backend).numpy()
    np.testing.assert_allclose(alpha / beta, got, rtol=1e-12)


def weights_of(factors, rng):
    return [deviates(rng, x.shape, x.dtype.as_numpy_dtype) for x in factors]


def functional(weights, **options):
    return lambda a, b: inner(weights, tfqz.qz(a, b, **options))


@pytest.mark.slow_if("5x3-0-0-scipy-float", "3x5-0-0-scipy-complex")
def test_gradient_of_all_factors(case_and_backend, dtype, rng):
    case, backend = case_and_backend
    at, direction = case.curve(dtype)
    a, b = at(0)
    weights = weights_of(tfqz.qz(a, b, backend=backend), rng)
    change = central_difference(lambda a, b: tfqz.qz(a, b, backend=backend), at)
    expected = sum(float(np.real(np.vdot(w, dx))) for w, dx in zip(weights, change))
    scale = np.sqrt(sum(np.linalg.norm(dx) ** 2 for dx in change))
    assert abs(along(gradient(functional(weights, backend=backend), a, b), direction) - expected) < 1e-8 * scale


@pytest.mark.slow_if(
    "scipy",
    "graph",
    "3x2-0-0-complex",
    "2x3-0-0-float",
    "3x2-0-1",
    "2x3-0-1",
    "3x2-1",
    "2x3-1",
    "5x3-0-0-complex",
    "3x5-0-0-float",
    "3x5-1",
    "5x3-1",
)
def test_forward_mode_is_the_adjoint(case_and_backend, dtype, rng):
    case, backend = case_and_backend
    at, direction = case.curve(dtype)
    a, b = map(tf.constant, at(0))
    weights = weights_of(tfqz.qz(a, b, backend=backend), rng)
    with tf.autodiff.ForwardAccumulator([a, b], [tf.constant(x) for x in direction]) as accumulator:
        factors = tfqz.qz(a, b, backend=backend)
    tangents = accumulator.jvp(factors)
    got = sum(float(np.real(np.vdot(w, x))) for w, x in zip(weights, tangents))
    expected = along(gradient(functional(weights, backend=backend), a, b), direction)
    assert abs(got - expected) < 1e-11 * np.sqrt(sum(np.linalg.norm(x) ** 2 for x in tangents))


def test_second_derivative(case, dtype, rng):
    at, direction = case.curve(dtype)
    a, b = map(tf.constant, at(0))
    f = functional(weights_of(tfqz.qz(a, b), rng))
    others = [deviates(rng, a.shape, dtype) for _ in "ab"]
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        value = _gradient_functional(f, others)(a, b)
    got = along(numpy(tape.gradient(value, [a, b])), direction)
    change = central_difference(lambda a, b: gradient(f, a, b), at)
    expected = sum(float(np.real(np.vdot(w, dx))) for w, dx in zip(others, change))
    assert abs(got - expected) < 1e-6 * np.sqrt(sum(np.linalg.norm(x) ** 2 for x in change))


def _gradient_functional(f, others):
    def value(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            inside = f(a, b)
        return inner(others, tape.gradient(inside, [a, b]))

    return value


def test_identities_of_functions_of_the_factors(case, dtype, rng):
    """Along (a A + b B, c B) neither Q nor Z changes."""
    if case.lacks_b:
        pytest.skip("for B of full rank")
    a, b = case(dtype)
    factors = tfqz.qz(a, b)
    weights = weights_of(factors, rng)
    Ab, Bb = gradient(functional(weights), a, b)
    for Xb, x, weight, factor in ((Ab, a, weights[0], factors.s), (Ab, b, weights[0], factors.t), (Bb, b, weights[1], factors.t)):
        expected = np.real(np.vdot(weight, factor))
        assert abs(np.real(np.vdot(Xb, x)) - expected) < 1e-12 * np.linalg.norm(Xb) * np.linalg.norm(x)


def test_the_partial_answer(case, dtype):
    """f, the sum of all entries: along B - A it changes by the sum of T - S."""
    a, b = case(dtype)
    s, t, *_ = tfqz.qz(a, b)
    Ab = gradient(lambda a, b: tf.add_n([tf.reduce_sum(tf.math.real(x)) for x in tfqz.qz(a, b)]), a, b)[0]
    assert abs(np.real(np.vdot(Ab, b - a)) - np.sum(t - s).real) < 1e-11 * np.linalg.norm(Ab) * np.linalg.norm(b - a)


def test_single_precision(case, rng):
    for dtype, double in (("float32", "float64"), ("complex64", "complex128")):
        a, b = case(double)
        factors = tfqz.qz(a, b)
        weights = weights_of(factors, rng)
        single = [x.astype(dtype) for x in (a, b)]
        got = numpy(tfqz.qz(*single))
        if relative_error(got, factors) > 1e-2:
            continue  # QZ found the eigenvalues in another order
        expected = gradient(functional(weights), a, b)
        assert relative_error(gradient(functional([x.astype(dtype) for x in weights]), *single), expected) < 2e-2


@pytest.mark.parametrize("case", REPRESENTATIVE, ids=str)
@pytest.mark.parametrize("known", [True, False], ids=["static", "unknown"])
@pytest.mark.slow_if("graph")
def test_in_graphs(case, dtype, known, rng, backend):
    """Eagerly and in a graph that is called with a second and a third value; where m and n are unknown, square ones too."""
    weights = weights_of(tfqz.qz(*case(dtype)), rng)

    def value_and_gradient(a, b, *weights):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            factors = tfqz.qz(a, b, backend=backend)
            value = inner(weights, factors)
        return [*factors, *tape.gradient(value, [a, b])]

    shape = [case.m, case.n] if known else [None, None]
    specs = [tf.TensorSpec(shape, dtype)] * 4 + [tf.TensorSpec([None, None], dtype)] * 2
    graph = tf.function(value_and_gradient, input_signature=specs)
    cases = [case, Rectangular(case.m, case.n, seed=1)] + ([] if known else [Rectangular(4, 4), Rectangular(5, 2), Rectangular(2, 5)])
    for other in cases:
        a, b = map(tf.constant, other(dtype))
        weights = [tf.constant(x) for x in weights_of(tfqz.qz(a, b), rng)]
        for got, expected in zip(graph(a, b, *weights), value_and_gradient(a, b, *weights)):
            np.testing.assert_allclose(got, expected, atol=1e-11 * max(1, np.abs(expected).max()))


@pytest.mark.slow_if("complex128")
@pytest.mark.parametrize("m, n, rank", [(3, 5, None), (5, 3, None), (4, 6, 2), (5, 5, 3)])
def test_diagnosis(m, n, rank, dtype, rng):
    """That of the triangular blocks. A basis of the complement that its rows determine is no fault of a loss."""
    a, b = Rectangular(m, n)(dtype)
    a, b = map(tf.constant, (a, b))
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        factors = tfqz.qz(a, b, rank=rank)
        value = inner(weights_of(factors, rng), factors)
    s, t, *_ = factors
    p = min(m, n) if rank is None else rank
    expected = tfqz.sensitivity(s[max(m - n, 0) :, :p], t[max(m - n, 0) :, :p]) if rank is None else tfqz.sensitivity(s, t)
    for got, same in zip(tfqz.sensitivity(s, t), expected):
        np.testing.assert_array_equal(got, same)
    assert tfqz.gauge_residual(factors, tape.gradient(value, factors)).numpy() < 1e-12


def test_gauge_residual_of_equal_eigenvalues(dtype, rng):
    """B = [I 0], A = [I 0]: whatever sees the columns has no derivative."""
    factors = tfqz.qz(np.eye(3, 5, dtype=dtype), np.eye(3, 5, dtype=dtype))
    cotangents = weights_of(factors, rng)
    assert tfqz.gauge_residual(factors, cotangents).numpy() > 1e-2
    none = [tf.zeros_like(x) for x in factors]
    assert tfqz.gauge_residual(factors, none).numpy() == 0
