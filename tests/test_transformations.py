"""What TensorFlow makes of programs keeps the derivatives: tapes and forward accumulators in each other, vectorized maps, loops, functions
in functions, recomputation, saved models. Each against the plain way, or central differences of it."""

import numpy as np
import pytest
import tensorflow as tf
from stored_model import ops
from tensorflow.python.ops.parallel_for import pfor

import tfqz
from tfqz._backends import native

N = 3
# NumPy's, which are constants of graphs: with an accumulator in a tape TensorFlow 2.21 differentiates no function that captures eager
# tensors.
_A, B, C, E = np.random.default_rng(5).standard_normal((4, N, N))
A = tf.constant(_A)
AS = tf.stack([A, A + 0.1 * C, A - 0.1 * C])


def nearly_triangular(a, b):
    """A pencil of which QZ finds the eigenvalues in the order of the diagonal, alone and in a batch."""
    diagonal = tf.linalg.diag(tf.range(1, N + 1, dtype=a.dtype))
    return 5 * diagonal + 0.1 * a, tf.eye(N, dtype=a.dtype) + 0.1 * b


def last(alpha, beta):
    """Selects the last eigenvalue."""
    return tf.abs(alpha) > 12 * tf.abs(beta)


# Functions of a, [..., N, N], with weights that tell entries apart.
FUNCTIONS = {
    "qz": lambda a, backend: C * tfqz.qz(*nearly_triangular(a, B), backend=backend).q,
    "ordqz": lambda a, backend: C * tfqz.ordqz(*nearly_triangular(a, B), last, backend=backend).z,
    "alpha": lambda a, backend: C[0] * tf.math.real(tfqz.ordqz(*nearly_triangular(a, B), "rhp", backend=backend).alpha),
    "eigvals": lambda a, backend: C[0] * tf.abs(tfqz.eigvals(*nearly_triangular(a, B), backend=backend)),
    "basis": lambda a, backend: C * tfqz.deflating_subspace(*nearly_triangular(a, B), last, backend=backend).right,
    "projector": lambda a, backend: C * tfqz.deflating_subspace(*nearly_triangular(a, B), last, backend=backend).left_projector,
    "schur": lambda a, backend: C * tfqz.schur(nearly_triangular(a, B)[0], backend=backend).z,
    "right vectors": lambda a, backend: C * tf.math.real(tfqz.eig(*nearly_triangular(a, B), backend=backend)[1]),
    "left vectors": lambda a, backend: C * tf.math.real(tfqz.eig(*nearly_triangular(a, B), True, False, backend=backend)[1]),
}


def value_of(name, backend):
    """A function of a, [..., N, N], with values [...]."""

    def value(a):
        y = FUNCTIONS[name](a, backend)
        return tf.reduce_sum(y, axis=list(range(a.shape.rank - 2 - y.shape.rank, 0))) * 10

    return value


def gradient(f):
    def g(a):
        with tf.GradientTape() as tape:
            tape.watch(a)
            value = f(a)
        return tape.gradient(value, a)

    return g


def along(f):
    """The derivative in the direction E, by a forward accumulator."""

    def jvp(a):
        with tf.autodiff.ForwardAccumulator(a, tf.constant(E)) as accumulator:
            value = f(a)
        return accumulator.jvp(value)

    return jvp


def dotted(f):
    return lambda a: tf.reduce_sum(f(a) * E)


def jacobian(f, vectorized):
    def j(a):
        with tf.GradientTape(persistent=not vectorized) as tape:
            tape.watch(a)
            value = f(a)
        return tape.jacobian(value, a, experimental_use_pfor=vectorized)

    return j


def difference(f, h=2.0**-13):
    """(8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h in the direction E."""
    p, m, pp, mm = (f(A + x * E).numpy() for x in (h, -h, 2 * h, -2 * h))
    return (8 * (p - m) - (pp - mm)) / (12 * h)


def assert_close(got, expected, tolerance=1e-10):
    assert np.abs(np.asarray(got) - np.asarray(expected)).max() < tolerance * np.abs(expected).max()


