"""The gradient of single factors, where it exists: against central differences, 50 digits, and identities."""

import cases
import many_digits
import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import along, cotangents, deviates, factor_dtype, gradient, inner, inner_each, linear, relative_error

import tfqz
from tfqz import _backends
from tfqz._derivative import registration
from tfqz._derivative.gradient import pullback


def outputs(a):
    return ("real",) if np.iscomplexobj(a) else ("real", "complex")


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True, largest=8))
def test_linear_functional_of_all_factors(a, b, backend, monkeypatch, rng):
    """The differences are of a batch, which a pencil by itself has the order of eigenvalues of only if LAPACK does both."""
    monkeypatch.setenv("TFQZ_SIMD", "none")
    if len(a) == 0:
        pytest.skip("no entries to differentiate by")
    for output in outputs(a):
        bars = cotangents(rng, a, output)
        expected = oracles.central_gradient(lambda a, b: inner_each(bars, tfqz.qz(a, b, output, backend=backend)), a, b)
        assert relative_error(gradient(linear(bars, backend, output), a, b), expected) < 1e-6, output


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True, largest=8))
def test_linear_functional_in_lockstep(a, b, rng):
    """The gradient of two equal pencils in a batch, each by itself."""
    if len(a) == 0 or _backends.BACKENDS["native"].why_not() is not None:
        pytest.skip("no entries to differentiate by, or no lockstep")
    for output in outputs(a):
        bars = cotangents(rng, a, output)

        def functional(a, b):
            return inner_each(bars, tfqz.qz(a, b, output, backend="native"))

        expected = oracles.central_gradient(functional, a, b)
        found = gradient(lambda a, b: functional(a, b)[0], *(np.stack([x, x]) for x in (a, b)))
        assert relative_error([x[0] for x in found], expected) < 1e-6, output
        assert not any(x[1].any() for x in found)


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("a, b", cases.pencils("float32", "complex64", differentiable=True, largest=8))
def test_single_precision(a, b, backend, rng):
    """Differences of single-precision factors need steps that change LAPACK's order: these are of 50 digits."""
    if len(a) == 0:
        pytest.skip("no entries to differentiate by")
    for output in outputs(a):
        bars = cotangents(rng, a, output)
        da, db = deviates(rng, a.shape, a.dtype), deviates(rng, a.shape, a.dtype)
        s, t, _, _ = (x.numpy() for x in tfqz.qz(a, b, output=output, backend=backend))
        expected = many_digits.directional(bars, a, b, da, db, oracles.eigenvalue_order(s, t), output)
        ab, bb = gradient(linear(bars, backend, output), a, b)
        # Relative to the gradient, for a derivative along one direction may be small by chance.
        scale = np.linalg.norm([*ab.ravel(), *bb.ravel()])
        assert abs(along((ab, bb), (da, db)) - expected) < 2e-2 * scale, output


def well_separated(dtype, n, output):
    """A random pencil whose factors have moderate derivatives, the best of a few draws."""

    def draw(seed):
        rng = np.random.default_rng(seed)
        return deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)

    return max((draw(seed) for seed in range(20)), key=lambda x: oracles.separation(*oracles.scipy_qz(*x, output)))


@pytest.mark.slow_if("graph")
@pytest.mark.parametrize("n", [4, 8, 16, 30])
@pytest.mark.parametrize("dtype, output", [("float64", "real"), ("float64", "complex"), ("complex128", "complex")])
def test_directional_derivative_up_to_n_30(dtype, output, n, backend, rng):
    a, b = well_separated(dtype, n, output)
    f = linear(cotangents(rng, a, output), backend, output)
    da, db = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
    # Two steps: a difference that a change of LAPACK's order, or a nearby singularity, falsifies is not the same at both.
    by_step = [float(oracles.central_difference(lambda a, b: f(a, b).numpy(), a, b, da, db, step, order=4)) for step in (1e-6, 5e-7)]
    derivative = along(gradient(f, a, b), (da, db))
    assert min(abs(derivative - x) for x in by_step) < 1e-6 * abs(derivative)


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("dtype, output", [("float64", "real"), ("complex128", "complex"), ("float64", "complex")])
def test_fifty_digits(dtype, output, backend, rng):
    (case,) = [case for case in cases.CASES if case.name == "random-4"]
    a, b = case(dtype)
    factors = [x.numpy() for x in tfqz.qz(a, b, output=output, backend=backend)]
    bars = cotangents(rng, a, output)
    expected = many_digits.gradient(bars, a, b, oracles.eigenvalue_order(*factors[:2]), output)
    # 1e4 eps: the condition of the eigenvectors of a pencil with a separation of 0.05 or more.
    assert relative_error(gradient(linear(bars, backend, output), a, b), expected) < 2e-12


