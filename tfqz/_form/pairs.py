"""Products of matrices in about one and a half times double precision, of plain products alone.

A pair (hi, lo) stands for hi + lo; a lo of None is 0. A factor is cut into a head, of so few bits on one grid that the product of two
heads is exact, and the rest: K. Ozaki, T. Ogita, S. Oishi and S. M. Rump, Error-free transformations of matrix multiplication by using fast
routines of matrix multiplication and its applications, Numer. Algorithms 59 (2012) 95-118. What cancels in a sum of such products, as in
the residual of an equation, has errors of 2^-77 of its summands and not of 2^-53.

All matrices are [..., m, n], float64 or complex128. Without derivatives.
"""

import tensorflow as tf

from tfqz._form import powers

_DIGITS = 53


def exact(x):
    """x as a pair."""
    return x, None


def adjoint(x):
    """The adjoint of a pair."""
    return _each(tf.linalg.adjoint, x)


def negative(x):
    """-x of a pair."""
    return _each(tf.negative, x)


def part(x, rows=slice(None), columns=slice(None)):
    """These rows and columns of a pair."""
    return _each(lambda X: X[..., rows, columns], x)


def stacked(*pairs, axis):
    """Pairs beside (axis=-1) or above (-2) each other."""
    high, low = zip(*pairs)
    if all(x is None for x in low):
        return tf.concat(high, axis=axis), None
    return tf.concat(high, axis=axis), tf.concat([tf.zeros_like(x) if y is None else y for x, y in pairs], axis=axis)


def product(x, y):
    """The pair x y of two pairs."""
    (A, a), (B, b) = x, y
    terms = tf.cast(tf.shape(A)[-1], tf.float64) * (2 if A.dtype.is_complex else 1)
    # 2^bits * 2^bits * terms < 2^53, from above: log2 is exact for powers of 2 up to rounding.
    bits = tf.floor((_DIGITS - tf.math.ceil(tf.math.log(tf.maximum(terms, 1)) / tf.math.log(tf.constant(2.0, tf.float64)) - 1e-9)) / 2)
    # Columns of the left and rows of the right factor of about the same size: grids are for whole rows and columns.
    size = powers.up_to(tf.sqrt(powers.up_to(_largest(A, -2)) / powers.up_to(tf.linalg.matrix_transpose(_largest(B, -1)))))
    by_column, by_row = (tf.cast(x, A.dtype) for x in (1 / size, tf.linalg.matrix_transpose(size)))
    (A, a), (B, b) = (_each(lambda X, by=by: X * by, pair) for pair, by in (((A, a), by_column), ((B, b), by_row)))
    head_of_A, head_of_B = _head(A, -1, bits), _head(B, -2, bits)
    rest_of_A, rest_of_B = (X - head if x is None else (X - head) + x for X, head, x in ((A, head_of_A, a), (B, head_of_B, b)))
    return head_of_A @ head_of_B, head_of_A @ rest_of_B + rest_of_A @ (head_of_B + rest_of_B)


def _each(function, pair):
    """A function of both, of which the second one may be None, for 0."""
    high, low = pair
    return function(high), None if low is None else function(low)


def _largest(X, axis):
    """The largest part of a number along an axis, which stays."""
    if X.dtype.is_complex:
        X = tf.maximum(tf.abs(tf.math.real(X)), tf.abs(tf.math.imag(X)))
    return tf.reduce_max(tf.abs(X), axis=axis, keepdims=True)


def _head(X, axis, bits):
    """X rounded to a grid for all along an axis, of at most so many bits. Real and imaginary parts share it, as they meet in products."""
    # By powers of two, which a product with the inverse does not round.
    unit = powers.up_to(_largest(X, axis)) * 2 ** (1 - bits)
    if X.dtype.is_complex:
        return tf.complex(*(tf.round(part * (1 / unit)) * unit for part in (tf.math.real(X), tf.math.imag(X))))
    return tf.round(X * (1 / unit)) * unit
