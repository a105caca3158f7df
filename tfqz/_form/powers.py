"""Powers of two: products with them are exact, so that rows and columns can be scaled for good."""

import functools

import tensorflow as tf

from tfqz._form import blocks
from tfqz._form.traces import traced


@traced
def of_two(exponents, *, dtype):
    """2^exponents as normal numbers of a real dtype, float32 or float64: by their bits, since no device promises exact powers."""
    bits, integer, bias = (23, tf.int32, 127) if dtype == tf.float32 else (52, tf.int64, 1023)
    return tf.bitcast((tf.cast(exponents, integer) + bias) * 2**bits, dtype)


def largest(X):
    """[..., 1, 1], real: the largest real or imaginary part of a matrix, without a derivative."""
    X = tf.stop_gradient(X)
    parts = [tf.math.real(X), tf.math.imag(X)] if X.dtype.is_complex else [X]
    return functools.reduce(tf.maximum, (tf.reduce_max(tf.abs(x), axis=[-2, -1], keepdims=True) for x in parts))


def exponents(x, of_zero=0):
    """int32: e where 2^e <= x < 2^(e + 1), by the bits of x; `of_zero` for 0, for what is not normal and not a number. No derivative."""
    bits, integer, bias = (23, tf.int32, 127) if x.dtype == tf.float32 else (52, tf.int64, 1023)
    biased = tf.cast(tf.bitcast(tf.stop_gradient(x), integer) // 2**bits, tf.int32)
    return tf.where((biased > 0) & (biased <= 2 * bias), biased - bias, of_zero)


def times(x, exponents):
    """x 2^exponents, of any dtype, for integers that broadcast. In two steps: neither power leaves the range, and what is between x and
    the product does only where one of these does."""
    dtype = x.dtype.real_dtype
    most = 2 * (126 if dtype == tf.float32 else 1022)
    exponents = tf.clip_by_value(exponents, -most, most)
    half = exponents // 2
    for part in (half, exponents - half):
        x = x * blocks.of_dtype(of_two(part, dtype=dtype), x.dtype)
    return x


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
