"""Powers of two: products with them are exact, so that rows and columns can be scaled for good."""

import tensorflow as tf

from tfqz._form import blocks
from tfqz._form.traces import traced


@traced
def of_two(exponents, *, dtype):
    """2^exponents as normal numbers of a real dtype, float32 or float64: by their bits, since no device promises exact powers."""
    bits, integer, bias = (23, tf.int32, 127) if dtype == tf.float32 else (52, tf.int64, 1023)
    return tf.bitcast((tf.cast(exponents, integer) + bias) * 2**bits, dtype)


def up_to(x):
    """The largest power of 2 up to x > 0, by its exponent's bits; 1 for 0 and what is not a number. Without a derivative."""
    integer, mask = (tf.int32, 0x7F800000) if x.dtype == tf.float32 else (tf.int64, 0x7FF0000000000000)
    power = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, integer), tf.constant(mask, integer)), x.dtype)
    return tf.where((power > 0) & tf.math.is_finite(power), power, tf.ones_like(x))


@traced
def of_both_sides(left, right, *, dtype):
    """[..., m, n]: 2^(left_i + right_j), for exponents [..., m] and [..., n]. At once, since between both products one could overflow."""
    return of_two(left[..., :, None] + right[..., None, :], dtype=dtype)


def scaled(matrices, left, right):
    """diag(2^left) X diag(2^right), [..., m, n], of some matrices of one dtype; of these products the exponents are constants."""
    dtype = matrices[0].dtype
    factors = blocks.of_dtype(of_both_sides(left, right, dtype=dtype.real_dtype), dtype)
    return [X * factors for X in matrices]
