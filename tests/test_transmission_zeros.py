"""`tfqz.transmission_zeros`: values against closed forms and QZ, gradients against differences and the determinant's in 50 digits."""

import cases
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import tensorflow as tf
from functionals import deviates
from mpmath import mp

import tfqz


@pytest.fixture(params=["native", "scipy"])
def backend(request):
    return request.param


def system(rng, n, m, p, dtype="float64", e=False):
    parts = [deviates(rng, shape, dtype) for shape in ((n, n), (n, m), (p, n), (p, m))]
    return [*parts, deviates(rng, (n, n), dtype)] if e else parts


def hidden(rng, a, b, c, d):
    """The same zeros, with an e: equations and states transformed."""
    left, right = (cases.unitary(lambda *shape: deviates(rng, shape, a.dtype), len(a)) for _ in "lr")
    return left @ a @ right, left @ b, c @ right, d, left @ right


def condition(a, b, c, d, e, zero):
    """How far a zero moves, for changes of the whole system pencil relative to its norm."""
    P, N = np.block([[a, b], [c, d]]), scipy.linalg.block_diag(e, 0 * d)
    U, _, Vh = np.linalg.svd(P - zero * N)
    return np.linalg.norm(P) / abs(U[:, -1].conj() @ N @ Vh[-1].conj())


def transfer_function(poles):
    """A state-space form, in which e is the identity, of (s + 1) (s - 2) / a polynomial with these roots."""
    return (*scipy.signal.tf2ss(np.poly([-1.0, 2]), np.poly(poles)), np.eye(len(poles)))


def check_zeros(system, degree, backend):
    found = tfqz.transmission_zeros(*system, backend=backend).numpy()
    assert found.shape == (2 + degree,) and np.count_nonzero(np.isposinf(found.real)) == degree
    assert distance(found, [-1, 2]) < np.finfo("float64").eps * max(condition(*system, z) for z in (-1, 2))


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 6, 12])
def test_zeros_of_a_transfer_function(degree, backend, rng):
    """Whatever the relative degree, in companion form and hidden. As near as rounding errors of the entries allow."""
    poles = rng.uniform(-1, 1, 2 + degree)
    for system in (transfer_function(poles), hidden(rng, *transfer_function(poles)[:4])):
        check_zeros(system, degree, backend)
    if degree <= 4:  # beyond that the coefficients alone hide it
        check_zeros(hidden(rng, *transfer_function(-1 - np.arange(2.0 + degree) / 2)[:4]), degree, backend)


@pytest.mark.parametrize("degree", [2, 6, 12])
def test_states_in_any_units(degree, backend, rng):
    """Coefficients of polynomials are from 1 to 1e11 here, and it's in the units of states that they are."""
    a, b, c, d, e = transfer_function(-1 - np.arange(2.0 + degree) / 2)
    check_zeros((a, b, c, d, e), degree, backend)
    check_zeros((a.T, c.T, b.T, d.T, e), degree, backend)
    units = np.exp2(rng.integers(-40, 40, len(a)))
    check_zeros((a * units / units[:, None], b / units[:, None], c * units, d, e), degree, backend)


UNITS = {"inputs": (0, 40, 0, 0), "outputs": (0, 0, 40, 0), "time": (0, 0, 0, 40), "all": (12, 30, 30, 20)}


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_any_units(units, dtype, backend, rng):
    """With and without d and e: the same zeros to the last bits, but for time's unit, and the same gradients in these units."""
    (of_states, of_inputs, of_outputs, of_time), small = UNITS[units], dtype == "float32"
    for with_d in (False, True):
        for with_e in (False, True):
            a, b, c, d, e = system(rng, 5, 2, 2, dtype, e=True)
            d, e = (d if with_d else 0 * d), (e + 2 * np.eye(5, dtype=dtype) if with_e else np.eye(5, dtype=dtype))
            x, u, y = (np.exp2(rng.integers(-k, k + 1, n)).astype(dtype) for k, n in ((of_states, 5), (of_inputs, 2), (of_outputs, 2)))
            t = float(np.exp2(rng.integers(-of_time, of_time + 1)))
            to, back = x[:, None], 1 / x
            scaled = t * to * a * back, t * to * b * u, y[:, None] * c * back, y[:, None] * d * u, to * e * back
            expected, found = (tfqz.transmission_zeros(*parts, backend=backend).numpy() for parts in ((a, b, c, d, e), scaled))
            assert distance(found / t, expected) < (2e-3 if small else 1e-9)

            def loss(a, b, c, d, e, t=1.0):
                zeros = tfqz.transmission_zeros(a, b, c, d, e, backend=backend) / t
                zeros = tf.where(tf.math.is_finite(tf.abs(zeros)), zeros, tf.zeros_like(zeros))
                return tf.reduce_sum(tf.math.real(zeros / (1 + tf.abs(zeros) ** 2).numpy()))

            of_a, of_b, of_c, *_, of_e = (x.numpy() for x in gradients(loss, (a, b, c, d, e)))
            got = [x.numpy() for x in gradients(lambda *parts: loss(*parts, t=t), scaled)]
            got = got[0] * t * to * back, got[1] * t * to * u, got[2] * y[:, None] * back, got[4] * to * back
            for expected, result in zip((of_a, of_b, of_c, of_e), got):
                assert np.linalg.norm(result - expected) < (1e-2 if small else 1e-7) * np.linalg.norm(expected)


