"""A module that decomposes and differentiates, saved with TensorFlow's defaults and loaded again."""

import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates

import tfqz
from tfqz._backends import native


class Module(tf.Module):
    signature = [tf.TensorSpec([None, 4, 4], tf.float64), tf.TensorSpec([4, 4], tf.float64)]

    @tf.function(input_signature=signature)
    def value(self, a, b):
        s, t, q, z = tfqz.qz(a, b, backend="native")
        return tf.reduce_sum(s * s * q + t * z)

    @tf.function(input_signature=signature)
    def gradient(self, a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = self.value(a, b)
        return tape.gradient(value, [a, b])


@pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")
def test_save_and_load(tmp_path, rng):
    """The gradient that was saved, and the gradient of the value that was saved, are the module's own."""
    a, b = tf.constant(deviates(rng, (3, 4, 4), "float64")), tf.constant(deviates(rng, (4, 4), "float64"))
    module = Module()
    expected = module.gradient(a, b)
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        value = loaded.value(a, b)
    for gradients in (loaded.gradient(a, b), tape.gradient(value, [a, b])):
        for got, reference in zip(gradients, expected):
            assert np.allclose(got, reference, rtol=1e-12, atol=1e-12)
