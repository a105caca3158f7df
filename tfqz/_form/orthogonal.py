"""QR decompositions of matrices whose entries may be of any size.

TensorFlow's takes a column for one that is triangular already where the squares of its entries are below the smallest normal number, and
where they are next to it, or some of them are, its reflectors aren't unitary. So matrices of single precision are decomposed in double
precision, whose range has all these squares, and those of double precision are brought near 1 first.
"""

import tensorflow as tf

from tfqz._form import blocks, powers, quotients
from tfqz._form.products import WIDER, matmul


def qr(X, full_matrices=False):
    """Q and R of X, [..., m, n], without a derivative."""
    X = tf.stop_gradient(X)
    wider = WIDER.get(X.dtype)
    if wider is not None:
        return [tf.cast(x, X.dtype) for x in tf.linalg.qr(tf.cast(X, wider), full_matrices=full_matrices)]
    scale = powers.up_to(blocks.largest(X))
    Q, R = tf.linalg.qr(quotients.over(X, scale), full_matrices=full_matrices)
    return Q, R * blocks.of_dtype(scale, R.dtype)


def unitary_qr(X):
    """The same of square ones, with a Q that is unitary to rounding also where what is left of a column is 2^-500 of the largest one: of
    that Q, which is nearly unitary, once more."""
    Q, R = qr(X)
    if X.dtype in WIDER:
        return Q, R
    Q, turn = tf.linalg.qr(Q)
    return Q, matmul(turn, R)