@pytest.mark.slow_if("graph", "scipy", "function", "alpha", "eigvals", "vectors", "-qz", "schur", "ordqz")
@pytest.mark.parametrize("how", ["eager", "function", "function inside"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.no_case_if(
    lambda name, how, backend: name != "ordqz" and (how != "eager" or (name != "alpha" and backend != "native")),
    "attached as that of ordqz is",
)
def test_tapes_and_accumulators(name, how, backend):
    """First derivatives, and the four ways to second ones."""
    f = value_of(name, backend)
    expected = difference(gradient(f))
    if how == "function inside":
        f = tf.function(f)
    wrap = tf.function if how == "function" else lambda f: f
    by_tape, by_accumulator = wrap(gradient(f))(A), wrap(along(f))(A)
    assert_close(by_accumulator, np.sum(by_tape.numpy() * E))
    second = wrap(gradient(dotted(gradient(f))))(A)
    assert_close(second, expected, 1e-7)
    assert_close(wrap(along(gradient(f)))(A), second)
    if how != "function inside":  # of which TensorFlow 2.21 gives no gradient, or a wrong one, even if the function is x^3
        assert_close(wrap(gradient(along(f)))(A), second)
    if how == "function":
        assert_close(wrap(along(along(f)))(A), np.sum(second.numpy() * E))


def test_every_op_has_a_converter():
    """None runs in a loop."""
    if native.why_not() is not None:
        pytest.skip(native.why_not())
    names = set(ops())
    assert len(names) > 10 and names <= set(pfor._pfor_converter_registry)


@pytest.mark.slow_if("graph", "scipy", "vectors", "schur", "projector", "alpha", "-qz", "basis", "ordqz")
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.no_case_if(
    lambda name, backend: backend == "graph" and name not in ("eigvals", "schur"),
    "minutes to vectorise the loops of QZ in ops; what is attached is the same",
)
def test_vectorized(name, backend):
    """Values and gradients of one op for all iterations are those of one for each, and so are gradients inside, and Jacobians."""
    f = value_of(name, backend)
    one_by_one = np.stack([gradient(f)(a).numpy() for a in AS])
    loops = backend != "native"  # SciPy is called once for each iteration
    assert_close(tf.vectorized_map(f, AS, fallback_to_while_loop=loops), [f(a).numpy() for a in AS])
    assert_close(gradient(lambda x: tf.reduce_sum(tf.vectorized_map(f, x)))(AS), one_by_one)
    assert_close(tf.vectorized_map(gradient(f), AS, fallback_to_while_loop=loops), one_by_one)
    if name not in ("ordqz", "basis"):
        return
    y = lambda a: FUNCTIONS[name](a, backend)
    assert_close(jacobian(y, True)(A), jacobian(y, False)(A))
    if loops:
        return
    of_squares = lambda vectorized: gradient(lambda a: tf.reduce_sum(jacobian(y, vectorized)(a) ** 2))
    assert_close(of_squares(True)(A), of_squares(False)(A))


@pytest.mark.slow_if("scipy")
@pytest.mark.no_case_if(lambda backend: backend == "graph", "minutes to vectorise the loops of QZ in ops")
def test_vectorized_with_batches_that_broadcast(backend):
    """Iterations come before the batch of either argument."""
    a, batch = AS, tf.stack([B, B + 0.1 * C])
    f = lambda a, b: tfqz.deflating_subspace(*nearly_triangular(a, b), last, backend=backend).right_projector

    def loss(x, vectorized):
        mapped = tf.vectorized_map(lambda a: f(a, batch), x) if vectorized else tf.stack([f(a, batch) for a in tf.unstack(x)])
        return tf.reduce_sum(mapped * C)

    assert_close(gradient(lambda x: loss(x, True))(a), gradient(lambda x: loss(x, False))(a))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_op_for_all_iterations(name):
    """Of the native backend: no loop over them."""
    tf.function(lambda x: tf.vectorized_map(value_of(name, "native"), x, fallback_to_while_loop=False)).get_concrete_function(AS)


def through_a_loop(f):
    return lambda a: tf.while_loop(lambda i, x, _: i < 2, lambda i, x, y: (i + 1, x + 0.1 * C, y + f(x)), (0, a, tf.zeros([], a.dtype)))[2]


def recomputed(f):
    return lambda a: tf.recompute_grad(lambda x: f(x))(a)


def in_a_custom_gradient(f):
    @tf.custom_gradient
    def g(a):
        value = f(a)

        def pullback(cotangent):
            return cotangent * gradient(f)(a)

        return value, pullback

    return g


def in_a_branch(f):
    return lambda a: tf.cond(a[0, 0] < 100, lambda: f(a), lambda: tf.zeros([], a.dtype))


PROGRAMS = {
    "loop": (through_a_loop, lambda f: lambda a: f(a) + f(a + 0.1 * C)),
    "map_fn": (lambda f: lambda a: tf.reduce_sum(tf.map_fn(f, tf.stack([a, a + C]))), lambda f: lambda a: f(a) + f(a + C)),
    "recompute_grad": (recomputed, lambda f: f),
    "custom_gradient": (in_a_custom_gradient, lambda f: f),
    "cond": (in_a_branch, lambda f: f),
    "function in function": (lambda f: tf.function(lambda a: tf.function(f)(a)), lambda f: f),
}


@pytest.mark.slow_if("graph", "scipy", "map_fn", "cond", "function in function", "custom_gradient")
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs(program, backend):
    """In a tf.function: what the plain way gives, second derivatives too."""
    made, plain = (make(value_of("ordqz", backend)) for make in PROGRAMS[program])
    expected = gradient(plain)(A)
    assert_close(tf.function(gradient(made))(A), expected)
    if program != "recompute_grad":  # which TensorFlow differentiates once
        assert_close(tf.function(gradient(dotted(gradient(made))))(A), gradient(dotted(gradient(plain)))(A), 1e-8)


@pytest.mark.slow
@pytest.mark.no_case_if(lambda backend: backend == "scipy", "a host call lives in its process alone; test_saved_model.py")
def test_saved_and_loaded(backend, tmp_path):
    """A loaded function has first and second derivatives, by tapes and accumulators."""
    f = value_of("ordqz", backend)
    module = tf.Module()
    module.f = tf.function(f, input_signature=[tf.TensorSpec([N, N], tf.float64)])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path)).f
    expected = gradient(f)(A)
    assert_close(gradient(loaded)(A), expected)
    second = gradient(dotted(gradient(f)))(A)
    assert_close(gradient(dotted(gradient(loaded)))(A), second)
    assert_close(along(gradient(loaded))(A), second)


