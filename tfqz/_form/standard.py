"""The standard form of 2 x 2 blocks, as LAPACK has it: T's are diagonal, and S's have complex eigenvalues. In TensorFlow ops, real dtypes
alone, and without derivatives.
"""

import tensorflow as tf

from tfqz._form import blocks, quotients, tolerances
from tfqz._form.blocks import masked, preceding


def standardize(S, T, Q, Z, start):
    """S, T, Q, Z of real factors with 2 x 2 blocks `start`, [batch, n], of which T's are full and some may have real eigenvalues."""
    return split_real(*_with_diagonal_blocks(S, T, Q, Z, start))


def split_real(S, T, Q, Z):
    """The factors, real, [..., n, n], of which T's blocks are diagonal, without 2 x 2 blocks whose eigenvalues are real, or so near to a
    double one that the rounding errors of their entries decide. No phases or signs are kept.

    The same arithmetic as split_real in cc/vectors/lanes_canonical-inl.h, where the reasons are.
    """
    (p, q, low, u), (t_1, _, _, t_2) = blocks.bands_of_both(S, T)
    one, zero = tf.ones_like(p), tf.zeros_like(p)
    a = tf.abs(t_1)
    d = tf.minimum(tf.abs(t_2) / tf.where(a > 0, a, one), 1)
    scale = tf.reduce_max(tf.abs(tf.stack([p, q, low, u])), axis=0)
    start = tf.not_equal(low, 0) & tf.math.is_finite(scale)
    scale = tf.where(start, scale, one)
    first, second = (tf.where(t < 0, -scale, scale) for t in (t_1, t_2))
    p, q, r, u = p / first, q / first, low / second, u / second
    rho = tf.sqrt(d)
    balanced_p, balanced_u = p * rho, tf.math.divide_no_nan(u, rho)
    outer, inner = tf.sqrt(tf.abs(q)) * tf.sqrt(tf.abs(r)), tf.abs(balanced_p - balanced_u) / 2
    rounding = tolerances.block_entries(p.dtype) * (outer + tf.abs(balanced_p) + tf.abs(balanced_u))
    opposite = ((q < 0) & (r > 0)) | ((q > 0) & (r < 0))
    real = start & ~(opposite & (outer - inner > rounding) & (d > 0))

    difference, mean = (p * d - u) / 2, (p * d + u) / 2
    root = tf.sqrt(tf.maximum(difference**2 + d * (q * r), 0))
    alpha = mean + tf.where(mean < 0, -root, root)
    alpha = tf.where(tf.equal(alpha, 0) & tf.equal(d, 0), one, alpha)
    longer = tf.maximum(tf.abs(alpha), d)
    alpha, beta = alpha / longer, d / longer
    rows = (beta * p - alpha, beta * q), (beta * r, beta * u - alpha * d)
    size = [tf.maximum(tf.abs(x), tf.abs(y)) for x, y in rows]
    x = tf.where(size[0] < size[1], rows[1][1], rows[0][1])
    y = -tf.where(size[0] < size[1], rows[1][0], rows[0][0])
    nothing = tf.equal(x, 0) & tf.equal(y, 0)
    x = tf.where(nothing, one, x)
    right = blocks.rotations(tf.where(real, tf.atan2(y, x), zero))
    of_t = tf.where(t_1 < 0, -x, x), tf.where(t_2 < 0, -d, d) * y
    of_s = (p * x + q * y) * first / scale, (r * x + u * y) * second / scale
    by_t = (tf.abs(alpha) <= beta) & ~(tf.equal(of_t[0], 0) & tf.equal(of_t[1], 0)) & (a > 0)
    x, y = (tf.where(by_t, *both) for both in zip(of_t, of_s))
    left = blocks.rotations(tf.where(real, tf.atan2(y, x), zero))

    turned_S, turned_T = _turned(left, S, T, right)
    turned_S = tf.linalg.band_part(turned_S, 0, -1) + blocks.place_below(masked(start & ~real, low))
    turned_T = tf.linalg.band_part(turned_T, 0, -1)
    t = tf.linalg.diag_part(turned_T)
    negligible = (real | preceding(real)) & (tf.abs(t) <= zero_beta(turned_T)[..., 0])
    turned_T = blocks.with_diagonal(turned_T, masked(~negligible, t))
    split = turned_S, turned_T, left.columns(Q), right.columns(Z)
    some = tf.reduce_any(real, axis=-1)[..., None, None]
    return [tf.where(some, new, X) for new, X in zip(split, (S, T, Q, Z))]


def zero_beta(T):
    """[..., 1, 1], real: t_jj up to this, the precision times the Frobenius norm of T, is 0 where rounding touched it: LAPACK's rule."""
    scale = blocks.largest(T)
    norm = tf.sqrt(tf.reduce_sum(tf.abs(quotients.over(T, scale)) ** 2, axis=[-2, -1], keepdims=True))
    return tolerances.epsilon(T.dtype) * norm * scale


def _with_diagonal_blocks(S, T, Q, Z, start):
    """Turns each 2 x 2 block of T, [p q; r s], into diag(a, d), a >= |d|: its singular value decomposition. Blocks `start`, [..., n].

    For rotations by w from the left and f from the right w - f = atan2(r - q, p + s) and w + f = atan2(r + q, p - s).
    """
    p, q, r, s = blocks.bands(T)
    difference, total = tf.atan2(r - q, p + s), tf.atan2(r + q, p - s)
    zero = tf.zeros_like(p)
    left = blocks.rotations(tf.where(start, (total + difference) / 2, zero))
    right = blocks.rotations(tf.where(start, (total - difference) / 2, zero))

    S, T = _turned(left, S, T, right)
    T = masked(~blocks.place_above(start), tf.linalg.band_part(T, 0, -1))
    S = tf.linalg.band_part(S, 0, -1) + blocks.place_below(masked(start, blocks.below(S)))
    return S, T, left.columns(Q), right.columns(Z)


def _turned(left, S, T, right):
    """S and T between rotations, the adjoint of `left` and `right`."""
    return tf.unstack(left.adjoint().rows(right.columns(tf.stack([S, T]))), num=2)
