"""What eager code traces, and when."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import tfqz
from tfqz._backends import native

CASES = {
    "solve_sylvester": lambda a, b: tfqz.solve_sylvester(a, b, b, backend="native"),
    "ordqz": lambda a, b: tfqz.ordqz(a, b, "lhp", backend="native").z,
    "solve_continuous_are": lambda a, b: tfqz.solve_continuous_are(a, b, tf.matmul(b, b, transpose_b=True), IDENTITY, backend="native"),
    "klein": lambda a, b: tfqz.klein(0.1 * a, 2 * IDENTITY, 0.1 * b, backend="native").policy,
}
IDENTITY = tf.eye(3, batch_shape=[1, 1, 1, 1], dtype=tf.float32)


def derivative(function, order, a, b):
    """The function's value, or d/da of the sum of that, or d/da of the sum of this."""
    if order == 0:
        return function(a, b)
    with tf.GradientTape() as tape:
        tape.watch(a)
        total = tf.reduce_sum(derivative(function, order - 1, a, b))
    return tape.gradient(total, a)


@pytest.mark.slow_if("ordqz", "are", "klein")
@pytest.mark.parametrize("name", CASES)
def test_eager_code_makes_nothing_for_xla_and_xla_has_what_it_needs(monkeypatch, rng, name):
    """Of a rank and dtype that no other test has, so that all of it is traced here."""
    if native.why_not() is not None:
        pytest.skip(native.why_not())
    a, b = (tf.constant(rng.standard_normal((1, 1, 1, 1, 3, 3)), tf.float32) for _ in range(2))
    step = functools.partial(derivative, CASES[name], 0 if name == "solve_sylvester" else 2)

    def made(*_):
        raise AssertionError("for XLA, which never sees it")

    with monkeypatch.context() as patched:
        patched.setattr(native, "_body", made)
        eager = step(a, b)
        with pytest.raises(AssertionError, match="XLA"):
            tf.function(step, autograph=False).get_concrete_function(a, b)
    compiled = tf.function(step, autograph=False, jit_compile=True)(a, b)
    np.testing.assert_allclose(compiled, eager, rtol=2e-2, atol=2e-2 * np.max(np.abs(eager)))


@pytest.mark.slow_if("graph", "scipy")
def test_errors_of_a_trace_are_those_of_its_ops(backend):
    """No names of functions that users have not written."""
    eye = np.eye(2)
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tfqz.solve_continuous_are(np.zeros((2, 2)), np.zeros((2, 1)), eye, [[1.0]], backend=backend)
    assert "4 eigenvalues of their pencil on the imaginary axis" in str(raised.value)
    assert "__inference" not in str(raised.value)


def test_sizes_share_a_trace(monkeypatch, rng):
    """Of each solver one is made, at the first call."""

    def solve(n):
        a, b = (0.1 * rng.standard_normal((n, n)) for _ in "ab")
        eye = np.eye(n)
        tfqz.klein(a, 2 * eye, b), tfqz.solve_continuous_are(a, b, eye, eye), tfqz.solve_discrete_lyapunov(a, eye)
        tfqz.transmission_zeros(a, b, b, eye), tfqz.lqr(a, b, eye, eye)

    solve(2)
    monkeypatch.setattr(tf, "function", None)
    solve(3)