@pytest.mark.parametrize("dtype", cases.ALL)
def test_zeros_of_square_systems(dtype, backend, rng):
    """With a regular d those of a - b d^-1 c; with e, regular or not, what QZ finds."""
    tolerance = 2e-4 if dtype in ("float32", "complex64") else 1e-9
    a, b, c, d = system(rng, 5, 2, 2, dtype)
    found = tfqz.transmission_zeros(a, b, c, d, backend=backend).numpy()
    assert found.dtype == np.result_type(dtype, np.complex64)
    assert distance(found, np.linalg.eigvals(a - b @ np.linalg.solve(d, c))) < tolerance
    for rank in (5, 3):
        e = deviates(rng, (5, rank), dtype) @ deviates(rng, (rank, 5), dtype)
        found = tfqz.transmission_zeros(a, b, c, d, e, backend=backend).numpy()
        expected = scipy.linalg.eigvals(a - b @ np.linalg.solve(d, c), e) if rank == 5 else reduced_by_hand(a, b, c, d, e)
        assert np.count_nonzero(np.isfinite(found)) == rank
        assert distance(found, expected) < tolerance


def reduced_by_hand(a, b, c, d, e):
    """Of a regular d and a singular e: the largest eigenvalues of the reversed pencil, inverted."""
    rank = np.linalg.matrix_rank(e, tol=1e-3)
    reciprocal = scipy.linalg.eigvals(e, a - b @ np.linalg.solve(d, c))
    return 1 / reciprocal[np.argsort(-np.abs(reciprocal))[:rank]]


def distance(found, expected):
    """The largest distance of finite ones from the nearest other, on the Riemann sphere; as many of both."""
    found, expected = (np.asarray(x)[np.isfinite(x)] for x in (found, expected))
    assert len(found) == len(expected)
    chordal = np.abs(found[:, None] - expected) / np.hypot(1, np.abs(found))[:, None] / np.hypot(1, np.abs(expected))
    return max(chordal.min(axis=0).max(), chordal.min(axis=1).max())


def test_real_systems_have_conjugate_zeros(backend, rng):
    a, b, c, d = system(rng, 6, 1, 1)
    found = tfqz.transmission_zeros(a - 3 * (np.eye(6, k=1) - np.eye(6, k=-1)), b, c, d, backend=backend).numpy()
    finite = found[np.isfinite(found)]
    assert np.any(finite.imag > 0) and set(finite) == set(finite.conj())


def test_uncontrollable_and_unobservable_states(backend, rng):
    """What no input reaches, or no output sees, is a zero unless these are fewer. Generic systems that aren't square have none."""
    assert not np.isfinite(tfqz.transmission_zeros(*system(rng, 5, 2, 3), backend=backend)).any()
    for m, p in ((3, 2), (1, 1), (2, 3)):
        a, b, c, d = system(rng, 5, m, p)
        a[4, 4] = 0.75
        if m >= p:
            a[4, :4], b[4] = 0, 0
        else:
            a[:4, 4], c[:, 4] = 0, 0
        q = cases.unitary(lambda *shape: rng.standard_normal(shape), 5)
        found = tfqz.transmission_zeros(q @ a @ q.T, q @ b, c @ q.T, d, backend=backend).numpy()
        assert np.abs(found[np.isfinite(found)] - 0.75).min() < 1e-10
        assert m == p or np.count_nonzero(np.isfinite(found)) == 1


def test_sizes(backend):
    for n, m, p in ((0, 1, 1), (3, 0, 0), (0, 0, 0), (3, 1, 0)):
        a = np.diag(np.arange(n) + 1.0)
        found = tfqz.transmission_zeros(a, np.ones((n, m)), np.ones((p, n)), np.ones((p, m)), backend=backend).numpy()
        assert found.shape == (n,)
        if m == p == 0:
            np.testing.assert_allclose(np.sort(found.real), np.arange(n) + 1)