@pytest.mark.slow_if("graph")
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("name", ["companion", "upper-triangular"])
def test_fifty_digits_where_differences_change_the_order(name, dtype, backend, rng):
    (case,) = [case for case in cases.CASES if case.name == name]
    a, b = case(dtype)
    factors = [x.numpy() for x in tfqz.qz(a, b, backend=backend)]
    bars = cotangents(rng, a)
    da, db = deviates(rng, a.shape, dtype), deviates(rng, a.shape, dtype)
    order = oracles.eigenvalue_order(*factors[:2])
    expected = many_digits.directional(bars, a, b, da, db, order)
    derivative = along(gradient(linear(bars, backend), a, b), (da, db))
    assert abs(derivative - expected) < 1e5 * np.finfo(dtype).eps * abs(expected)


@pytest.mark.slow_if("graph-float64")
@pytest.mark.parametrize("infinite", [0, 1])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_round_trip(dtype, infinite, backend, rng):
    """<C, Q S Z^H> + <D, Q T Z^H> is <C, A> + <D, B>: its gradient is (C, D)."""
    n = 50
    a = deviates(rng, (n, n), dtype)
    b = deviates(rng, (n, n - infinite), dtype) @ deviates(rng, (n - infinite, n), dtype)
    C, D = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
    for output in outputs(a):

        def f(a, b):
            s, t, q, z = tfqz.qz(a, b, output=output, backend=backend)
            bars = (x.astype(factor_dtype(x, output)) for x in (C, D))
            return inner(bars, (q @ s @ tf.linalg.adjoint(z), q @ t @ tf.linalg.adjoint(z)))

        assert relative_error(gradient(f, a, b), (C, D)) < 1e-8


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_partial_answer_of_the_question(dtype, backend, rng):
    """Along dA = B - A, dB = 0 nothing turns, so for the sum f of all entries <Ab, B - A> = Re sum(T - S)."""
    a, b = deviates(rng, (6, 6), dtype), deviates(rng, (6, 6), dtype)
    ones = [np.ones((6, 6), dtype)] * 4
    ab, _ = gradient(linear(ones, backend), a, b)
    s, t, _, _ = tfqz.qz(a, b, backend=backend)
    assert along([ab], [b - a]) == pytest.approx(float(tf.reduce_sum(tf.math.real(t - s))), rel=1e-10)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_invariances(dtype, backend, rng):
    """|Q^H Q - I|^2 and |Z^H Z - I|^2 have gradient 0; (cA, cB) has the Q and Z of (A, B)."""
    a, b = deviates(rng, (7, 7), dtype), deviates(rng, (7, 7), dtype)

    def departure(a, b):
        _, _, q, z = tfqz.qz(a, b, backend=backend)
        gram = [tf.matmul(x, x, adjoint_a=True) - tf.eye(7, dtype=x.dtype) + 0.5 for x in (q, z)]
        return inner(gram, gram)

    bars = cotangents(rng, a)
    bars[0], bars[1] = np.zeros_like(a), np.zeros_like(a)
    of_vectors = gradient(linear(bars, backend), a, b)
    scale = np.linalg.norm(of_vectors)
    # |Q^H Q - I + 1/2|^2 rather than |Q^H Q - I|^2, whose cotangents are zero anyway.
    assert np.linalg.norm(gradient(departure, a, b)) < 1e-11 * scale
    assert abs(along(of_vectors, (a, b))) < 1e-11 * scale


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_eigenvalues(dtype, backend, rng):
    """d lambda = y^H (dA - lambda dB) x / (y^H B x), with SciPy's left and right eigenvectors."""
    a, b = deviates(rng, (6, 6), dtype), deviates(rng, (6, 6), dtype)
    da, db = deviates(rng, (6, 6), dtype), deviates(rng, (6, 6), dtype)
    eigenvalues, y, x = scipy.linalg.eig(a, b, left=True)
    y = y.conj()
    change = np.einsum("ki,kl,li->i", y, da, x) - eigenvalues * np.einsum("ki,kl,li->i", y, db, x)
    change /= np.einsum("ki,kl,li->i", y, b, x)
    weights = deviates(rng, 6, "complex128")

    s, t, _, _ = tfqz.qz(a, b, output="complex", backend=backend)
    order = [int(np.argmin(abs(eigenvalues - value))) for value in np.diag(s) / np.diag(t)]
    assert sorted(order) == list(range(6))

    def f(a, b):
        s, t, _, _ = tfqz.qz(a, b, output="complex", backend=backend)
        return inner([weights], [tf.linalg.diag_part(s) / tf.linalg.diag_part(t)])

    expected = np.real(np.vdot(weights, change[order]))
    assert along(gradient(f, a, b), (da, db)) == pytest.approx(expected, rel=1e-9)


def alpha_beta(a, b, backend):
    from tfqz import _backends

    return registration.eigenvalues(a, b, _backends.choose(backend), "raise", ratios=False)


