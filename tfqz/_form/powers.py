"""Powers of two: products with them are exact, so that rows and columns can be scaled for good."""

import functools

import tensorflow as tf

from tfqz._form import blocks, quotients
from tfqz._form.traces import traced

# Of float32 and float64: how many bits there are behind the leading one, the integer of that size, the bias of exponents.
_FORMATS = {tf.float32: (23, tf.int32, 127), tf.float64: (52, tf.int64, 1023)}


def _whole(number, integer):
    """A Python number as a constant. (Where TensorFlow behaves as NumPy it takes those for 32 bits.)"""
    return tf.constant(integer.as_numpy_dtype(number))


@traced
def of_two(exponents, *, dtype):
    """2^exponents as normal numbers of a real dtype, float32 or float64: by their bits, since no device promises exact powers."""
    bits, integer, bias = _FORMATS[dtype]
    return tf.bitcast((tf.cast(exponents, integer) + bias) * _whole(2**bits, integer), dtype)


def exponents(X, of_zero=0):
    """[..., 1, 1], int32: e where the largest real or imaginary part of a matrix is from 2^e to below 2^(e + 1); `of_zero` where it is 0
    or not a number. By the bits, without a derivative: TensorFlow's threads take denormals for 0."""
    X = tf.stop_gradient(X)
    parts = [tf.math.real(X), tf.math.imag(X)] if X.dtype.is_complex else [X]
    largest = functools.reduce(tf.maximum, (tf.reduce_max(_magnitude(x), axis=[-2, -1], keepdims=True) for x in parts))
    bits, integer, bias = _FORMATS[parts[0].dtype]
    of_denormal = _biased(tf.bitcast(tf.cast(largest, parts[0].dtype), largest.dtype), bits) - 2 * bias - bits + 1
    e = tf.where(largest < _whole(2**bits, integer), of_denormal, _biased(largest, bits) - bias)
    return tf.where((largest > 0) & (e <= bias), e, of_zero)


def times(x, exponents):
    """x 2^exponents, of any dtype, for integers that broadcast; denormals may count as 0. In two steps: neither power leaves the range, and
    what is between x and the product does only where one of these does. The second is a quotient, since TensorFlow's optimizer makes two
    products one, by that of both powers, which may leave the range."""
    product, quotient = _product_and_quotient(exponents, x.dtype.real_dtype)
    return quotients.over(x * blocks.of_dtype(product, x.dtype), quotient)


def gradually(x, exponents):
    """The same without a derivative, and where denormals are numbers as any others, before and after, whatever the device makes of them."""
    if x.dtype.is_complex:
        return tf.complex(*(gradually(part, exponents) for part in (tf.math.real(x), tf.math.imag(x))))
    bits, integer, bias = _FORMATS[x.dtype]
    least = bias - 1 + bits  # 2^-least is the smallest denormal
    magnitude = _magnitude(x)
    sign = tf.bitwise.bitwise_xor(tf.bitcast(x, integer), magnitude)
    denormal = magnitude < _whole(2**bits, integer)
    normal = tf.where(denormal, tf.cast(magnitude, x.dtype), tf.bitcast(magnitude, x.dtype))
    exponents = exponents - tf.where(denormal, least, 0)
    number, multiple = times(normal, exponents), times(normal, exponents + least)
    as_bits = tf.cast(tf.round(tf.minimum(multiple, 2.0**bits)), integer)
    return tf.bitcast(tf.bitwise.bitwise_or(sign, tf.where(multiple < 2.0**bits, as_bits, tf.bitcast(number, integer))), x.dtype)


def near_one(matrices):
    """Matrices, [..., m, n], times powers of two, and the exponents that take this back, [..., 1, 1]; without derivatives. Squares and
    products of their entries would leave the range."""
    scales = [exponents(X) for X in matrices]
    return [gradually(X, -scale) for X, scale in zip(matrices, scales)], scales


def without_underflowing(S, T, scales):
    """S, T, [..., n, n], with 0 for what is below the diagonal, and for s_jj and t_jj of 1 x 1 blocks, where `back_from_one` makes 0 of it:
    neither blocks nor phases of the canonical form hang on what isn't there then."""

    def vanishes(x, scale):
        return ~is_not_zero(gradually(tf.abs(x), scale[..., 0]))

    if not S.dtype.is_complex:
        below = blocks.below(S)
        S = S - blocks.place_below(blocks.masked(vanishes(below, scales[0]), below))
    start = blocks.starts(S)
    block = start | blocks.preceding(start)

    def dropped(X, scale):
        x = tf.linalg.diag_part(X)
        return blocks.with_diagonal(X, blocks.masked(block | ~vanishes(x, scale), x))

    return [dropped(X, scale) for X, scale in zip((S, T), scales)]


def back_from_one(S, T, alpha, beta, scales):
    """The factors S, T, [..., n, n], alpha and beta, [..., n], of what `near_one` made of a pencil, as those of the pencil."""
    (of_s, of_t), (row_s, row_t) = scales, (scale[..., 0] for scale in scales)
    return [gradually(x, scale) for x, scale in zip((S, T, alpha, beta), (of_s, of_t, row_s, row_t))]


def is_not_zero(x):
    """Whether each real number is something, and be it a denormal, which TensorFlow's threads take for 0."""
    return _magnitude(x) > 0


def _magnitude(x):
    """The bits of |x| as an integer, in whose order numbers are."""
    bits, integer, bias = _FORMATS[x.dtype]
    return tf.bitwise.bitwise_and(tf.bitcast(x, integer), _whole(2 ** (bits + 1) * (bias + 1) - 1, integer))


def _biased(magnitude, bits):
    return tf.cast(magnitude // _whole(2**bits, magnitude.dtype), tf.int32)


def _product_and_quotient(exponents, dtype):
    """Two powers of two: 2^exponents is the first by the second."""
    most = 2 * (_FORMATS[dtype][2] - 1)
    exponents = tf.clip_by_value(exponents, -most, most)
    half = exponents // 2
    return [of_two(part, dtype=dtype) for part in (half, half - exponents)]


def up_to(x):
    """The largest power of 2 up to x > 0, by its exponent's bits; 1 for 0 and what is not a number. Without a derivative."""
    bits, integer, bias = _FORMATS[x.dtype]
    of_exponent = _whole(2**bits * (2 * bias + 1), integer)
    power = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, integer), of_exponent), x.dtype)
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
