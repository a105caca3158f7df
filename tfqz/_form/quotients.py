"""Quotients by real numbers that have no squares in between, which a complex quotient may have and which leave the range first."""

import tensorflow as tf


def over(x, y):
    """x / y for a real y."""
    return tf.complex(tf.math.real(x) / y, tf.math.imag(x) / y) if x.dtype.is_complex else x / y


def over_no_nan(x, y):
    """x / y for a real y, and 0 where that is 0. (Of complex numbers tf.math.divide_no_nan is 0 also where |y|^2 is.)"""
    divide = tf.math.divide_no_nan
    return tf.complex(divide(tf.math.real(x), y), divide(tf.math.imag(x), y)) if x.dtype.is_complex else divide(x, y)


def phase(x):
    """x / |x|, and 1 for 0."""
    modulus = tf.abs(x)
    safe, one = tf.not_equal(modulus, 0), tf.ones_like(modulus)  # NaN stays NaN
    once = over(x, tf.where(safe, modulus, one))
    # Once more for moduli so small that the quotient is off the unit circle.
    return tf.where(safe, over(once, tf.where(safe, tf.abs(once), one)), tf.ones_like(x))