@pytest.mark.slow_if("scipy-float64")
@pytest.mark.parametrize("name", ["random-5", "random-8", "rotations-hidden", "identity-b"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_alpha_and_beta(dtype, name, backend, rng):
    """Functions of alpha and beta, also where B = I leaves the rotations inside 2 x 2 blocks open."""
    found = [case for case in cases.select(dtype) if case.name == name]
    if not found:
        pytest.skip("a real pencil")
    a, b = found[0](dtype)
    weight, weight_of_beta = deviates(rng, len(a), "complex128"), deviates(rng, len(a), dtype)
    da, db = deviates(rng, a.shape, dtype), deviates(rng, a.shape, dtype)

    def f(a, b):
        alpha, beta = alpha_beta(a, b, backend)
        if name == "identity-b":  # single alpha and beta have no derivative where a = d, their quotients have
            return inner([weight], [alpha / tf.cast(beta, alpha.dtype)])
        return inner([weight, weight_of_beta], [alpha, beta])

    expected = oracles.central_difference(lambda a, b: f(tf.constant(a), tf.constant(b)).numpy(), a, b, da, db)
    assert along(gradient(f, a, b), (da, db)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_infinite_eigenvalue_along_what_keeps_it(dtype, backend, rng):
    """All factors, phases included, along perturbations that leave t_jj = 0: of A, and of B's rows that are not zero."""
    n = 6
    a, b = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
    da, db = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
    b[-1] = db[-1] = 0
    for output in outputs(a):
        t = tfqz.qz(a, b, output=output, backend=backend).t
        assert np.count_nonzero(np.diag(t) == 0) == 1
        f = linear(cotangents(rng, a, output), backend, output)
        expected = oracles.central_difference(lambda a, b: f(a, b).numpy(), a, b, da, db, 1e-6)
        assert along(gradient(f, a, b), (da, db)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_what_lies_outside_the_pattern_is_ignored(dtype, backend, rng):
    a, b = deviates(rng, (6, 6), dtype), deviates(rng, (6, 6), dtype)
    bars = cotangents(rng, a)
    s = tfqz.qz(a, b, backend=backend).s.numpy()
    changed = [bar.copy() for bar in bars]
    changed[0][s == 0] += 1
    changed[1] += np.tril(np.ones_like(a), -1)
    if np.iscomplexobj(a):
        changed[1] += 1j * np.eye(6)  # T's diagonal is real
    left, right = (gradient(linear(x, backend), a, b) for x in (bars, changed))
    assert relative_error(left, right) < 1e-13


@pytest.mark.parametrize("used", [[0], [1], [2], [3], [0, 3], [1, 2]])
def test_any_subset_of_the_outputs(used, backend, rng):
    a, b = deviates(rng, (5, 5), "float64"), deviates(rng, (5, 5), "float64")
    bars = cotangents(rng, a)

    def f(a, b):
        factors = tfqz.qz(a, b, backend=backend)
        return inner([bars[i] for i in used], [factors[i] for i in used])

    masked = [bar if i in used else np.zeros_like(bar) for i, bar in enumerate(bars)]
    assert relative_error(gradient(f, a, b), gradient(linear(masked, backend), a, b)) < 1e-13


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_complex_factors_of_real_input_have_real_gradients(dtype, backend, rng):
    a, b = deviates(rng, (4, 4), dtype), deviates(rng, (4, 4), dtype)
    bars = cotangents(rng, a, "complex")
    assert bars[0].dtype == factor_dtype(a, "complex")
    for g in gradient(linear(bars, backend, "complex"), a, b):
        assert g.dtype == np.dtype(dtype)


@pytest.mark.parametrize("eigenvalues", [False, True], ids=["factors", "eigenvalues"])
@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, differentiable=True, largest=60))
def test_both_gradients_agree(a, b, eigenvalues, rng):
    """The C++ op and the formula in TensorFlow ops, which XLA compiles."""
    native = _backends.BACKENDS["native"]
    if len(a) == 0 or native.why_not() is not None:
        pytest.skip("no entries to differentiate by, or no op library")
    factors = list(tfqz.qz(a, b, backend="native"))
    bars = [tf.constant(x) for x in cotangents(rng, a)]
    if eigenvalues:
        bars += [tf.constant(deviates(rng, len(a), "complex128")), tf.constant(deviates(rng, len(a), a.dtype))]
    pencil = [tf.constant(a), tf.constant(b)]
    expected = pullback(*factors, *bars[:4], *pencil[: 2 * eigenvalues], *bars[4:])
    found = native.qz_gradient(factors, bars[:4], None, pencil[: 2 * eigenvalues], bars[4:])
    assert relative_error([x.numpy() for x in found], [x.numpy() for x in expected]) < 1e-9
