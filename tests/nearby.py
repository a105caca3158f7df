"""Pencils with two eigenvalues near each other, and the errors of their gradients against 50 digits."""

import many_digits
import numpy as np
import oracles
import tensorflow as tf
from functionals import deviates

import tfqz

# Of how the two belong together: the errors are over this power of the amplification. What S and T are wrong by, some eps, moves two
# eigenvalues by as much, and their distance d in the gradient's denominators is off by eps / d, relative. A nearly defective pair it
# moves by eps / d, and that is off by eps / d^2.
KINDS = {"apart": 1, "defective": 2}
N = 3


def pencil(kind, separation, n, dtype, rng):
    """(a, b), [n, n], of norms near 1 and well conditioned; the eigenvalues of A - lambda B are real, and two are near 0.5."""
    q, z = (np.linalg.qr(deviates(rng, (n, n), dtype))[0] for _ in range(2))
    s, t = (np.triu(deviates(rng, (n, n), dtype), 1).astype(np.result_type(dtype, np.float64)) / n for _ in range(2))
    if kind == "apart":
        s[0, 1] = t[0, 1] = 0
    s += np.diag([0.5, 0.5 + separation, *np.linspace(-1, -0.4, n - 2)])
    t += np.eye(n)
    return (q @ s @ z.conj().T).astype(dtype), (q @ t @ z.conj().T).astype(dtype)


def gradient_errors(kind, separation, dtype, count, backend=None):
    """For some pencils and linear functions of their factors: the relative error of the gradient, the amplification, and the error over
    eps times a power of that."""
    rng, n, found = np.random.default_rng(0), N, []
    for _ in range(count):
        pair, cotangents = pencil(kind, separation, n, dtype, rng), [deviates(rng, (n, n), dtype) for _ in range(4)]
        tensors = [tf.constant(x) for x in pair]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            factors = tfqz.qz(*tensors, backend=backend)
        got = tape.gradient(factors, tensors, [tf.constant(x) for x in cotangents])
        wide = [x.astype(np.result_type(x, np.float64)) for x in (*cotangents, *pair)]
        order = oracles.eigenvalue_order(*(x.numpy().astype(wide[0].dtype) for x in factors[:2]))
        expected = many_digits.gradient(wide[:4], *wide[4:], order)
        error = np.linalg.norm([x - y for x, y in zip(got, expected)]) / np.linalg.norm(expected)
        amplification = float(tf.reduce_max(tfqz.sensitivity(*factors).amplification))
        found.append((float(error), amplification, float(error / (np.finfo(dtype).eps * amplification ** KINDS[kind]))))
    return found
