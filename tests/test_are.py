"""Algebraic Riccati equations: solutions against SciPy and residuals, derivatives against differences."""

import cases
import numpy as np
import pytest
import scipy.linalg
import several
import tensorflow as tf
from functionals import deviates, inner

import tfqz

SOLVERS = {"continuous": tfqz.solve_continuous_are, "discrete": tfqz.solve_discrete_are}
SCIPYS = {"continuous": scipy.linalg.solve_continuous_are, "discrete": scipy.linalg.solve_discrete_are}
KINDS = list(SOLVERS)


def H(x):
    return np.conj(np.swapaxes(x, -1, -2))


def hermitian(x):
    return (x + tf.linalg.adjoint(x)) / 2


def problem(rng, n, m, dtype="float64", batch=(), descriptor=False):
    """a, b, q, r with q semidefinite and r definite; and e, s."""

    def any_(*shape):
        return deviates(rng, (*batch, *shape), dtype)

    a, b, c, d = any_(n, n) / max(n, 1) ** 0.5, any_(n, m), any_(n, n) / max(n, 1) ** 0.5, any_(m, m) / max(m, 1) ** 0.5
    given = [a, b, c @ H(c) + np.eye(n), d @ H(d) + np.eye(m)]
    if descriptor:
        given += [np.eye(n) + 0.3 * any_(n, n) / n**0.5, 0.3 * any_(n, m)]
    return [x.astype(dtype) for x in given]


def residual(kind, x, a, b, q, r, e=None, s=None):
    """What x leaves of the equation, relative to its terms, and the eigenvalues of the closed loop."""
    e, s = (np.eye(a.shape[-1]) if e is None else e), (0 * b if s is None else s)
    M = (H(e) if kind == "continuous" else H(a)) @ x @ b + s
    R = r if kind == "continuous" else r + H(b) @ x @ b
    K = np.linalg.solve(R, H(M))
    terms = [H(a) @ x @ e, H(e) @ x @ a] if kind == "continuous" else [H(a) @ x @ a, -H(e) @ x @ e]
    terms += [-M @ K, q]
    return np.linalg.norm(sum(terms)) / sum(map(np.linalg.norm, terms)), scipy.linalg.eigvals(a - b @ K, e)


def assert_solves(kind, x, given, tolerance):
    x = np.asarray(x).astype(np.complex128 if x.dtype.is_complex else np.float64)
    size, poles = residual(kind, x, *given)
    assert size < tolerance
    assert (poles.real < 0 if kind == "continuous" else abs(poles) < 1).all()
    assert np.array_equal(x, H(x))


