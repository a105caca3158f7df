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
    return _exponents(_largest(X), X.dtype.real_dtype, of_zero)


def exponents_of_all(matrices, of_zero=0):
    """[k, ..., 1, 1]: those of k matrices of one precision and one batch shape."""
    return _exponents(tf.stack([_largest(X) for X in matrices]), matrices[0].dtype.real_dtype, of_zero)


def _largest(X):
    """[..., 1, 1]: the bits of the largest real or imaginary part of a matrix as an integer."""
    X = tf.stop_gradient(X)
    parts = [tf.math.real(X), tf.math.imag(X)] if X.dtype.is_complex else [X]
    return functools.reduce(tf.maximum, (tf.reduce_max(_magnitude(x), axis=[-2, -1], keepdims=True) for x in parts))


def _exponents(magnitudes, dtype, of_zero):
    """Those of numbers of a real dtype, given by their bits."""
    bits, integer, bias = _FORMATS[dtype]
    of_denormal = _biased(tf.bitcast(tf.cast(magnitudes, dtype), integer), bits) - 2 * bias - bits + 1
    e = tf.where(magnitudes < _whole(2**bits, integer), of_denormal, _biased(magnitudes, bits) - bias)
    return tf.where((magnitudes > 0) & (e <= bias), e, of_zero)


def times(x, exponents):
    """x 2^exponents, of any dtype, for integers that broadcast; denormals may count as 0. In two steps: neither power leaves the range, and
    what is between x and the product does only where one of these does. The second is a quotient, since TensorFlow's optimizer makes two
    products one, by that of both powers, which may leave the range."""
    return times_powers(x, as_powers(exponents, x.dtype))


def times_powers(x, powers):
    """The same with what `as_powers` made of the exponents, for several x."""
    product, quotient = powers
    return quotients.over(x * blocks.of_dtype(product, x.dtype), quotient)


def gradually(x, exponents):
    """The same without a derivative, and where denormals are numbers as any others, before and after, whatever the device makes of them."""
    return all_gradually([x], [exponents])[0]


def all_gradually(tensors, exponents):
    """The same of several tensors of one shape and precision, and exponents of one shape: in as few ops as of one."""
    parts, of_parts = [], []
    for x, e in zip(tensors, exponents):
        new = [tf.math.real(x), tf.math.imag(x)] if x.dtype.is_complex else [x]
        parts += new
        of_parts += [e] * len(new)
    if len(parts) > 1:
        found = iter(tf.unstack(_gradually(tf.stack(parts), tf.stack(of_parts)), num=len(parts)))
    else:
        found = iter([_gradually(*parts, *of_parts)])
    return [tf.complex(next(found), next(found)) if x.dtype.is_complex else next(found) for x in tensors]


def _gradually(x, exponents):
    """Of a real x."""
    bits, integer, bias = _FORMATS[x.dtype]
    least = bias - 1 + bits  # 2^-least is the smallest denormal
    magnitude = _magnitude(x)
    sign = tf.bitwise.bitwise_xor(tf.bitcast(x, integer), magnitude)
    denormal = magnitude < _whole(2**bits, integer)
    normal = tf.where(denormal, tf.cast(magnitude, x.dtype), tf.bitcast(magnitude, x.dtype))
    exponents = exponents - tf.where(denormal, least, 0)
    own = _biased(tf.bitcast(normal, integer), bits) - bias
    # What becomes a denormal is a whole number of the smallest ones, and that number has its bits.
    to_denormal = (own + exponents < 1 - bias) & (own <= bias)
    found = times(normal, exponents + tf.where(to_denormal, least, 0))
    as_bits = tf.where(to_denormal, tf.cast(tf.round(found), integer), tf.bitcast(found, integer))
    return tf.bitcast(tf.bitwise.bitwise_or(sign, as_bits), x.dtype)


def near_one(matrices):
    """Matrices of one shape, [..., m, n], times powers of two, and the exponents that take this back, [..., 1, 1]; without derivatives.
    Squares and products of their entries would leave the range."""
    scales = tf.unstack(exponents_of_all(matrices), num=len(matrices))
    return all_gradually(matrices, [-scale for scale in scales]), scales


def without_underflowing(S, T, scales):
    """S, T, [..., n, n], with 0 for what is below the diagonal, and for s_jj and t_jj of 1 x 1 blocks, where `back_from_one` makes 0 of it:
    neither blocks nor phases of the canonical form hang on what isn't there then."""
    of_s, of_t = (scale[..., 0] for scale in scales)
    s, t, below = tf.linalg.diag_part(S), tf.linalg.diag_part(T), blocks.below(S)
    kept = [is_not_zero(x) for x in all_gradually([tf.abs(s), tf.abs(t), tf.abs(below)], [of_s, of_t, of_s])]
    if not S.dtype.is_complex:
        S = S - blocks.place_below(blocks.masked(~kept[2], below))
    start = blocks.starts(S)
    block = start | blocks.preceding(start)
    return [blocks.with_diagonal(X, blocks.masked(block | is_kept, x)) for X, x, is_kept in zip((S, T), (s, t), kept)]


def back_from_one(S, T, alpha, beta, scales):
    """The factors S, T, [..., n, n], alpha and beta, [..., n], of what `near_one` made of a pencil, as those of the pencil."""
    return all_gradually([S, T], scales) + all_gradually([alpha, beta], [scale[..., 0] for scale in scales])


def is_not_zero(x):
    """Whether each real number is something, and be it a denormal, which TensorFlow's threads take for 0."""
    return _magnitude(x) > 0


def _magnitude(x):
    """The bits of |x| as an integer, in whose order numbers are."""
    bits, integer, bias = _FORMATS[x.dtype]
    return tf.bitwise.bitwise_and(tf.bitcast(x, integer), _whole(2 ** (bits + 1) * (bias + 1) - 1, integer))


def _biased(magnitude, bits):
    return tf.cast(tf.bitwise.right_shift(magnitude, _whole(bits, magnitude.dtype)), tf.int32)


def as_powers(exponents, dtype):
    """Two powers of two, real numbers of the precision of a dtype: 2^exponents is the first by the second."""
    most = 2 * _FORMATS[dtype.real_dtype][2] - 1
    exponents = tf.clip_by_value(exponents, -most, most)
    half = tf.bitwise.right_shift(exponents + 1, 1)  # of which XLA makes a tenth of what it makes of a quotient
    return [of_two(part, dtype=dtype.real_dtype) for part in (half, half - exponents)]


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
