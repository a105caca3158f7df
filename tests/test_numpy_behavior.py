"""Under TensorFlow's NumPy behaviour, whose Python numbers are weakly typed: the same values and gradients, and no warnings of casts."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfqz
from tfqz._backends import native

CODE = """
import sys
import numpy as np, tensorflow as tf, tfqz
import test_numpy_behavior as tests
wrap = {"graph": tf.function, "eager": lambda f: f, "xla": lambda f: tf.function(f, jit_compile=True)}[sys.argv[2]]
pencils = [tests.pencil(dtype) for dtype in sys.argv[3].split(",")]
tf.experimental.numpy.experimental_enable_numpy_behavior(dtype_conversion_mode=sys.argv[1])
results = {f"{a.dtype.name} {name} {i}": x for a, b in pencils for name, f in tests.functions(sys.argv[4]).items()
           if name in sys.argv[5].split(",") for i, x in enumerate(wrap(tests.value_and_gradient(f))(a, b))}
np.savez(sys.argv[6], **results)
"""


def pencil(dtype):
    rng = np.random.default_rng(4)
    return [tf.constant((rng.standard_normal((2, 3, 3)) + 1j * rng.standard_normal((2, 3, 3))).astype(dtype)) for _ in "ab"]


def functions(backend):
    def upper(x):
        return tf.linalg.band_part(x, 0, -1)

    return {
        "qz": lambda a, b: tfqz.qz(a, b, "complex", backend=backend),
        "ordqz": lambda a, b: tfqz.ordqz(a, b, "lhp", backend=backend),
        "ordqz of labels": lambda a, b: tfqz.ordqz(a, b, lambda x, y: tf.abs(x) > tf.abs(y), backend=backend),
        "eigvals": lambda a, b: tfqz.eigvals(a, b, backend=backend),
        "schur": lambda a, b: tfqz.schur(a + b, backend=backend),
        "deflating_subspace": lambda a, b: tfqz.deflating_subspace(a, b, "lhp", backend=backend)[:4],
        "sensitivity": lambda a, b: tfqz.sensitivity(upper(a), upper(b)),
        "gauge_residual": lambda a, b: tfqz.gauge_residual([upper(a), upper(a), a, b], [a, b, a, b]),  # one eigenvalue
    }


EVERY = ",".join(functions(None))
SOME = "qz,ordqz of labels,deflating_subspace"


def value_and_gradient(function):
    def weighted(x):
        """Squares with weights: those of a unitary matrix have a constant sum."""
        squares = tf.reshape(tf.math.real(tf.math.conj(x) * x), [-1])
        return tf.reduce_sum(squares * np.linspace(1, 2, squares.shape[0]).astype(squares.dtype.as_numpy_dtype))

    def call(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = tf.add_n([weighted(x) for x in tf.nest.flatten(function(a, b))])
        return [value, *tape.gradient(value, [a, b])]

    return call


@pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize(
    "conversion, mode, dtypes, backend, names",
    [
        # Tracing an op of the library traces what it carries for XLA as well.
        ("all", "graph", "float64", "native", "eigvals"),
        pytest.param("all", "graph", "float64", "native", EVERY, marks=pytest.mark.slow),
        pytest.param("safe", "graph", "float64,complex64", "native", EVERY, marks=pytest.mark.slow),
        pytest.param("safe", "eager", "complex128", "native", SOME, marks=pytest.mark.slow),
        pytest.param("all", "eager", "float32", "scipy", SOME, marks=pytest.mark.slow),
        pytest.param("all", "graph", "float64", "graph", EVERY, marks=pytest.mark.slow),
        pytest.param("all", "xla", "float64", "native", SOME, marks=pytest.mark.slow),
    ],
)
def test_values_and_gradients(conversion, mode, dtypes, backend, names, tmp_path):
    """In a process of its own, since the behaviour can't be turned off again."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    command = [sys.executable, "-c", CODE, conversion, mode, dtypes, backend, names, str(tmp_path / "results.npz")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "discard the imaginary part" not in done.stderr
    results = np.load(tmp_path / "results.npz")
    for dtype in dtypes.split(","):
        pair = pencil(dtype)
        for name in names.split(","):
            function = functions(backend)[name]
            for i, expected in enumerate(value_and_gradient(function)(*pair)):
                got = results[f"{dtype} {name} {i}"]
                assert got.dtype == expected.dtype.as_numpy_dtype and got.shape == expected.shape, name
                tolerance = 1e-3 if dtype in ("float32", "complex64") else 1e-8
                assert np.allclose(got, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()), name
