"""Sylvester and Lyapunov equations: solutions and derivatives against dense linear systems, and SciPy's."""

import cases
import numpy as np
import pytest
import scipy.linalg
import several
import tensorflow as tf
from functionals import deviates, inner, relative_error

import tfqz


def H(x):
    return np.conj(np.swapaxes(x, -1, -2))


# What must be 0, of one or more equations, for one or more unknowns.
RESIDUALS = {
    "sylvester": lambda x, a, b, q: a @ x + x @ b - q,
    "continuous": lambda x, a, q: a @ x + x @ H(a) - q,
    "continuous-e": lambda x, a, q, e: a @ x @ H(e) + e @ x @ H(a) - q,
    "discrete": lambda x, a, q: a @ x @ H(a) - x + q,
    "discrete-e": lambda x, a, q, e: a @ x @ H(a) - e @ x @ H(e) + q,
    "generalized": lambda x, a, b, c, d, e, f: np.stack([a @ x[0] - x[1] @ b - c, d @ x[0] - x[1] @ e - f]),
}
SOLVERS = {
    "sylvester": tfqz.solve_sylvester,
    "continuous": tfqz.solve_continuous_lyapunov,
    "continuous-e": tfqz.solve_continuous_lyapunov,
    "discrete": tfqz.solve_discrete_lyapunov,
    "discrete-e": tfqz.solve_discrete_lyapunov,
    "generalized": lambda *arguments, **options: tf.stack(tfqz.solve_generalized_sylvester(*arguments, **options)),
}
KINDS = list(SOLVERS)


def arguments(kind, rng, m, n, dtype, batch=()):
    """Well-conditioned ones. The Lyapunov equations have size m."""

    def near(size, center, radius):
        x = deviates(rng, (*batch, size, size), dtype) * (radius / max(size * (2 if np.dtype(dtype).kind == "c" else 1), 1) ** 0.5)
        return (x + center * np.eye(size)).astype(dtype)

    def any_(*shape):
        return deviates(rng, (*batch, *shape), dtype)

    if kind == "sylvester":
        return [near(m, 2, 0.7), near(n, 1, 0.7), any_(m, n)]
    if kind == "generalized":
        return [near(m, 2, 0.7), near(n, -2, 0.7), any_(m, n), near(m, 1, 0.3), near(n, 1, 0.3), any_(m, n)]
    a = near(m, -1, 0.4) if kind.startswith("continuous") else near(m, 0, 0.6)
    return [a, any_(m, m), *([near(m, 1, 0.2)] if kind.endswith("-e") else [])]


def dense(kind, *arguments):
    """The solution from the matrix of the linear system, column by column; of one problem."""
    residual = RESIDUALS[kind]
    shape = np.shape(arguments[2] if kind in ("sylvester", "generalized") else arguments[1])
    shape = (2, *shape) if kind == "generalized" else shape
    size, dtype = int(np.prod(shape)), arguments[0].dtype
    constant = residual(np.zeros(shape, dtype), *arguments).ravel()
    units = np.eye(size, dtype=dtype).reshape(size, *shape)
    matrix = np.stack([residual(unit, *arguments).ravel() - constant for unit in units], axis=1)
    return np.linalg.solve(matrix, -constant).reshape(shape)


@pytest.mark.slow_if("scipy", "graph", "float32", "complex128")
@pytest.mark.parametrize("dtype", cases.ALL)
@pytest.mark.parametrize("kind", KINDS)
def test_values(kind, dtype, backend, rng):
    for m, n in ((1, 1), (2, 3), (6, 4)):
        given = arguments(kind, rng, m, n, dtype)
        found = SOLVERS[kind](*given, backend=backend)
        wider = [x.astype(np.result_type(dtype, np.float64)) for x in given]
        assert found.dtype == dtype
        assert relative_error([found], [dense(kind, *wider)]) < 200 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_values_are_scipys(dtype, rng):
    scipys = {
        "sylvester": scipy.linalg.solve_sylvester,
        "continuous": scipy.linalg.solve_continuous_lyapunov,
        "discrete": scipy.linalg.solve_discrete_lyapunov,
    }
    for kind, solve in scipys.items():
        for m, n in ((3, 5), (40, 30)):
            given = arguments(kind, rng, m, n, dtype)
            assert relative_error([SOLVERS[kind](*given)], [solve(*given)]) < 1e-12


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.parametrize("kind", ["continuous-e", "discrete-e"])
def test_ill_conditioned_coefficients(kind, dtype, backend, rng):
    """The residual is rounding, where solving by the one after the other would leave their condition numbers' product of that. As long as
    this is below 1 / epsilon."""

    def nearly_singular(smallest):
        u, _, v = np.linalg.svd(deviates(rng, (6, 6), dtype))
        return u * [1, 0.8, 0.6, 0.4, 0.2, smallest] @ v

    for _ in range(5):
        m, p, q = nearly_singular(1e-6), nearly_singular(1e-8), deviates(rng, (6, 6), dtype)
        a, e = (m, p) if kind == "continuous-e" else ((m + p) / 2, (p - m) / 2)
        x = SOLVERS[kind](a, q, e, backend=backend).numpy()
        terms = np.linalg.norm(x) * (np.linalg.norm(a) + np.linalg.norm(e)) ** 2 + np.linalg.norm(q)
        assert np.linalg.norm(RESIDUALS[kind](x, a, q, e)) < 6 * np.finfo(dtype).eps * terms


