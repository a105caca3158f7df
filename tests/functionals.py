"""Functions of the factors to differentiate, and their gradients by tfqz."""

import numpy as np
import tensorflow as tf

import tfqz


def deviates(rng, shape, dtype):
    """Normal deviates of a real or complex dtype."""
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def factor_dtype(a, output):
    return np.result_type(a.dtype, np.complex64) if output == "complex" else a.dtype


def cotangents(rng, a, output="real"):
    """One random matrix for each factor, of the factors' dtype."""
    return [deviates(rng, a.shape, factor_dtype(a, output)) for _ in range(4)]


def inner(xs, ys):
    """sum <X, Y> = Re tr(X^H Y), a real scalar tensor."""
    return tf.add_n([tf.reduce_sum(tf.math.real(tf.math.conj(tf.cast(x, y.dtype)) * y)) for x, y in zip(xs, ys)])


def inner_each(xs, ys):
    """`inner` of each batch element: [...]."""
    products = [tf.math.real(tf.math.conj(tf.cast(x, y.dtype)) * y) for x, y in zip(xs, ys)]
    return tf.add_n([tf.reduce_sum(product, axis=[-2, -1]) for product in products])


def linear(cotangents, backend=None, output="real"):
    """(a, b) -> <Sb, S> + <Tb, T> + <Qb, Q> + <Zb, Z>."""
    return lambda a, b: inner(cotangents, tfqz.qz(a, b, output=output, backend=backend))


def gradient(f, a, b):
    """(Ab, Bb) of the scalar f(a, b) as NumPy arrays."""
    a, b = tf.convert_to_tensor(a), tf.convert_to_tensor(b)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        value = f(a, b)
    return [x.numpy() for x in tape.gradient(value, [a, b])]


def along(gradients, directions):
    """The derivative along `directions`, in double precision."""
    return sum(float(np.real(np.vdot(g.astype(complex), d))) for g, d in zip(gradients, directions))


def relative_error(got, expected):
    """Norm of the difference over norm of `expected`, of lists of arrays taken as one vector."""
    got, expected = (np.concatenate([np.ravel(x) for x in xs]) for xs in (got, expected))
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)
