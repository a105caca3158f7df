"""Linear-quadratic regulators: gains and poles against NumPy, derivatives against differences."""

import cases
import numpy as np
import pytest
import several
import tensorflow as tf
from functionals import deviates
from test_are import FAILING, KINDS, hermitian, mixed_batch, problem, residual

import tfqz


@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.parametrize("discrete", [False, True])
def test_lqr(discrete, dtype, rng):
    a, b, q, r, _, s = problem(rng, 4, 2, dtype, batch=(3,), descriptor=True)
    gain, solution, poles = tfqz.lqr(a, b, q, r, 0.1 * s, discrete)
    kind = KINDS[discrete]
    for i in range(3):
        size, expected = residual(kind, solution[i].numpy(), a[i], b[i], q[i], r[i], None, 0.1 * s[i])
        assert size < 1e-14
        assert max(np.abs(poles[i].numpy()[:, None] - expected).min(axis=0)) < 1e-10
        assert np.allclose(np.poly(a[i] - b[i] @ gain[i]), np.poly(expected))


def test_derivatives_of_gain_and_poles(rng):
    given = problem(rng, 3, 2)
    weight = deviates(rng, (2, 3), "float64")

    def f(a, b, q, r):
        gain, _, poles = tfqz.lqr(a, b, hermitian(q), hermitian(r))
        return tf.reduce_sum(weight * gain) + tf.reduce_sum(tf.math.real(poles) ** 3)

    moves = several.like(rng, given)
    expected = several.difference(lambda *xs: f(*map(tf.constant, xs)).numpy(), given, moves)
    for derivative in several.first_derivatives(f, given, moves):
        assert derivative == pytest.approx(expected, rel=1e-8)


def test_lqr_of_a_batch_with_failures():
    a, b, q, r = (tf.constant(x) for x in mixed_batch("continuous"))
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        gain, solution, poles = tfqz.lqr(a, b, q, r, on_failure="nan")
        known = tf.math.is_finite(gain)
        loss = tf.reduce_sum(tf.where(known, gain, tf.zeros_like(gain)))
        loss += tf.reduce_sum(tf.where(known[:, 0], tf.math.real(poles), tf.zeros_like(solution[..., 0])))
    for x in (gain, solution, poles):
        assert np.array_equal(np.isnan(np.abs(x)).any(axis=tuple(range(1, x.ndim))), np.isin(np.arange(5), FAILING))
    for g in tape.gradient(loss, [a, b]):
        assert np.isfinite(g).all()