def functional(kind, weight, **options):
    return lambda *xs: inner([weight], [SOLVERS[kind](*xs, **options)])


@pytest.mark.slow_if("scipy", "graph", "complex128", "generalized", "-e-", "discrete")
@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives(kind, dtype, backend, rng):
    """In reverse and forward mode, and the second one in three nestings."""
    given = arguments(kind, rng, 4, 3, dtype)
    check_derivatives(kind, given, rng, backend, order=2 if backend == "native" else 1)


def check_derivatives(kind, given, rng, backend=None, order=2):
    expected = dense(kind, *given)
    weight, moves = deviates(rng, expected.shape, expected.dtype), several.like(rng, given)
    f = functional(kind, weight, backend=backend)
    assert relative_error([SOLVERS[kind](*given, backend=backend)], [expected]) < 1e-12
    derivative = several.difference(lambda *xs: np.sum(np.real(np.conj(weight) * dense(kind, *xs))), given, moves)
    assert several.first_derivatives(f, given, moves) == pytest.approx([float(derivative)] * 2, rel=1e-8)
    if order == 2:
        derivative = several.difference(lambda *xs: several.along(f, moves)(*map(tf.constant, xs)), given, moves)
        assert several.second_derivatives(f, given, moves) == pytest.approx([float(derivative)] * 3, rel=1e-8)


@pytest.mark.slow_if("scipy", "graph", "generalized", "-e", "discrete")
@pytest.mark.parametrize("kind", KINDS)
def test_defective_coefficients(kind, backend, rng):
    """Each coefficient has one Jordan block, in a frame of its own: nothing but sums of two of them counts."""
    given = arguments(kind, rng, 4, 3, "float64")
    eigenvalues = {"sylvester": {0: 2, 1: 1}, "generalized": {0: 2, 1: -2, 3: 1, 4: 1}}.get(kind, {0: -0.5, 2: 1})
    frames = {size: np.linalg.qr(rng.standard_normal((size, size)))[0] for size in (3, 4)}
    for place, eigenvalue in eigenvalues.items():
        if place < len(given):
            size = len(given[place])
            block = eigenvalue * np.eye(size) + (0.5 if place < 2 else 0) * np.eye(size, k=1)
            given[place] = frames[size] @ block @ frames[size].T
    check_derivatives(kind, given, rng, backend)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_single_precision(kind, rng):
    for dtype in ("float32", "complex64"):
        given = arguments(kind, rng, 5, 4, dtype)
        wider = [x.astype(np.result_type(dtype, np.float64)) for x in given]
        weight = deviates(rng, dense(kind, *wider).shape, dtype)
        found, expected = (several.gradients(functional(kind, weight), xs) for xs in (given, wider))
        assert all(x.dtype == dtype for x in found)
        assert relative_error(found, expected) < 1e-5


