"""Second and third derivatives, forward mode, Jacobians; eagerly and in a graph, from every backend."""

import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates, inner, relative_error

import tfqz

N = 4


class Problem:
    """A quadratic function of all factors, its derivatives in TensorFlow, and central differences of one of them."""

    def __init__(self, rng, dtype, output, backend):
        factor = np.result_type(dtype, np.complex64) if output == "complex" else dtype
        weights = [deviates(rng, (N, N), factor) for _ in range(4)]
        self.a, self.b, self.da, self.db, self.u, self.v = (tf.constant(deviates(rng, (N, N), dtype)) for _ in range(6))

        def f(a, b):
            factors = tfqz.qz(a, b, output=output, backend=backend)
            return inner(weights, [x * x for x in factors])

        self.f = f

    def gradient(self, a, b):
        return differentiate(self.f, a, b)

    def second(self, a, b):
        return differentiate(lambda a, b: inner((self.u, self.v), self.gradient(a, b)), a, b)

    def third(self, a, b):
        return differentiate(lambda a, b: inner((self.da, self.db), self.second(a, b)), a, b)

    def forward(self, a, b):
        with tf.autodiff.ForwardAccumulator([a, b], [self.da, self.db]) as accumulator:
            value = self.f(a, b)
        return accumulator.jvp(value)

    def forward_over_reverse(self, a, b):
        with tf.autodiff.ForwardAccumulator([a, b], [self.da, self.db]) as accumulator:
            gradients = self.gradient(a, b)
        return [accumulator.jvp(x) for x in gradients]

    def difference(self, function, h=2.0**-14):
        """(8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h along (da, db)."""

        def at(h):
            return [np.asarray(x) for x in function(self.a + h * self.da, self.b + h * self.db)]

        values = [at(x) for x in (h, -h, 2 * h, -2 * h)]
        return [(8 * (p - m) - (pp - mm)) / (12 * h) for p, m, pp, mm in zip(*values)]


def differentiate(f, a, b):
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        value = f(a, b)
    return tape.gradient(value, [a, b])


def close(got, expected, tolerance):
    scale = max(np.abs(x).max() for x in expected)
    return all(np.abs(np.asarray(x) - y).max() < tolerance * scale for x, y in zip(got, expected))


ONLY_NATIVE_EAGERLY = pytest.mark.no_case_if(
    lambda backend, in_graph: backend != "native" and not in_graph, "half a minute for the derivatives that all backends share"
)


@pytest.mark.slow_if("-graph]", "-scipy]", "complex128-complex-eager")
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("dtype, output", [("float64", "real"), ("complex128", "complex")])
@ONLY_NATIVE_EAGERLY
def test_derivatives(dtype, output, in_graph, backend):
    wrap = tf.function if in_graph else lambda f: f
    problem = Problem(np.random.default_rng(11), dtype, output, backend)
    a, b = problem.a, problem.b
    gradient = wrap(problem.gradient)
    expected = problem.difference(gradient)

    assert close(wrap(problem.forward_over_reverse)(a, b), expected, 1e-7)
    forward = float(wrap(problem.forward)(a, b))
    assert forward == pytest.approx(float(inner((problem.da, problem.db), gradient(a, b))), rel=1e-10)
    second = wrap(problem.second)
    by_hessian = float(inner((problem.da, problem.db), second(a, b)))
    assert by_hessian == pytest.approx(sum(np.real(np.vdot(x, y)) for x, y in zip((problem.u, problem.v), expected)), rel=1e-7)


@pytest.mark.slow
def test_third_derivatives(backend):
    problem = Problem(np.random.default_rng(11), "float64", "real", backend)
    assert close(problem.third(problem.a, problem.b), third_by_differences(problem), 1e-6)


def third_by_differences(problem):
    """The third derivative with (u, v) and (da, db) fixed is symmetric: that of forward over reverse along (u, v)."""
    moved = Problem.__new__(Problem)
    moved.__dict__ = dict(problem.__dict__, da=problem.u, db=problem.v)
    return moved.difference(problem.forward_over_reverse)


@pytest.mark.slow
def test_second_derivatives_of_a_function_differentiated_outside():
    """The gradient of a gradient of a tf.function: three graphs."""
    problem = Problem(np.random.default_rng(11), "float64", "real", None)
    inside = problem.second(problem.a, problem.b)
    problem.f = tf.function(problem.f)
    assert close(problem.second(problem.a, problem.b), [x.numpy() for x in inside], 1e-12)