def test_a_barrier_of_somebody_else():
    """TensorFlow's own op has the gradient that it should have."""
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops

    f = lambda a: tf.reduce_sum(C * gen_xla_ops.xla_optimization_barrier([a, 2 * a])[1])
    assert_close(gradient(f)(A), 2 * C)
    assert_close(gradient(lambda x: tf.reduce_sum(tf.vectorized_map(f, x)))(AS), np.stack([2 * C] * len(AS)))


@pytest.mark.slow_if("attach_gradient")
@pytest.mark.parametrize("name", ["custom_gradient", "attach_gradient"])
def test_third_derivatives_of_a_function_inside(name):
    """Why gradients are attached to an op's type: tf.custom_gradient keeps tensors in a closure, which are out of scope from the second
    derivative of a tf.function on."""

    def cube(x):
        @tf.custom_gradient
        def f(x):
            y = tf.stop_gradient(x) ** 3
            return y, lambda cotangent: 3 * cotangent * cube(x) / x

        return f(x)

    x = tf.constant(2.0)
    if name == "attach_gradient":
        f = lambda x: tfqz.eigvals(x[None, None], tf.ones([1, 1]), True)[0, 0] ** 3
        nested = tf.function(lambda x: tf.math.real(f(x)))
        third = gradient(gradient(gradient(nested)))(x)
        assert float(third) == pytest.approx(6)
        return
    with pytest.raises(TypeError, match="out of scope"):
        gradient(gradient(gradient(tf.function(cube))))(x)
