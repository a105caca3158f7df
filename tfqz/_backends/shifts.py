"""The shifts of a sweep of the QZ iteration, as the first column of the bulge that they make."""

import tensorflow as tf

from tfqz._backends.reflectors import size
from tfqz._form import blocks, quotients, tolerances
from tfqz._form.blocks import following


def first_column(S, T, window, unusual):
    """[batch, bulge + 1]: the first column of (M - x_1) ... (M - x_k), M = S T^{-1} on the window, for the shifts x."""
    (s, above, low, next_s), (t, above_in_t, _, next_t) = blocks.bands_of_both(S, T)
    # Where there are zeros the window's work is another.
    finite_t, next_t = (tf.where(tf.equal(x, 0), tf.ones_like(x), x) for x in (t, next_t))
    m11, m21 = s / finite_t, low / finite_t
    m12, m22 = (above - m11 * above_in_t) / next_t, (next_s - m21 * above_in_t) / next_t
    m32 = following(low) / next_t
    table = tf.stack([m11, m12, m21, m22, m32, s, finite_t, low], axis=1)
    j = tf.maximum(tf.stack([window.first, window.last - 1], axis=1), 0)
    table = tf.gather(table, j, axis=2, batch_dims=1)
    m11, m12, m21, m22, m32, s, t, low = tf.unstack(table[:, :, 0], axis=1)
    n11, n12, n21, n22, *_ = tf.unstack(table[:, :, 1], axis=1)

    half = (n11 - n22) / 2
    # Squares and products of these may leave the range: all is divided by the length g of (half, sqrt(n12 n21)) first.
    g = tf.maximum(size(half), _root_of_product(n12, n21))
    g = tf.where(g > 0, g, tf.ones_like(g))
    half, product = quotients.over(half, g), quotients.over(n12, g) * quotients.over(n21, g)
    discriminant = half * half + product
    if S.dtype.is_complex:
        root = tf.sqrt(discriminant)
        # Real pencils have conjugate pairs: rounding must not decide which of two equally near eigenvalues comes first.
        tie = tolerances.tie(S.dtype) * tf.abs(root)
        real, imaginary = tf.math.real(root), tf.math.imag(root)
        root = tf.where(tf.where(tf.abs(real) <= tie, imaginary < 0, real < 0), -root, root)
        root = tf.where(tf.math.real(tf.math.conj(half) * root) < -tie * tf.abs(half), -root, root)
    else:
        root = tf.sqrt(tf.maximum(discriminant, 0))
        root = tf.where(half >= 0, root, -root)
    shift = n22 - tf.cast(g, S.dtype) * tf.math.divide_no_nan(product, half + root)
    shift = tf.where(unusual, n22 + 0.75 * tf.cast(tf.abs(n21), n21.dtype), shift)
    single = [s - shift * t, low]
    if S.dtype.is_complex:
        return tf.stack(single, axis=1)
    # A conjugate pair x +- iy; written so that x near m11 loses no digits. Both factors of a product over what makes the largest one 1.
    x = (n11 + n22) / 2
    first, second = m11 - x, m22 - x
    scale = tf.maximum(
        tf.maximum(tf.abs(first), g), _root_of_product(m21, tf.maximum(tf.maximum(tf.abs(m12), tf.abs(first + second)), tf.abs(m32)))
    )
    first, second, m12, m21, m32, g = (y / scale for y in (first, second, m12, m21, m32, g))
    pair = [first**2 - discriminant * g**2 + m12 * m21, m21 * (first + second), m21 * m32]
    double = (discriminant < 0) & ~unusual
    return tf.stack([tf.where(double, y, z) for y, z in zip(pair, [*single, tf.zeros_like(s)])], axis=1)


def _root_of_product(x, y):
    """sqrt(|x| |y|), up to a factor of 2."""
    return tf.sqrt(size(x)) * tf.sqrt(size(y))
