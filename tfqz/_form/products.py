"""Products of matrices in full precision, wherever they run.

TensorFlow lets GPUs round the factors of a float32 product to TF32, 11 bits, unless the user turns that off for everything, and XLA's
products take over this switch: neither has one for a single op. So products of single precision are computed in double precision, in which
no such thing happens, and rounded.
"""

import tensorflow as tf

WIDER = {tf.float32: tf.float64, tf.complex64: tf.complex128}


def matmul(x, y, **options):
    """tf.matmul."""
    return _in_wider(tf.matmul, x, y, options)


def matvec(x, y):
    """tf.linalg.matvec."""
    return matmul(x, y[..., None])[..., 0]


def triangular_solve(x, y, **options):
    """tf.linalg.triangular_solve, for its gradient's sake, which is a product."""
    return _in_wider(tf.linalg.triangular_solve, x, y, options)


def _in_wider(function, x, y, options):
    """function(x, y) in double precision, rounded to single; of double precision as it is."""
    wider = WIDER.get(x.dtype)
    if wider is None:
        return function(x, y, **options)
    return tf.cast(function(tf.cast(x, wider), tf.cast(y, wider), **options), x.dtype)
