"""Inside programs that XLA compiles for the CPU: the native op's values, gradients and errors are those of eager code."""

import subprocess
import sys

import cases
import numpy as np
import pytest
import tensorflow as tf
from functionals import cotangents, deviates, inner

import tfqz
from tfqz._backends import native

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")


@pytest.mark.slow
@pytest.mark.parametrize("dtype, output", [("float32", "real"), ("float64", "real"), ("float64", "complex"), ("complex128", "complex")])
def test_train_step_and_second_derivative(dtype, output, rng):
    """Values, gradient, and the gradient of a functional of the gradient; with broadcasting."""
    a, b = tf.constant(deviates(rng, (3, 1, 5, 5), dtype)), tf.constant(deviates(rng, (2, 5, 5), dtype))
    weights = cotangents(rng, np.zeros((3, 2, 5, 5), dtype), output)
    directions = deviates(rng, a.shape, dtype), deviates(rng, b.shape, dtype)

    def step(a, b):
        with tf.GradientTape() as outer:
            outer.watch([a, b])
            with tf.GradientTape() as inside:
                inside.watch([a, b])
                factors = tfqz.qz(a, b, output=output, backend="native")
                value = inner(weights, [x * x for x in factors])
            gradients = inside.gradient(value, [a, b])
            derivative = inner(directions, gradients)
        return [*factors, *gradients, *outer.gradient(derivative, [a, b])]

    tolerance = 1e-10 if dtype in cases.DOUBLE else 1e-2
    for eager, compiled in zip(step(a, b), tf.function(step, jit_compile=True)(a, b)):
        assert np.abs(eager - compiled).max() <= tolerance * np.abs(eager).max()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_graphs_made_for_unknown_shapes(dtype, rng):
    """As Keras makes them: batch and n are known only when XLA compiles; n on either side of one block."""
    unknown = tf.TensorSpec([None, None, None], dtype)

    def gradients(a, b):
        with tf.GradientTape() as outer:
            outer.watch([a, b])
            with tf.GradientTape() as inside:
                inside.watch([a, b])
                value = inner([1.0] * 4, [x * x * x for x in tfqz.qz(a, b, backend="native")])
            first = inside.gradient(value, [a, b])
            derivative = inner([1.0] * 2, first)
        return [*first, *outer.gradient(derivative, [a, b])]

    compiled = tf.function(gradients, input_signature=[unknown, unknown], jit_compile=True)
    for shape in ((2, 5, 5), (1, 33, 33)):
        a, b = tf.constant(deviates(rng, shape, dtype)), tf.constant(deviates(rng, shape, dtype))
        for expected, got in zip(gradients(a, b), compiled(a, b)):
            assert np.abs(expected - got).max() <= 1e-10 * np.abs(expected).max()


def test_errors_and_empty_input():
    compiled = tf.function(tfqz.qz, jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`a` must be finite; got NaN or Inf in batch element \[1\]"):
        compiled(np.stack([np.eye(3), np.full((3, 3), np.nan)]), np.eye(3))
    with pytest.raises(tf.errors.InvalidArgumentError, match="LAPACK's dgges returned info = "):
        compiled(*cases.NOT_CONVERGING("float64"))
    filled = compiled(np.stack([np.eye(3), np.full((3, 3), np.nan)]), np.eye(3), on_failure="nan")
    assert np.isnan(filled.q[1]).all() and np.array_equal(filled.q[0], np.eye(3))
    assert compiled(np.ones((0, 3, 3)), np.eye(3)).s.shape == (0, 3, 3)
    assert compiled(np.ones((2, 0, 0)), np.ones((0, 0))).s.shape == (2, 0, 0)


@pytest.mark.slow
def test_imported_after_the_first_compilation():
    code = """
import numpy as np, tensorflow as tf
tf.function(lambda x: 2 * x, jit_compile=True)(tf.ones(3))
import tfqz
a, b = np.random.default_rng(0).standard_normal((2, 40, 8, 8))
compiled = tf.function(tfqz.qz, jit_compile=True)(a, b, backend="native")
assert all(np.array_equal(x, y) for x, y in zip(compiled, tfqz.qz(a, b, backend="native")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