def test_arguments(backend, rng):
    a, b, c, d = system(rng, 4, 2, 2)
    call = lambda *parts, **options: tfqz.transmission_zeros(*parts, backend=backend, **options)
    with pytest.raises(ValueError, match=r"`a` must be \[\.\.\., n, n\], n being 4; got \(4, 2\)"):
        call(b, b, c, d)
    with pytest.raises(ValueError, match=r"`c` must be \[\.\.\., p, n\], n being 4; got \(2, 3\), and `a` \(4, 4\)"):
        call(a, b, c[:, :3], d)
    with pytest.raises(ValueError, match=r"`d` must be \[\.\.\., p, m\]"):
        call(a, b, c, d[:1])
    with pytest.raises(ValueError, match=r"`e` must be \[\.\.\., n, n\]"):
        call(a, b, c, d, a[:3, :3])
    with pytest.raises(ValueError, match="`c` must have a batch shape that broadcasts"):
        call(np.stack([a, a]), b, np.stack([c, c, c]), d)
    with pytest.raises(TypeError, match="`a` and `b` must have the same dtype"):
        call(a, b.astype("float32"), c, d)
    with pytest.raises(ValueError, match="`on_failure` must be one of"):
        call(a, b, c, d, on_failure="no")
    with pytest.raises(ValueError, match="`backend` must be 'native' or 'scipy'"):
        tfqz.transmission_zeros(a, b, c, d, backend="graph")
    for name, part in zip("bd", (b, d)):
        part[1, 0] = np.nan
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"`{name}` must be finite; got NaN or Inf in batch element \[1\]"):
            call(np.stack([a, a]), *(np.stack([np.nan_to_num(x), x]) for x in (b, c, d)))
        part[1, 0] = 0


def gradients(f, parts):
    parts = [tf.convert_to_tensor(x) for x in parts]
    with tf.GradientTape() as tape:
        tape.watch(parts)
        value = f(*parts)
    return tape.gradient(value, parts)


def inner(xs, ys):
    return sum(float(np.real(np.sum(np.conj(x) * y))) for x, y in zip(xs, ys))


def power_sums(backend, weights=(1 - 2j, 0.5j), **options):
    """Functions of zeros in which their order doesn't count."""

    def f(*parts):
        zeros = tfqz.transmission_zeros(*parts, backend=backend, **options)
        zeros = tf.where(tf.math.is_finite(tf.abs(zeros)), zeros, tf.zeros_like(zeros))
        return tf.reduce_sum(tf.math.real(weights[0] * zeros**2 + weights[1] * zeros**3))

    return f


def difference(f, parts, directions, h=1e-4):
    values = [float(f(*(x + k * h * dx for x, dx in zip(parts, directions)))) for k in (-2, -1, 1, 2)]
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)


@pytest.mark.slow_if("scipy", "complex128")
@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.parametrize("e", [False, True])
def test_gradients(dtype, e, backend, rng):
    """First and second order, by tapes and accumulators, against differences."""
    parts = system(rng, 4, 2, 2, dtype, e)
    parts[3] = parts[3] + 3 * np.eye(2)
    if e:
        parts[4] = parts[4] / 4 + np.eye(4)
    directions, others = ([deviates(rng, x.shape, dtype) for x in parts] for _ in range(2))
    f = power_sums(backend)
    assert inner(gradients(f, parts), directions) == pytest.approx(difference(f, parts, directions), rel=1e-8)

    def slope(*parts):
        return tf.add_n([tf.reduce_sum(tf.math.real(x * np.conj(y))) for x, y in zip(gradients(f, parts), others)])

    expected = difference(slope, parts, directions)
    assert inner(gradients(slope, parts), directions) == pytest.approx(expected, rel=1e-7)
    parts = [tf.constant(x) for x in parts]
    with tf.autodiff.ForwardAccumulator(parts, [tf.constant(x) for x in directions]) as accumulator:
        value, derivative = f(*parts), slope(*parts)
    assert float(accumulator.jvp(value)) == pytest.approx(inner(gradients(f, parts), directions), rel=1e-10)
    assert float(accumulator.jvp(derivative)) == pytest.approx(expected, rel=1e-7)
    graph = tf.function(lambda *parts: gradients(slope, parts))
    for x, y in zip(graph(*parts), gradients(slope, parts)):
        np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-8)


