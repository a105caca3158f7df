"""Rectangular pencils in every kind of program: batches, XLA, jacobians, Keras models, saved models, graphs of unknown shape."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates, gradient, inner, relative_error
from rectangular_cases import Rectangular

import tfqz
from tfqz import keras as layers
from tfqz._backends import native

pytestmark = pytest.mark.slow_if("scipy", "graph")

needs_native = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")


@pytest.fixture(params=["float64", "complex128"])
def dtype(request):
    return request.param


def by_real_part(alpha, beta):
    return tf.cast(1e4 * tf.math.real(alpha) / tf.math.real(beta), tf.int32)


def of_weights(rng, function, a, b):
    """A functional of all outputs that have derivatives, random."""
    weights = [deviates(rng, x.shape, x.dtype.as_numpy_dtype) for x in function(a, b)]
    return lambda a, b: inner(weights, function(a, b))


@pytest.mark.slow_if("complex128", "3-5-None")
@pytest.mark.parametrize("m, n, rank", [(3, 5, None), (5, 3, None), (4, 5, 2)])
@pytest.mark.no_case_if(lambda rank, dtype, backend: backend != "native" and (dtype, rank) != ("float64", 2), "the same code")
def test_batches(m, n, rank, dtype, rng, backend):
    """Broadcast as of square pencils; each element has its own factors and gradient, which for a single one of many add up."""
    a, b = deviates(rng, (2, 1, m, n), dtype), deviates(rng, (3, m, n), dtype)

    def ordered(a, b):
        s, t, alpha, beta, q, z = tfqz.ordqz(a, b, by_real_part, rank=rank, backend=backend)
        return s, t, q, z, alpha, beta, tfqz.deflating_subspace(a, b, "rhp", rank=rank, backend=backend).left_projector

    together = ordered(a, b)
    alone = [[ordered(a[i, 0], b[j]) for j in range(3)] for i in range(2)]
    for k, x in enumerate(together):
        expected = np.array([[y[k] for y in row] for row in alone])
        np.testing.assert_allclose(x, expected, atol=1e-11)
    weights = [deviates(rng, x.shape, x.dtype.as_numpy_dtype) for x in together]
    got = gradient(lambda a, b: inner(weights, ordered(a, b)), a, b)
    expected = [np.zeros_like(a), np.zeros_like(b)]
    for i, j in np.ndindex(2, 3):
        one = gradient(lambda a, b: inner([w[i, j] for w in weights], ordered(a, b)), a[i, 0], b[j])
        expected[0][i, 0] += one[0]
        expected[1][j] += one[1]
    assert [x.shape for x in got] == [a.shape, b.shape] and relative_error(got, expected) < 1e-9


def program(weights, rank, backend):
    def value_and_gradient(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            factors = tfqz.qz(a, b, rank=rank, backend=backend)
            value = inner(weights, factors)
        return [*factors, *tape.gradient(value, [a, b])]

    return value_and_gradient


XLA = [*[(Rectangular(m, n, 0, lacks), None) for m, n in ((3, 5), (5, 3)) for lacks in (0, 1)], (Rectangular(4, 5), 2)]


@pytest.mark.slow_if("graph", "3x5-0-1", "5x3-0-1", "float64-native-5x3", "complex128-native-3x5", "complex128-native-4x5")
@pytest.mark.parametrize("case, rank", XLA, ids=lambda x: str(x))
@pytest.mark.parametrize("backend", ["native", "graph"], indirect=True)
@pytest.mark.no_case_if(
    lambda case, dtype, backend: backend == "graph" and (dtype, case.lacks_b, case.n) != ("float64", 0, 5), "long to compile"
)
def test_compiled(case, rank, dtype, rng, backend, request):
    """Values and gradients are those of eager code, for a second pencil too."""
    if backend == "graph" and rank:
        request.applymarker(pytest.mark.xfail(strict=True, reason="XLA's singular vectors have seven digits"))
    weights = [deviates(rng, x.shape, dtype) for x in tfqz.qz(*case(dtype), rank=rank)]
    eager = program(weights, rank, backend)
    compiled = tf.function(eager, jit_compile=True)
    for seed in (0, 1):
        a, b = map(tf.constant, Rectangular(case.m, case.n, case.lacks_a, case.lacks_b, seed)(dtype))
        for got, expected in zip(compiled(a, b), eager(a, b)):
            np.testing.assert_allclose(got, expected, atol=1e-10 * np.abs(expected).max())
    assert compiled.experimental_get_tracing_count() == 1


@pytest.mark.slow
@needs_native
def test_second_derivative_compiled(rng):
    a, b = map(tf.constant, Rectangular(3, 5, 0, 1)("float64"))
    first = of_weights(rng, tfqz.qz, a, b)
    others = [deviates(rng, (3, 5), "float64") for _ in "ab"]

    def second(a, b):
        with tf.GradientTape() as outer:
            outer.watch([a, b])
            with tf.GradientTape() as tape:
                tape.watch([a, b])
                value = first(a, b)
            value = inner(others, tape.gradient(value, [a, b]))
        return outer.gradient(value, [a, b])

    assert relative_error(tf.function(second, jit_compile=True)(a, b), second(a, b)) < 1e-9


@pytest.mark.slow_if("complex128")
@needs_native
@pytest.mark.parametrize("m, n, rank", [(2, 3, None), (3, 2, None), (3, 4, 2)])
def test_jacobian_and_vectorized_map(m, n, rank, dtype, rng):
    """A row of the jacobian is the gradient of one entry; pencils that are mapped are as one by one."""
    a, b = deviates(rng, (2, 3, m, n), dtype)

    def values(a, b):
        return tf.math.real(tf.concat([tf.reshape(x, [-1]) for x in tfqz.qz(a, b, rank=rank)], axis=0))

    x, y = tf.constant(a[0]), tf.constant(b[0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        value = values(x, y)
    for jacobian, rows in zip(tape.jacobian(value, [x, y]), zip(*[tape.gradient(value, [x, y], weight) for weight in np.eye(len(value))])):
        np.testing.assert_allclose(jacobian, rows, atol=1e-11 * np.abs(rows).max())
    mapped = tf.vectorized_map(lambda pair: values(*pair), (tf.constant(a), tf.constant(b)))
    together = tfqz.qz(a, b, rank=rank)
    for i in range(3):
        expected = np.concatenate([np.ravel(x[i]) for x in together]).real
        np.testing.assert_allclose(mapped[i], expected, atol=1e-12)


@pytest.mark.parametrize("m, n, rank", [(3, 5, None), (5, 3, None), (4, 5, 3)])
@pytest.mark.no_case_if(lambda rank, backend: backend != "native" and rank is None, "the same code")
def test_complex_factors_of_real_pencils(m, n, rank, rng, backend):
    """Triangular, with the real gradients that the real form has for what both know."""
    a, b = rng.standard_normal((2, m, n))
    a[:2, :2] += 3 * np.array([[0, 1], [-1, 0]])
    s, t, q, z = tfqz.qz(a, b, "complex", rank=rank, backend=backend)
    assert all(x.dtype == tf.complex128 for x in (s, t, q, z)) and not np.any(np.tril(s[-min(s.shape) :, : min(s.shape)], -1))
    C = deviates(rng, (m, n), "float64")

    def product(output):
        def f(a, b):
            s, _, q, z = tfqz.qz(a, b, output, rank=rank, backend=backend)
            return tf.reduce_sum(C * tf.math.real(q @ s @ tf.linalg.adjoint(z)))

        return f

    got, expected = (gradient(product(output), a, b) for output in ("complex", "real"))
    assert all(x.dtype == np.float64 for x in got) and relative_error(got, expected) < 1e-10
    if rank is None:
        assert relative_error(got, [C, 0 * C]) < 1e-10


def test_lists(backend):
    """As everywhere in TensorFlow: float32, or what the other one is."""
    a, b = [[1, 2.0, 3], [0, 1, 4]], [[1.0, 0, 0], [0, 2, 1]]
    single, double = tfqz.qz(a, b, backend=backend), tfqz.qz(a, np.array(b), backend=backend)
    for x, y in zip(single, double):
        assert x.dtype == tf.float32 and y.dtype == tf.float64
        np.testing.assert_allclose(x, y, atol=1e-5)
    assert np.allclose(double.q @ double.s @ tf.transpose(double.z), a)
    assert tfqz.eigvals(a, b, rank=1, backend=backend).shape == (1,)


def models():
    """For 3 x 5 pencils, the first one times weights: all factors, with `rank`, and eigenvalues."""
    for layer, shapes in (
        (layers.QZ(), [(3, 5), (3, 5), (3, 3), (5, 5)]),
        (layers.QZ(rank=2), [(2, 2), (2, 2), (3, 2), (5, 2)]),
        (layers.QZ("complex", rank_of_b=3), [(3, 5), (3, 5), (3, 3), (5, 5)]),
        (layers.GeneralizedEigenvalues(), [(3,)]),
        (layers.GeneralizedEigenvalues(homogeneous=True, rank=2), [(2,), (2,)]),
    ):
        a, b = keras.Input((3, 5)), keras.Input((3, 5))
        outputs = layer([keras.layers.Dense(5)(a), b])
        yield keras.Model([a, b], tf.nest.flatten(outputs)), shapes


def test_keras_shapes_and_files(tmp_path, rng):
    a, b = (rng.standard_normal((4, 3, 5)).astype("float32") for _ in "ab")
    for number, (model, shapes) in enumerate(models()):
        outputs = tf.nest.flatten(model([a, b]))
        assert [x.shape for x in model.outputs] == [(None, *shape) for shape in shapes]
        assert [x.shape for x in outputs] == [(4, *shape) for shape in shapes]
        assert [x.dtype for x in model.outputs] == [x.dtype.name for x in outputs]
        model.save(tmp_path / f"{number}.keras")
        loaded = keras.models.load_model(tmp_path / f"{number}.keras")
        assert all(np.array_equal(x, y) for x, y in zip(tf.nest.flatten(loaded([a, b])), outputs))


@pytest.mark.slow_if("True")
@needs_native
@pytest.mark.parametrize("jit_compile", [False, True])
def test_keras_training(jit_compile, rng):
    """A step of descent towards given traces of A B^+."""
    a, b = keras.Input((3, 5)), keras.Input((3, 5))
    eigenvalues = layers.GeneralizedEigenvalues()([keras.layers.Dense(5, use_bias=False)(a), b])
    trace = keras.layers.Lambda(lambda x: tf.math.real(tf.reduce_sum(x, axis=-1)), output_shape=())(eigenvalues)
    model = keras.Model([a, b], trace)
    model.compile(keras.optimizers.SGD(1e-3), "mse", jit_compile=jit_compile)
    data, target = [rng.standard_normal((8, 3, 5)).astype("float32") for _ in "ab"], np.ones(8, "float32")
    weights = model.get_weights()[0].astype(float)
    losses = model.fit(data, target, batch_size=8, epochs=2, verbose=0).history["loss"]
    x, y = (part.astype(float) for part in data)
    inverse = np.linalg.pinv(y)
    error = np.trace(x @ weights @ inverse, axis1=1, axis2=2) - 1
    step = np.einsum("i,ikj,ilk->jl", error / 4, x, inverse)
    assert losses[0] == pytest.approx(np.mean(error**2), rel=1e-3) and losses[1] < losses[0]
    first = keras.Model([a, b], trace)
    first.set_weights([weights.astype("float32")])
    first.compile(keras.optimizers.SGD(1e-3), "mse", jit_compile=jit_compile)
    first.fit(data, target, batch_size=8, epochs=1, verbose=0)
    np.testing.assert_allclose(first.get_weights()[0] - weights, -1e-3 * step, atol=2e-3 * 1e-3 * np.abs(step).max() + 1e-7)


class Saved(tf.Module):
    """Factors and eigenvalues of pencils whose first matrix is multiplied by a variable, and gradients, with shapes that are known late."""

    def __init__(self, rank, backend):
        super().__init__()
        self.options = {"rank": rank, "backend": backend}
        self.factor = tf.Variable(np.diag([1.0, 2, 3]))

    @tf.function(input_signature=[tf.TensorSpec([None, 3, None], tf.float64)] * 2)
    def loss(self, a, b):
        factors = tfqz.qz(self.factor @ a, b, **self.options)
        eigenvalues = tf.math.real(tfqz.eigvals(self.factor @ a, b, **self.options))
        return tf.add_n([tf.reduce_sum(x**2) for x in (*factors[2:], factors[0] - 1, eigenvalues)])

    @tf.function(input_signature=[tf.TensorSpec([None, 3, None], tf.float64)] * 2)
    def gradients(self, a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = self.loss(a, b)
        return tape.gradient(value, [a, b, self.factor])


@pytest.mark.slow_if("graph", "None")
@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("backend", ["native", "graph"], indirect=True)
@pytest.mark.no_case_if(lambda rank, backend: backend == "graph" and rank is None, "longer than with a rank")
def test_saved_model(rank, backend, tmp_path, rng):
    """Values, saved gradients, and gradients through what was loaded; wide, square and tall."""
    module = Saved(rank, backend)
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    for n in (5, 3, 2):
        a, b = map(tf.constant, rng.standard_normal((2, 4, 3, n)))
        np.testing.assert_allclose(loaded.loss(a, b), module.loss(a, b), rtol=1e-12)
        expected = module.gradients(a, b)
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = loaded.loss(a, b)
        for gradients in (loaded.gradients(a, b), tape.gradient(value, [a, b, loaded.factor])):
            assert relative_error(gradients, expected) < 1e-10


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.no_case_if(lambda n, dtype, backend: backend != "native" and (dtype, n) != ("float64", 4), "the same code")
def test_square_pencils_of_unknown_shape(n, dtype, rng, backend):
    """To the last bit what the call for square pencils returns; eigenvalues alone, which that computes without Q and Z, nearly."""
    a, b = deviates(rng, (2, 3, n, n), dtype)

    def all_of_them(a, b):
        factors = tfqz.qz(a, b, backend=backend)
        if backend != "native":
            return factors
        return [*factors, *tfqz.ordqz(a, b, "lhp"), *tfqz.deflating_subspace(a, b, "lhp")]

    static, unknown = ([tf.TensorSpec(shape, dtype)] * 2 for shape in ([3, n, n], None))
    for x, y in zip(tf.function(all_of_them, input_signature=unknown)(a, b), tf.function(all_of_them, input_signature=static)(a, b)):
        assert np.array_equal(x, y) if backend != "graph" else np.allclose(x, y, rtol=0, atol=1e-13)
    if backend == "native":
        eigenvalues = tf.function(tfqz.eigvals, input_signature=unknown)(a, b)
        np.testing.assert_allclose(eigenvalues, tfqz.eigvals(a, b), rtol=1e-13)
