"""A call of each public function, on few numbers: for tests of what has nothing to do with the numbers (threads, processes, memory)."""

import models
import numpy as np
import tensorflow as tf

import tfqz


def calls(n=5):
    """By name: (function of tensors, tensors). What it returns is a tensor or a structure of them, with floating-point ones among these."""
    rng = np.random.default_rng(n)
    square = lambda count, *shape: [tf.constant(x) for x in rng.standard_normal((count, *shape))]
    pair, three, single = square(2, n, n), square(2, 3, n, n), [tf.constant(x.astype(np.complex64)) for x in rng.standard_normal((2, n, n))]
    a, b, c, d, e, f = square(6, n, n)
    positive = lambda x: tf.matmul(x, x, transpose_b=True) + tf.eye(n, dtype=x.dtype)
    stable = 0.1 * a - tf.eye(n, dtype=a.dtype)
    q, r = positive(b), positive(c)
    return {
        "qz": (tfqz.qz, pair),
        "qz, a batch": (tfqz.qz, three),
        "qz, complex": (lambda a, b: tfqz.qz(a, b, output="complex"), single),
        "qz, wide": (tfqz.qz, square(2, n, n + 2)),
        "qz, tall": (tfqz.qz, square(2, n + 2, n)),
        "qz, rank": (lambda a, b: tfqz.qz(a, b, rank=2), square(2, n, n + 2)),
        "ordqz": (lambda a, b: tfqz.ordqz(a, b, "lhp"), three),
        "eigvals": (tfqz.eigvals, pair),
        "eigvals, balanced": (lambda a, b: tfqz.eigvals(a, b, balance=True), three),
        "eig": (lambda a, b: tfqz.eig(a, b, left=True), pair),
        "deflating_subspace": (lambda a, b: tfqz.deflating_subspace(a, b, "lhp"), pair),
        "schur": (tfqz.schur, [a]),
        "balance": (lambda a, b: tfqz.balance(a, b)[:2], pair),
        "sensitivity": (lambda a, b: tfqz.sensitivity(*tfqz.qz(a, b)), single),
        "gauge_residual": (lambda a, b: tfqz.gauge_residual(tfqz.qz(a, b), [a, b, a, b]), pair),
        "solve_continuous_are": (tfqz.solve_continuous_are, [a, b, q, r]),
        "solve_discrete_are": (tfqz.solve_discrete_are, [a, b, q, r]),
        "lqr": (tfqz.lqr, [a, b, q, r]),
        "solve_sylvester": (tfqz.solve_sylvester, [a, b, c]),
        "solve_continuous_lyapunov": (tfqz.solve_continuous_lyapunov, [stable, q]),
        "solve_discrete_lyapunov": (tfqz.solve_discrete_lyapunov, [0.1 * a, q]),
        "solve_generalized_sylvester": (tfqz.solve_generalized_sylvester, [a, b, c, d, e, f]),
        "klein": (lambda p: tfqz.klein(*models.hansen(p))[:2], [tf.constant(models.HANSEN)]),
        "transmission_zeros": (tfqz.transmission_zeros, [a, b[:, :2], c[:2], d[:2, :2]]),
    }


def with_gradient(f):
    """What f returns, and the gradient of the sum of its entries, by a list of tensors."""

    def call(*xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            values = tf.nest.flatten(f(*xs))
            moduli = [tf.abs(x) for x in values if x.dtype.is_complex or x.dtype.is_floating]
        return values, tape.gradient(moduli, xs, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return call


def arrays(tensors):
    return [x.numpy() for x in tf.nest.flatten(tensors)]


def same(xs, ys):
    """Whether arrays are so to the last bit."""
    return len(xs) == len(ys) and all(x.tobytes() == y.tobytes() for x, y in zip(xs, ys))
