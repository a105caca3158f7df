"""Products of matrices in full precision, wherever they run.

TensorFlow lets GPUs round the factors of a float32 product to TF32, 11 bits, unless the user turns that off for everything, and XLA's
products take over this switch: neither has one for a single op. So products of single precision are computed in double precision, in which
no such thing happens, and rounded. (Three products of halves of 12 bits would do too; double precision is faster on CPUs.)
"""

import tensorflow as tf

_WIDER = {tf.float32: tf.float64, tf.complex64: tf.complex128}


def matmul(x, y, **options):
    """tf.matmul."""
    wider = _WIDER.get(x.dtype)
    if wider is None:
        return tf.matmul(x, y, **options)
    return tf.cast(tf.matmul(tf.cast(x, wider), tf.cast(y, wider), **options), x.dtype)


def matvec(x, y):
    """tf.linalg.matvec."""
    return matmul(x, y[..., None])[..., 0]