@pytest.mark.slow_if("graph", "scipy", "complex64")
@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("kind", KINDS)
def test_values(kind, dtype, backend, rng):
    for sizes, descriptor in (((1, 1), False), ((4, 2), False), ((3, 5), True)):
        given = problem(rng, *sizes, dtype, descriptor=descriptor)
        x = SOLVERS[kind](*given, backend=backend)
        assert x.dtype == dtype
        assert_solves(kind, x, given, 20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.parametrize("kind", KINDS)
def test_values_are_scipys(kind, dtype, rng):
    for n, m, balanced in ((3, 1, True), (30, 7, True), (12, 12, False)):
        given = problem(rng, n, m, dtype)
        expected = SCIPYS[kind](*given, balanced=balanced)
        assert np.allclose(SOLVERS[kind](*given, balanced=balanced), expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max())


def test_cases_with_closed_forms():
    """Scalars; a double integrator; where r, and a, are singular; an H-infinity problem, whose r is indefinite."""
    x = tfqz.solve_continuous_are([[2.0]], [[1.0]], [[3.0]], [[1.0]])
    assert np.allclose(x, 2 + 7**0.5)
    integrator = [[0.0, 1.0], [0.0, 0.0]], [[0.0], [1.0]], [[1.0, 0.0], [0.0, 0.0]], [[1.0]]
    double = [np.array(x) for x in integrator]
    assert np.allclose(tfqz.solve_continuous_are(*double), [[2**0.5, 1], [1, 2**0.5]], atol=1e-14)
    golden = (1 + 5**0.5) / 2
    one = np.ones((1, 1))
    assert np.allclose(tfqz.solve_discrete_are(one, one, one, one), golden)
    assert np.allclose(tfqz.solve_discrete_are(one, one, one, 0 * one), 1)  # dead beat
    assert np.allclose(tfqz.solve_discrete_are(np.zeros((2, 2)), np.eye(2), np.eye(2), np.eye(2)), np.eye(2))
    gamma = 2.0
    x = tfqz.solve_continuous_are(-one, np.ones((1, 2)), one, np.diag([1, -(gamma**2)]))
    assert np.allclose(x, (-2 + (4 + 4 * 0.75) ** 0.5) / (2 * 0.75))


def derivative_cases(kind):
    rng = np.random.default_rng(11)
    multiple = [np.zeros((3, 3)), np.eye(3), np.eye(3), np.eye(3)]  # all poles of the closed loop are one
    chain = np.eye(4, k=1) * (1 if kind == "continuous" else 0.5)
    # With b = 0 the closed loop is a: one Jordan block.
    defective = [chain - (1 if kind == "continuous" else 0.3) * np.eye(4), np.zeros((4, 1)), np.eye(4), np.eye(1)]
    indefinite = problem(rng, 3, 2)
    indefinite[3] = np.diag([1.0, -30.0])
    return {
        "real": problem(rng, 4, 2),
        "complex": problem(rng, 3, 2, "complex128"),
        "descriptor": problem(rng, 3, 2, descriptor=True),
        "complex descriptor": problem(rng, 3, 2, "complex128", descriptor=True),
        "multiple": multiple,
        "defective": defective,
        "indefinite": indefinite,
    }


def weighted(kind, given, backend=None):
    """A real function of the arguments, with q and r made Hermitian."""
    weight = deviates(np.random.default_rng(5), given[0].shape, given[0].dtype)

    def f(a, b, q, r, *more):
        return inner([weight], [SOLVERS[kind](a, b, hermitian(q), hermitian(r), *more, backend=backend)])

    return f


@pytest.mark.slow_if(
    "graph",
    "scipy",
    "complex-",
    "complex]",
    "continuous-complex",
    "discrete-real",
    "discrete-descriptor",
    "discrete-multiple",
    "discrete-complex",
    "discrete-defective",
    "continuous-indefinite",
    "continuous-real",
)
@pytest.mark.parametrize("name", derivative_cases("continuous"))
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives(kind, name, backend, rng):
    """First derivatives by tape and accumulator, second ones in all nestings."""
    given = derivative_cases(kind)[name]
    f, moves = weighted(kind, given, backend), several.like(rng, given)
    expected = several.difference(lambda *xs: f(*map(tf.constant, xs)).numpy(), given, moves)
    size = sum(np.linalg.norm(g) * np.linalg.norm(dx) for g, dx in zip(several.gradients(f, given), moves))
    for derivative in several.first_derivatives(f, given, moves):
        assert abs(derivative - expected) < 1e-8 * max(abs(expected), size)
    if backend != "native" and name not in ("real", "complex descriptor"):
        return  # attached as these are
    expected = several.difference(lambda *xs: several.along(f, moves)(*map(tf.constant, xs)).numpy(), given, moves)
    for derivative in several.second_derivatives(f, given, moves):
        assert derivative == pytest.approx(expected, rel=1e-6, abs=1e-8 * size)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_scipys_solution(kind, rng):
    """Of n = 30: along a direction that leaves q and r Hermitian, by differences of SciPy's solutions."""
    given = problem(rng, 30, 8)
    weight = deviates(rng, (30, 30), "float64")
    gradients = several.gradients(weighted_by(weight, kind), given)
    moves = several.like(rng, given)
    moves[2:] = [(x + x.T) / 2 for x in moves[2:]]
    expected = several.difference(lambda *xs: np.sum(weight * SCIPYS[kind](*xs)), given, moves, h=2.0**-14)
    assert float(inner(moves, gradients)) == pytest.approx(expected, rel=1e-8)


def weighted_by(weight, kind):
    return lambda *xs: tf.reduce_sum(weight * SOLVERS[kind](*xs))


def mixed_batch(kind):
    """Problems of which the 2nd has NaN, the 3rd an eigenvalue that can't be stabilized, the 4th one on the boundary."""
    rng = np.random.default_rng(2)
    a, b, q, r = problem(rng, 2, 1, batch=(5,))
    a[1, 0, 0] = np.nan
    b[2:4] = 0
    a[2] = np.diag([-3.0, 3.0])
    a[3] = [[0, 1], [-1, 0]]
    return a, b, q, r


FAILING = [1, 2, 3]


@pytest.mark.slow_if("graph", "scipy", "xla", "function")
@pytest.mark.parametrize("how", ["eager", "function", "xla"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.no_case_if(lambda how, backend: how == "xla" and backend == "scipy", "calls back into Python")
def test_failures_harm_no_other_element(kind, how, backend):
    given = [tf.constant(x) for x in mixed_batch(kind)]
    others = np.delete(np.arange(5), FAILING)

    def value_and_gradients(*xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            x = SOLVERS[kind](*xs, backend=backend, on_failure="nan")
            failed = tf.reduce_any(tf.math.is_nan(x), axis=[-2, -1], keepdims=True)
            loss = tf.reduce_sum(tf.where(failed, tf.zeros_like(x), x))
        return x, tape.gradient(loss, xs)

    wrap = {"eager": lambda f: f, "function": tf.function, "xla": lambda f: tf.function(f, jit_compile=True)}[how]
    x, found = wrap(value_and_gradients)(*given)
    assert np.isnan(x.numpy()[FAILING]).all()
    expected, gradients = value_and_gradients(*(tf.gather(y, others) for y in given))
    assert np.allclose(x.numpy()[others], expected, rtol=1e-12)
    for got, wanted in zip(found, gradients):
        assert np.allclose(got.numpy()[others], wanted, rtol=1e-10, atol=1e-12)
        assert (got.numpy()[FAILING] == 0).all()


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("kind", KINDS)
def test_reasons(kind, backend):
    a, b, q, r = mixed_batch(kind)
    solve, rows = SOLVERS[kind], np.arange(5)
    boundary = {"continuous": "on the imaginary axis", "discrete": "on the unit circle"}[kind]
    for bad, text in ((1, "`a` must be finite; got NaN or Inf"), (2, "belongs to none"), (3, f"eigenvalues of their pencil {boundary}")):
        kept = np.delete(rows, [k for k in FAILING if k != bad])
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"{text}.* in batch element \[1\]"):
            solve(a[kept], b[kept], q[kept], r[kept], backend=backend)
    a, b, q, r = a[0], b[0], q[0], r[0]
    skew = np.array([[0.0, 1.0], [-1.0, 0.0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="`q` must be Hermitian"):
        solve(a, b, q + skew, r, backend=backend)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`r` must be Hermitian"):
        solve(a, np.ones((2, 2)), q, np.eye(2) + skew, backend=backend)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`e` must be regular"):
        solve(a, b, q, r, np.ones((2, 2)), backend=backend)
    if kind == "continuous":
        with pytest.raises(tf.errors.InvalidArgumentError, match="`r` must be regular"):
            solve(a, b, q, 0 * r, backend=backend)


def test_wrong_arguments():
    two, three = np.eye(2), np.eye(3)
    for given, error, text in (
        ((two, two, three, two), ValueError, r"`q` must be \[..., n, n\], n being 2; got \(3, 3\), and `a` \(2, 2\)"),
        ((two, three, two, three), ValueError, r"`b` must be \[..., n, m\], n being 2; got \(3, 3\), and `a` \(2, 2\)"),
        ((two[0], two, two, two), ValueError, "`a` must be a matrix or a batch of them"),
        ((two, two, two.astype("float32"), two), TypeError, "`a` and `q` must have the same dtype"),
        ((two, np.ones((2, 2, 2)), np.ones((3, 2, 2)), two), ValueError, "`q` must have a batch shape that broadcasts with the others"),
    ):
        with pytest.raises(error, match=text):
            tfqz.solve_continuous_are(*given)
    with pytest.raises(ValueError, match="`on_failure` must be one of 'raise', 'nan'"):
        tfqz.solve_discrete_are(two, two, two, two, on_failure="ignore")


@pytest.mark.slow_if("discrete")
@pytest.mark.parametrize("kind", KINDS)
def test_unknown_shapes(kind):
    given = problem(np.random.default_rng(1), 3, 2, batch=(2,))
    given[1] = given[1][0]
    unknown = tf.function(SOLVERS[kind], input_signature=[tf.TensorSpec(None, tf.float64)] * 4)
    assert np.allclose(unknown(*given), SOLVERS[kind](*given), rtol=1e-12)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`b` must be"):
        unknown(given[0], np.ones((2, 2)), *given[2:])


@pytest.mark.slow_if("graph", "discrete")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.no_case_if(lambda backend: backend == "scipy", "calls back into Python")
def test_compiled(kind, backend):
    """Value, gradient and second derivative by XLA, of a second and a third value."""
    given = problem(np.random.default_rng(1), 4, 2, "complex128", descriptor=True)
    f = weighted(kind, given, backend)
    moves = [tf.constant(x) for x in several.like(np.random.default_rng(3), given)]
    given = [tf.constant(x) for x in given]

    def all_of_it(*xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            value = several.along(f, moves)(*xs)
        return value, tape.gradient(value, xs)

    compiled = tf.function(all_of_it, jit_compile=True)
    for factor in (1, 0.9, 1.1):
        scaled = [x * factor for x in given]
        for got, expected in zip(tf.nest.flatten(compiled(*scaled)), tf.nest.flatten(all_of_it(*scaled))):
            assert np.allclose(got, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
    assert compiled.experimental_get_tracing_count() == 1


@pytest.mark.slow_if("discrete")
@pytest.mark.parametrize("kind", KINDS)
def test_vectorized_map_and_batches(kind):
    given = [tf.constant(x) for x in problem(np.random.default_rng(1), 3, 2, batch=(4,))]
    expected = SOLVERS[kind](*given)
    one_by_one = [SOLVERS[kind](*(x[i] for x in given)) for i in range(4)]
    assert np.allclose(expected, one_by_one, rtol=1e-12)
    mapped = tf.vectorized_map(lambda xs: SOLVERS[kind](*xs), given, fallback_to_while_loop=False)
    assert np.allclose(mapped, expected, rtol=1e-12)
    a, b, q, r = given
    broadcast = SOLVERS[kind](a[:, None, None], b[:, None], q[:2], r[0])
    b, r = b[None], r[None]
    assert broadcast.shape == (4, 4, 2, 3, 3)
    assert np.allclose(broadcast[2, 1, 1], SOLVERS[kind](a[2], b[0, 1], q[1], r[0, 0]), rtol=1e-12)


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("kind", KINDS)
def test_empty(kind, backend):
    for n, m, batch in ((0, 0, ()), (0, 2, ()), (2, 0, ()), (2, 1, (0,))):
        given = [tf.constant(x) for x in problem(np.random.default_rng(1), n, m, batch=batch)]
        if n == 2 and m == 0:
            given[0] -= 3 * np.eye(2) if kind == "continuous" else given[0] / 2
        with tf.GradientTape() as tape:
            tape.watch(given)
            x = SOLVERS[kind](*given, backend=backend)
        assert x.shape == (*batch, n, n)
        assert [g.shape for g in tape.gradient(x, given)] == [y.shape for y in given]