def test_gradients_at_a_high_relative_degree(backend, rng):
    """dz = -d(det) / (d/dz det), in 50 digits: of (s + 1) / s^4, hidden, in any direction."""
    a, b, c, d = np.eye(4, k=1), np.eye(4)[:, 3:], np.array([[1.0, 1, 0, 0]]), np.zeros((1, 1))
    parts = hidden(rng, a, b, c, d)
    directions = [rng.standard_normal(x.shape) for x in parts]

    def pencil(parts):
        a, b, c, d, e = (mp.matrix(x.tolist()) for x in parts)
        P, N = mp.matrix(5, 5), mp.matrix(5, 5)
        P[:4, :4], P[:4, 4], P[4, :4], P[4, 4], N[:4, :4] = a, b, c, d[0], e
        return P, N

    with mp.workdps(50):
        (P, N), (dP, dN), h = pencil(parts), pencil(directions), mp.mpf(10) ** -20
        det = lambda s, z: mp.det(P + s * dP - z * (N + s * dN))
        z = mp.findroot(lambda z: det(0, z), (-1, -0.99))
        expected = -(det(h, z) - det(-h, z)) / (det(0, z + h) - det(0, z - h))
    (j,) = np.flatnonzero(np.isfinite(tfqz.transmission_zeros(*parts, backend=backend)))
    got = gradients(lambda *parts: tf.math.real(tfqz.transmission_zeros(*parts, backend=backend)[j]), parts)
    assert inner(got, directions) == pytest.approx(float(mp.re(expected)), rel=1e-8)


def test_multiple_zeros(backend):
    """No derivative, but finite, semisimple or not; a simple zero beside them keeps its own."""
    for coupled in (0.0, 1.0):
        a = np.diag([2.0, 2, 5])
        a[0, 1] = coupled
        parts = a, np.zeros((3, 1)), np.zeros((1, 3)), np.ones((1, 1))
        found = tfqz.transmission_zeros(*parts, backend=backend).numpy()
        np.testing.assert_allclose(np.sort(found.real), [2, 2, 5], atol=1e-7)
        every = gradients(lambda *parts: tf.reduce_sum(tf.abs(tfqz.transmission_zeros(*parts, backend=backend)) ** 2), parts)
        assert all(np.isfinite(x).all() for x in every)
        j = int(np.argmax(found.real))
        single = gradients(lambda *parts: tf.math.real(tfqz.transmission_zeros(*parts, backend=backend)[j]), parts)
        np.testing.assert_allclose(single[0], np.diag([0.0, 0, 1]), atol=1e-12)


def test_no_gradient_of_systems_that_are_not_square(backend, rng):
    parts = system(rng, 4, 2, 3)
    with pytest.raises(ValueError, match=r"must be of a square system, with as many inputs as outputs, .* got 2 and 3"):
        gradients(power_sums(backend), parts)


def test_batches_and_failures(backend, rng):
    """Batch shapes broadcast; elements that fail are NaN by themselves, and have no gradient where they are masked."""
    a, b, c, d = deviates(rng, (3, 1, 4, 4), "float64"), *system(rng, 4, 1, 1)[1:]
    b = np.stack([b, 2 * b + 1])
    d = d + 2
    found = tfqz.transmission_zeros(a, b, c, d, backend=backend)
    assert found.shape == (3, 2, 4)
    for i, j in np.ndindex(3, 2):
        one = tfqz.transmission_zeros(a[i, 0], b[j], c, d, backend=backend)
        assert distance(found[i, j].numpy(), one.numpy()) < 1e-10
    f = power_sums(backend, on_failure="nan")
    expected = gradients(f, (a[[0, 2]], b, c, d))
    a[1, 0, 2, 2] = np.inf
    found = tfqz.transmission_zeros(a, b, c, d, backend=backend, on_failure="nan").numpy()
    assert np.isnan(found[1]).all() and np.isfinite(found[[0, 2]]).all()
    got = gradients(f, (a, b, c, d))
    assert np.array_equal(got[0][1], np.zeros((1, 4, 4)))
    np.testing.assert_allclose(got[0].numpy()[[0, 2]], expected[0], rtol=1e-9, atol=1e-9)
    for x, y in zip(got[1:], expected[1:]):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)


def test_unknown_shapes(backend, rng):
    """In graphs: values, and gradients."""
    f = power_sums(backend)
    unknown = tf.function(lambda *parts: gradients(f, parts), input_signature=[tf.TensorSpec([None, None], tf.float64)] * 4)
    for n, m in ((3, 1), (4, 2)):
        parts = system(rng, n, m, m)
        parts[3] = parts[3] + 2 * np.eye(m)
        for x, y in zip(unknown(*parts), gradients(f, parts)):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)
