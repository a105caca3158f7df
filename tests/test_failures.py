"""Elements of a batch that fail harm no other, forwards and backwards: a loss that masks them has finite derivatives of every order."""

import numpy as np
import pytest
import tensorflow as tf

import tfqz

N = 4
RNG = np.random.default_rng(8)
A, B = RNG.standard_normal((2, 3, N, N))
A[1, 0, 0] = np.nan
GOOD = [0, 2]
WEIGHTS = RNG.standard_normal((N, N))

FUNCTIONS = {
    "qz": lambda a, b, options: tf.add_n(list(tfqz.qz(a, b, **options))),
    "ordqz": lambda a, b, options: tfqz.ordqz(a, b, "iuc", **options).z,
    "alpha": lambda a, b, options: tf.math.real(tfqz.ordqz(a, b, "iuc", **options).alpha),
    "eigvals": lambda a, b, options: tf.math.real(tfqz.eigvals(a, b, **options)),
    "homogeneous": lambda a, b, options: tf.math.real(tfqz.eigvals(a, b, True, **options)),
    "basis": lambda a, b, options: tfqz.deflating_subspace(a, b, "iuc", **options).right,
    "projector": lambda a, b, options: tfqz.deflating_subspace(a, b, "iuc", **options).left_projector,
    "schur": lambda a, b, options: tfqz.schur(a, **options).z,
    "vectors": lambda a, b, options: tf.math.real(tf.concat(tfqz.eig(a, b, True, **options)[1:], axis=-1)),
}


def gradients(f, a, b):
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        value = f(a, b)
    return tape.gradient(value, [a, b], unconnected_gradients="zero")


def second(f, a, b):
    return gradients(lambda a, b: tf.add_n([tf.reduce_sum(x * WEIGHTS) for x in gradients(f, a, b)]), a, b)


@pytest.mark.slow_if("scipy", "graph", "function", "vectors", "homogeneous", "eigvals", "ordqz", "alpha")
@pytest.mark.parametrize("how", ["eager", "function"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.no_case_if(
    lambda name, how, backend: backend != "native" and (how == "eager") != (name in ("basis", "eigvals")), "the same code"
)
def test_masked(name, how, backend):
    """Its gradient is 0, and those of the others are what they are without it; of first and second order, and forwards."""

    def loss(a, b):
        y = FUNCTIONS[name](a, b, {"backend": backend, "on_failure": "nan"})
        return tf.reduce_sum(tf.where(tf.math.is_nan(y), tf.zeros_like(y), y) ** 2)

    wrap = tf.function if how == "function" else lambda f: f
    for derivative in (gradients, second):
        if derivative is second and (backend, how) == ("graph", "function"):
            continue  # as with the others
        program = wrap(lambda a, b: derivative(loss, a, b))
        got = [x.numpy() for x in program(tf.constant(A), tf.constant(B))]
        expected = [x.numpy() for x in program(tf.constant(A[GOOD]), tf.constant(B[GOOD]))]
        for x, y in zip(got, expected):
            assert np.array_equal(x[1], np.zeros((N, N)))
            assert np.abs(x[GOOD] - y).max() <= 1e-9 * np.abs(y).max()
    a, b = tf.constant(A), tf.constant(B)
    with tf.autodiff.ForwardAccumulator(a, tf.ones_like(a)) as accumulator:
        value = loss(a, b)
    assert np.isfinite(accumulator.jvp(value))


@pytest.mark.slow_if("graph", "scipy")
def test_not_masked(backend):
    """Who asks for the derivative of what is NaN gets NaN, for that element alone."""
    loss = lambda a, b: tf.reduce_sum(tfqz.qz(a, b, backend=backend, on_failure="nan").z)
    for x in gradients(loss, tf.constant(A), tf.constant(B)):
        assert np.isnan(x[1]).all() and np.isfinite(x.numpy()[GOOD]).all()


@pytest.mark.slow
def test_masked_under_xla():
    def loss(a, b):
        q = tfqz.qz(a, b, on_failure="nan").q
        x = tfqz.deflating_subspace(a, b, "iuc", on_failure="nan").right
        return tf.reduce_sum(tf.where(tf.math.is_nan(q), tf.zeros_like(q), q)) + tf.reduce_sum(
            tf.where(tf.math.is_nan(x), tf.zeros_like(x), x)
        )

    for x in tf.function(lambda a, b: gradients(loss, a, b), jit_compile=True)(tf.constant(A), tf.constant(B)):
        assert np.array_equal(x[1], np.zeros((N, N))) and np.isfinite(x).all()


def test_training_goes_on():
    """A Keras model that is fit to eigenvalues, one row of whose data is NaN."""
    keras = pytest.importorskip("keras")
    import tfqz.keras

    a, b = keras.Input((N, N)), keras.Input((N, N))
    alpha, beta = tfqz.keras.GeneralizedEigenvalues(homogeneous=True, on_failure="nan")([keras.layers.Dense(N)(a), b])

    class Trace(keras.layers.Layer):
        def call(self, inputs):
            alpha, beta = inputs
            ratio = tf.math.real(alpha) + beta
            return tf.reduce_sum(tf.where(tf.math.is_nan(ratio), tf.zeros_like(ratio), ratio), axis=-1)

        def compute_output_spec(self, inputs):
            return keras.KerasTensor((None,), "float32")

    model = keras.Model([a, b], Trace()([alpha, beta]))
    model.compile(optimizer=keras.optimizers.SGD(1e-4), loss="mse")
    data = [np.nan_to_num(A).astype("float32"), B.astype("float32")]
    data[1][1, 0, 0] = np.nan  # not before the dense layer, whose own gradient would be NaN
    history = model.fit(data, np.zeros(3), batch_size=3, epochs=3, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] != history[0]
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.slow_if("graph", "scipy-function")
@pytest.mark.parametrize("how", ["eager", "function", "xla"])
@pytest.mark.no_case_if(lambda how, backend: how == "xla" and backend != "native", "programs in TensorFlow ops can't raise errors: NaN")
def test_another_dimension(how, backend):
    """An error that says how many there are, and where, in programs that XLA compiles for the CPU too."""
    pencil = np.diag([1.0, 2, -3])
    for a, place in ((pencil, ""), (np.stack([-np.eye(3), pencil]), "1")):

        def f(a=a):
            return tfqz.deflating_subspace(a, tf.eye(3, dtype=tf.float64), "lhp", dimension=3 if place else 2, backend=backend)

        program = f if how == "eager" else tf.function(f, jit_compile=how == "xla")
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"selects [23] eigenvalues, as `dimension` says; got \D*1") as error:
            program()
        assert not place or ("element" in str(error.value) and "1]" in str(error.value))
    masked = tfqz.deflating_subspace(np.stack([-np.eye(3), pencil]), np.eye(3), "lhp", dimension=3, backend=backend, on_failure="nan")
    assert np.isfinite(masked.right[0]).all() and np.isnan(masked.right[1]).all()