SOLVERS = {
    "klein": lambda a, b: tfqz.klein(a, b + 9 * tf.eye(N, dtype=b.dtype), a @ b).policy,
    "solve_continuous_are": lambda a, b: tfqz.solve_continuous_are(a, b, np.eye(N), np.eye(N)),
    "solve_discrete_lyapunov": lambda a, b: tfqz.solve_discrete_lyapunov(a, b),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLVERS)
def test_second_derivatives_of_solvers_through_nested_functions(name, rng):
    """What is traced inside, without a derivative, has none there either."""
    a, b, da, db = (tf.constant(rng.standard_normal((N, N)) / 3) for _ in range(4))
    flat = lambda a, b: tf.reduce_sum(SOLVERS[name](a, b) ** 3)
    directional = lambda f: lambda a, b: inner((da, db), differentiate(f, a, b))
    nested = tf.function(directional(tf.function(flat)))
    expected = differentiate(directional(flat), a, b)
    for function in (nested, tf.function(nested)):
        assert relative_error(differentiate(function, a, b), expected) < 1e-12


@pytest.mark.slow_if("scipy")
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.no_case_if(lambda backend: backend == "graph", "minutes for what is vectorised as for the other backends")
@ONLY_NATIVE_EAGERLY
def test_jacobians(in_graph, backend, rng):
    """tape.jacobian and tape.batch_jacobian, vectorised and not, against central differences."""
    A, B = tf.constant(deviates(rng, (3, 3, 3), "float64")), tf.constant(deviates(rng, (3, 3, 3), "float64"))
    expected = np.zeros((3, 3, 3, 3, 3))
    h = 1e-6
    for k, l in np.ndindex(3, 3):
        d = np.zeros((3, 3))
        d[k, l] = h
        expected[..., k, l] = (tfqz.qz(A + d, B, backend=backend).z - tfqz.qz(A - d, B, backend=backend).z) / (2 * h)

    def jacobians(A, B):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([A, B])
            z = tfqz.qz(A, B, backend=backend).z
        return tape.batch_jacobian(z, A), tape.batch_jacobian(z, A, experimental_use_pfor=False), tape.jacobian(z, A)

    vectorised, looped, full = (tf.function(jacobians) if in_graph else jacobians)(A, B)
    assert close([vectorised, looped, tf.einsum("bijbkl->bijkl", full)], [expected] * 3, 1e-6)


# Where cotangents of the convention are 0, though their derivatives are not.
SIMPLE = {
    "one": (np.array([[0.5 + 0j]]), np.array([[2.0 + 0j]])),
    "diagonal": (np.diag([1.0 + 0j, 2, 4]), np.diag([1.0 + 0j, 3, 2])),
    "unit": (np.diag([1j, -1, 2]), np.eye(3) + 0j),
    "an infinite eigenvalue": (np.diag([1.0 + 0j, 2]), np.diag([0j, 3])),
    "a pair": (np.array([[0.0, 2], [-1, 0]]), np.diag([3.0, 1])),
}


@pytest.mark.slow_if("graph", "scipy", "unit", "infinite", "diagonal")
@pytest.mark.parametrize("name", SIMPLE)
def test_simple_pencils(name, backend, rng):
    """Forward mode against reverse mode, and that differentiated against central differences."""
    a, b = map(tf.constant, SIMPLE[name])
    weights, (da, db), (u, v) = ([deviates(rng, a.shape, a.dtype.as_numpy_dtype) for _ in range(k)] for k in (4, 2, 2))

    of_eigenvalues = deviates(rng, (2, len(a)), "complex128")

    def f(a, b):
        found = [*tfqz.qz(a, b, backend=backend), tfqz.eigvals(a, b, True, backend=backend)]
        return inner([*weights, of_eigenvalues], found)

    def along(a, b):
        return inner((u, v), differentiate(f, a, b))

    with tf.autodiff.ForwardAccumulator([a, b], [tf.constant(da), tf.constant(db)]) as accumulator:
        value = f(a, b)
    np.testing.assert_allclose(accumulator.jvp(value), inner((da, db), differentiate(f, a, b)), rtol=1e-12)
    h = 1e-3
    near = [(a + k * h * da, b + k * h * db) for k in (-2, -1, 1, 2)]
    jumps = [np.abs(x - y).max() for pencil in near for x, y in zip(tfqz.qz(*pencil, backend=backend), tfqz.qz(a, b, backend=backend))]
    assert name not in ("one", "a pair") or max(jumps) < 0.1
    if max(jumps) < 0.1:  # eigenvalues of the others may come in another order there
        difference = np.dot([1, -8, 8, -1], [along(*pencil) for pencil in near]) / (12 * h)
        np.testing.assert_allclose(inner((da, db), differentiate(along, a, b)), difference, rtol=1e-6)