@pytest.mark.slow_if("generalized")
@pytest.mark.parametrize("kind", KINDS)
def test_batches_broadcast(kind, rng):
    """Values and gradients of each element are those without the others."""
    given = [x[0] for x in arguments(kind, rng, 4, 3, "float64", (1,))]
    first = arguments(kind, rng, 4, 3, "float64", (3, 1))[0]
    last = arguments(kind, rng, 4, 3, "float64", (2,))[-1]
    batched = [first, *given[1:-1], last]
    found = SOLVERS[kind](*batched)
    found = np.moveaxis(found, 0, 2) if kind == "generalized" else found.numpy()
    weight = deviates(rng, found.shape, "float64")
    cotangent = np.moveaxis(weight, 2, 0) if kind == "generalized" else weight
    whole = several.gradients(functional(kind, cotangent), batched)
    of_first, of_last = np.zeros_like(first), np.zeros_like(last)
    for i in range(3):
        for j in range(2):
            single = [first[i, 0], *given[1:-1], last[j]]
            assert relative_error([found[i, j]], [dense(kind, *single)]) < 1e-12
            part = several.gradients(functional(kind, weight[i, j]), single)
            of_first[i, 0] += part[0]
            of_last[j] += part[-1]
    assert relative_error([whole[0], whole[-1]], [of_first, of_last]) < 1e-12


@pytest.mark.slow_if("scipy", "graph")
def test_sizes_at_the_ends(backend, rng):
    for kind in KINDS:
        for m, n, batch in ((0, 0, ()), (0, 3, ()), (3, 0, ()), (2, 2, (0,)), (0, 0, (2,))):
            given = arguments(kind, rng, m, n, "float64", batch)
            right_hand_side = given[2 if kind in ("sylvester", "generalized") else 1]
            if np.size(right_hand_side) > 0:
                continue  # an equation of size m
            shape = (2, *right_hand_side.shape) if kind == "generalized" else right_hand_side.shape
            assert SOLVERS[kind](*given, backend=backend).shape == shape
            for x, y in zip(several.gradients(lambda *xs: tf.reduce_sum(SOLVERS[kind](*xs, backend=backend)), given), given):
                assert x.shape == y.shape and not np.any(x)


@pytest.mark.parametrize("environment", ["native", pytest.param("graph", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["sylvester", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("continuous-e", "generalized"))])
def test_under_xla(kind, environment, monkeypatch, rng):
    """Of unknown sizes; compiled for the CPU and as for other devices; again with other values and sizes."""
    if environment == "graph":
        monkeypatch.setenv("TFQZ_XLA", "graph")

    def step(*xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            found = SOLVERS[kind](*xs)
            value = tf.reduce_sum(tf.sin(found))
        return [found, *tape.gradient(value, xs)]

    compiled = tf.function(step, jit_compile=True)
    for batch in ((2,), (2,), (3,)):
        given = [tf.constant(x) for x in arguments(kind, rng, 4, 3, "float64", batch)]
        for x, y in zip(compiled(*given), step(*given)):
            assert relative_error([x], [y]) < 1e-11


@pytest.mark.slow_if("sylvester", "continuous-e", "discrete", "generalized")
@pytest.mark.parametrize("kind", KINDS)
def test_vectorized(kind, rng):
    given = [tf.constant(x) for x in arguments(kind, rng, 4, 3, "float64", (5,))]
    mapped = tf.vectorized_map(lambda xs: SOLVERS[kind](*xs), given)
    whole = SOLVERS[kind](*given)
    assert relative_error([mapped], [tf.transpose(whole, [1, 0, 2, 3]) if kind == "generalized" else whole]) < 1e-13
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(given)
        value = SOLVERS[kind](*given)
        value = tf.reduce_sum(value, axis=[0, -2] if kind == "generalized" else -2)
    jacobian = tape.batch_jacobian(value, given[0])
    assert relative_error([tf.reduce_sum(jacobian, axis=1)], [tape.gradient(value, given[0])]) < 1e-12


@pytest.mark.slow
def test_saved_model(tmp_path, rng):
    """It is trained on after loading."""
    module = tf.Module()
    module.e = tf.Variable(np.eye(3) + 0.1 * rng.standard_normal((3, 3)))
    signature = [tf.TensorSpec([None, None, None], tf.float64)] * 2
    module.solve = tf.function(lambda a, q: tfqz.solve_discrete_lyapunov(a, q, module.e), input_signature=signature)
    a, q = arguments("discrete", rng, 3, 3, "float64", (2,))
    tf.saved_model.save(module, str(tmp_path))
    found = []
    for model in (module, tf.saved_model.load(str(tmp_path))):
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(model.solve(a, q) ** 2)
        found.append([value, tape.gradient(value, model.e)])
    assert relative_error(found[1], found[0]) < 1e-14
