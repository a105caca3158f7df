"""The Keras layers: in models of each kind, fitted in each way, saved and exported; their shapes, dtypes and errors."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates

import tfqz
from tfqz import keras as layers
from tfqz._backends import native

N = 3
BACKENDS = ["native", "graph", "scipy"]
MODES = {"defaults": {}, "xla": {"jit_compile": True}, "eager": {"run_eagerly": True}, "graph": {"jit_compile": False}}


def functional(backend, dtype="float32"):
    """From vectors to learned pencils, to A B^T and A^T B by their factors (whatever the order of eigenvalues), to numbers."""
    x = keras.Input((4,), dtype=dtype)
    pencil = [keras.layers.Reshape((N, N))(keras.layers.Dense(N * N, dtype=dtype)(x)) for _ in "ab"]
    s, t, q, z = layers.QZ(backend=backend)(pencil)
    s_t, t_t, q_t, z_t = (keras.ops.swapaxes(factor, -1, -2) for factor in (s, t, q, z))
    products = [keras.layers.Flatten()(q @ s @ t_t @ q_t), keras.layers.Flatten()(z @ s_t @ t @ z_t)]
    return keras.Model(x, keras.layers.Dense(1, dtype=dtype)(keras.layers.Concatenate(dtype=dtype)(products)))


@keras.saving.register_keras_serializable(package="tfqz-tests")
class Spectrum(keras.Model):
    """The sum of the squares of alpha / (alpha^2 + beta^2)^(1/2) of learned pencils, which no order changes."""

    def __init__(self, backend=None, **kwargs):
        super().__init__(**kwargs)
        self.backend = backend
        self.left, self.right = keras.layers.Dense(N * N), keras.layers.Dense(N * N)
        self.eigenvalues = layers.GeneralizedEigenvalues(homogeneous=True, backend=backend)

    def get_config(self):
        return super().get_config() | {"backend": self.backend}

    def call(self, x):
        alpha, beta = self.eigenvalues([tf.reshape(layer(x), [-1, N, N]) for layer in (self.left, self.right)])
        squares = tf.math.real(alpha * alpha) / (tf.abs(alpha) ** 2 + beta**2)
        return tf.reduce_sum(squares, axis=-1, keepdims=True)


def data(dtype="float32"):
    rng = np.random.default_rng(3)
    return rng.standard_normal((24, 4)).astype(dtype), rng.standard_normal((24, 1)).astype(dtype)


def fit(make, backend, mode, epochs=3):
    """A fitted model and its losses."""
    keras.utils.set_random_seed(7)
    model = make(backend)
    model.compile(optimizer=keras.optimizers.SGD(5e-4), loss="mse", **MODES[mode])
    return model, model.fit(*data(), batch_size=8, epochs=epochs, shuffle=False, verbose=0).history["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("make", [functional, Spectrum])
@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
def test_fit_evaluate_predict(make, backend):
    """In every mode that the backend has: the losses fall, and the weights are those of the eager model."""
    eager, losses = fit(make, backend, "eager")
    assert losses[-1] < losses[0]
    for mode in ("defaults", "graph", "xla"):
        if mode == "xla" and backend != "native":  # scipy: none; graph: test_xla.py, for it takes long to compile
            continue
        model, _ = fit(make, backend, mode)
        for x, y in zip(model.get_weights(), eager.get_weights()):
            assert np.allclose(x, y, rtol=1e-4, atol=1e-6), mode
        x, y = data()
        assert np.allclose(model.predict(x, verbose=0), eager(x), rtol=1e-3, atol=1e-4)
        assert model.evaluate(x, y, verbose=0) == pytest.approx(float(np.mean((eager(x) - y) ** 2)), rel=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")
@pytest.mark.parametrize("make", [functional, Spectrum])
def test_saved_and_exported(make, tmp_path):
    model, _ = fit(make, None, "defaults", epochs=1)
    x, _ = data()
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), expected)
    loaded.fit(*data(), verbose=0)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    assert np.allclose(exported.serve(x), expected, rtol=1e-5) and np.allclose(exported.serve(x[:5]), expected[:5], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_symbolic_shapes_and_dtypes(dtype):
    """Those of the values, batch and n unknown included."""
    values = [tf.constant(deviates(np.random.default_rng(0), (2, N, N), dtype)) for _ in "ab"]
    for make in (
        layers.QZ,
        lambda: layers.QZ(output="complex"),
        layers.GeneralizedEigenvalues,
        lambda: layers.GeneralizedEigenvalues(homogeneous=True),
    ):
        for shape in ((2, N, N), (None, N, N), (None, None, None)):
            symbols = make()([keras.KerasTensor(shape, dtype) for _ in "ab"])
            results = make()(values)
            assert len(tf.nest.flatten(symbols)) == len(tf.nest.flatten(results))
            for symbol, result in zip(tf.nest.flatten(symbols), tf.nest.flatten(results)):
                assert symbol.dtype == result.dtype.name
                assert len(symbol.shape) == len(result.shape)
                assert all(size is None or size == known for size, known in zip(symbol.shape, result.shape))
    mixed = layers.QZ()([keras.KerasTensor((5, 1, N, N), dtype), keras.KerasTensor((4, N, N), dtype)])
    assert mixed.s.shape == (5, 4, N, N)


def test_eigenvalues_of_each_kind():
    """Finite, infinite and undetermined; the gradient of the finite ones is that of their quotients."""
    a, b = tf.constant(np.diag([2.0, 3.0, 0.0])), tf.constant(np.diag([4.0, 0.0, 0.0]))
    layer = layers.GeneralizedEigenvalues()
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        eigenvalues = layer([a, b])
        finite = tf.math.real(eigenvalues[0])
    assert np.array_equal(eigenvalues[:2], [0.5, np.inf]) and np.isnan(eigenvalues[2])
    da, db = tape.gradient(finite, [a, b])
    assert np.allclose(da, np.diag([0.25, 0, 0])) and np.allclose(db, np.diag([-0.125, 0, 0]))


def test_balanced_pencils(rng):
    """As the functions do it, and as the layers say it of shapes and ranks."""
    left, right = 10.0 ** rng.integers(-6, 7, (2, 3, 4))
    a, b = (x * left[..., :, None] * right[..., None, :] for x in rng.standard_normal((2, 3, 4, 4)))
    pencil = [keras.Input((4, 4), dtype="float64") for _ in "ab"]
    made = [layers.QZ(balance=True), layers.GeneralizedEigenvalues(balance=True), layers.GeneralizedEigenvalues(True, balance=True)]
    factors, ratios, homogeneous = (keras.Model(pencil, layer(pencil))([a, b]) for layer in made)
    for x, y in zip(factors, tfqz.qz(a, b, balance=True)):
        np.testing.assert_allclose(x, y, rtol=1e-12)
    np.testing.assert_allclose(ratios, tfqz.eigvals(a, b, balance=True), rtol=1e-12)
    np.testing.assert_allclose(np.stack(homogeneous, axis=-2), tfqz.eigvals(a, b, True, balance=True), rtol=1e-12)
    for layer, shape in ((layers.QZ(balance=True), (3, 4)), (layers.QZ(balance=True, rank=2), (4, 4))):
        with pytest.raises(ValueError, match="`balance` must be False"):
            layer([keras.KerasTensor((None, *shape), "float64")] * 2)


def test_precision_is_kept():
    """Float64 pencils in layers whose policy is float32; half precision of mixed policies becomes float32."""
    a, b = (tf.constant(deviates(np.random.default_rng(1), (2, N, N), "float64")) for _ in "ab")
    for got, expected in zip(layers.QZ()([a, b]), tfqz.qz(a, b)):
        assert got.dtype == tf.float64 and np.array_equal(got, expected)
    for half in ("float16", "bfloat16"):
        layer = layers.QZ(dtype=f"mixed_{half}")
        coarse = [tf.cast(x, half) for x in (a, b)]
        exact = tfqz.qz(*(tf.cast(x, tf.float32) for x in coarse))
        for got, expected in zip(layer(coarse), exact):
            assert got.dtype == tf.float32 and np.array_equal(got, expected)
        assert layer([keras.KerasTensor((None, N, N), half)] * 2).s.dtype == "float32"
    for dtype in ("int8", "int32"):
        whole = [tf.cast(4 * x, dtype) for x in (a, b)]
        for got, symbol, expected in zip(layers.QZ()(whole), layers.QZ()([keras.KerasTensor((2, N, N), dtype)] * 2), tfqz.qz(*whole)):
            assert got.dtype.name == symbol.dtype and np.array_equal(got, expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: tfqz.qz(x, np.eye(3)),
        lambda x: tfqz.ordqz(np.eye(3), x),
        lambda x: tfqz.eigvals(x, x),
        lambda x: tfqz.deflating_subspace(x, x),
        tfqz.schur,
        lambda x: tfqz.sensitivity(x, x),
        lambda x: tfqz.gauge_residual([x] * 4, [x] * 4),
    ],
)
def test_symbols_are_for_layers(call):
    """The functions take values; the error says what takes symbols."""
    with pytest.raises(TypeError, match=r"`(a|b|s|factors)` must have values; got a KerasTensor.*`tfqz.keras.QZ`"):
        call(keras.Input((3, 3), dtype="float64"))


@pytest.mark.slow
def test_a_file_loads_with_tfqz_alone(tmp_path):
    """In a process that has imported `tfqz`, and not `tfqz.keras`."""
    model = functional("native")
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", data()[0])
    code = (
        "import keras, numpy as np, tfqz\n"
        "model = keras.models.load_model('model.keras')\n"
        "np.save('y.npy', model.predict(np.load('x.npy'), verbose=0))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert np.allclose(np.load(tmp_path / "y.npy"), model.predict(data()[0], verbose=0))


@pytest.mark.parametrize(
    "layer",
    [
        layers.QZ("complex", backend="graph", on_failure="nan", name="factors", dtype="float64"),
        layers.GeneralizedEigenvalues(homogeneous=True, backend="scipy"),
        layers.GeneralizedEigenvalues(balance=True),
    ],
)
def test_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)).get_config() == layer.get_config()
    assert layer.supports_jit == (layer.backend != "scipy")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: layers.QZ(output="schur"), ValueError, "`output` must be one of 'real', 'r', 'complex', 'c'; got 'schur'"),
        (lambda: layers.QZ(on_failure="stop"), ValueError, "`on_failure` must be one of 'raise', 'nan'; got 'stop'"),
        (lambda: layers.QZ(backend="mkl"), ValueError, "`backend` must be one of 'native', 'scipy', 'graph'; got 'mkl'"),
        (lambda: layers.QZ()([np.eye(2)] * 3), ValueError, "`inputs` must be a list of two tensors, [a, b]; got 3 of them"),
        (lambda: layers.QZ()(tf.eye(2)), ValueError, "`inputs` must be a list of two tensors, [a, b]; got a "),
        (lambda: layers.QZ()([tf.eye(2), tf.eye(3)]), ValueError, "`b` must have the same inner shape as `a`; got (2, 2) and (3, 3)"),
        (
            lambda: layers.QZ()([keras.KerasTensor((None, 2, 3)), keras.KerasTensor((None, 3, 3))]),
            ValueError,
            "`b` must have the same inner shape as `a`; got (None, 2, 3) and (None, 3, 3)",
        ),
        (
            lambda: layers.QZ()([keras.KerasTensor((2, 2), dtype) for dtype in ("float32", "float64")]),
            TypeError,
            "`a` and `b` must have the same dtype, one of float32, float64, complex64, complex128; got float32 and float64",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()
