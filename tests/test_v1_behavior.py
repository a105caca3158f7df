"""After `tf.compat.v1.disable_v2_behavior()`, where sizes are `Dimension`s: values, and gradients in sessions, are those of eager code."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates

import tfqz
from tfqz._backends import native, reflectors
from tfqz._derivative import attach

V1 = tf.compat.v1
CODE = """
import sys
import numpy as np, tensorflow as tf
tf.compat.v1.disable_v2_behavior()
import test_v1_behavior as tests
results = {}
for name in tests.FUNCTIONS:
    for shape in tests.shapes(name):
        assert isinstance(tf.zeros([2]).shape[0], tf.compat.v1.Dimension)
        for i, x in enumerate(tests.in_a_session(tests.FUNCTIONS[name], shape)):
            results[f"{name} {shape} {i}"] = x
np.savez(sys.argv[1], **results)
"""
A, B = np.random.default_rng(5).standard_normal((2, 3, 3))
B[2] = 0
PLANT = np.random.default_rng(6).standard_normal((3, 1)), np.eye(3), np.eye(1)
FUNCTIONS = {
    "qz": lambda a, b: tfqz.qz(a, b),
    "qz of rank 2": lambda a, b: tfqz.qz(a, b + tf.eye(3, dtype=tf.float64), rank=2),
    "qz, m < n": lambda a, b: tfqz.qz(a[:2], b[:2]),
    "ordqz": lambda a, b: tfqz.ordqz(a, b, lambda alpha, beta: tf.equal(beta, 0)),
    "eigvals": lambda a, b: tfqz.eigvals(a, b, True),
    "eig": lambda a, b: tfqz.eig(a, b, left=True),
    "schur": lambda a, b: tfqz.schur(a + b),
    "deflating_subspace": lambda a, b: tfqz.deflating_subspace(a, b, lambda x, y: tf.equal(y, 0))[:4],
    "sensitivity": lambda a, b: tfqz.sensitivity(tf.linalg.band_part(a, 0, -1), tf.linalg.band_part(b, 0, -1)),
    "solve_continuous_are": lambda a, b: tfqz.solve_continuous_are(a, *PLANT),
    "solve_sylvester": lambda a, b: tfqz.solve_sylvester(a, a + b, b),
    "transmission_zeros": lambda a, b: tf.reduce_sum(
        tfqz.transmission_zeros(a, PLANT[0], tf.transpose(PLANT[0]), PLANT[2], b + tf.eye(3, dtype=tf.float64))
    ),
}


def shapes(name):
    """What is known of the sizes: everything, or nothing."""
    return ([3, 3], None) if name in ("qz", "ordqz") else ([3, 3],)


def functional(results):
    """Sum of all real parts, each with a weight."""
    parts = [tf.reshape(tf.math.real(x), [-1]) for x in tf.nest.flatten(results)]
    return tf.add_n([tf.reduce_sum(x * tf.cos(tf.cast(tf.range(tf.size(x)), x.dtype))) for x in parts])


def in_a_session(function, shape):
    """The functional of a function's results and its gradients, by `tf.compat.v1.gradients`."""
    with V1.Graph().as_default(), V1.Session() as session:
        a, b = (V1.placeholder(tf.float64, shape) for _ in "ab")
        value = functional(function(a, b))
        return session.run([value, *V1.gradients(value, [a, b], unconnected_gradients="zero")], {a: A, b: B})


def eagerly(function):
    a, b = tf.constant(A), tf.constant(B)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        value = functional(function(a, b))
    return [value, *tape.gradient(value, [a, b], unconnected_gradients="zero")]


def test_dimensions(rng):
    """The shapes alone, of a process in which everything else is as it is."""
    x = deviates(rng, (4, 3), "float64")
    reflector = reflectors.reflector(tf.constant(x), 0)
    V1.disable_v2_tensorshape()
    try:
        marker = tf.zeros([0, attach.rule("Qz").place], tf.bool)
        assert isinstance(marker.shape[1], V1.Dimension) and attach.rule_of_barrier(marker) == "Qz"
        assert np.allclose(reflectors.reflector(tf.constant(x), 0), reflector)
        with pytest.raises(ValueError, match=r"`q` must be .* being 3; got \(2, 3\), and `a` \(3, 3\)"):
            tfqz.solve_sylvester(np.eye(3), np.eye(3), np.ones((2, 3)))
    finally:
        V1.enable_v2_tensorshape()


@pytest.mark.slow
@pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")
def test_values_and_gradients(tmp_path):
    """In a process of its own, since the behaviour can't be turned off again."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path]), "TFQZ_BACKEND": "native"}
    command = [sys.executable, "-c", CODE, str(tmp_path / "results.npz")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    results = np.load(tmp_path / "results.npz")
    for name, function in FUNCTIONS.items():
        for i, expected in enumerate(eagerly(function)):
            for shape in shapes(name):
                got = results[f"{name} {shape} {i}"]
                assert np.allclose(got, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max()), (name, shape, i)
