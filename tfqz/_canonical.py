"""The canonical form in TensorFlow operations, for the backends that don't get it from the C++ core.

The rules, which `cc/canonical.h` has too:

 1. t_jj is real and >= 0; where t_jj = 0 (an infinite eigenvalue) s_jj is real and >= 0; where both are 0 the largest entry
    of column j of Q is real and positive.
 2. In each column of Z the largest entry is real and positive: the first that reaches the largest modulus up to ties.
 3. In a 2 x 2 block of the real form T's block is diag(a, d), a >= d > 0, as LAPACK's xHGEQZ leaves it.
"""

import tensorflow as tf

from tfqz import _blocks, _tolerances


def canonicalize(S, T, Q, Z):
    """The factors [..., n, n] with columns of Q and Z multiplied by the phases, or signs, of the canonical form."""
    conj = tf.math.conj
    right = conj(_phase(_largest(Z)))[..., None, :]
    S, T, Z = S * right, T * right, _with_positive_largest(Z * right)
    s, t = tf.linalg.diag_part(S), tf.linalg.diag_part(T)
    left = tf.where(tf.not_equal(t, 0), t, tf.where(tf.not_equal(s, 0), s, conj(_largest(Q))))
    left = _phase(left)
    S, T, Q = conj(left)[..., :, None] * S, conj(left)[..., :, None] * T, Q * left[..., None, :]
    # Rounding leaves imaginary parts where the convention has none.
    T = _blocks.with_diagonal(T, _modulus(t))
    S = _blocks.with_diagonal(S, tf.where(tf.equal(t, 0), _modulus(s), tf.linalg.diag_part(S)))
    return S, T, Q, Z


def is_largest(X):
    """[..., n, n] of X's dtype: 1 at each column's largest entry, else 0."""
    reaches = tf.cast(ties(X), tf.int32)
    return tf.cast(tf.equal(tf.cumsum(reaches, axis=-2) * reaches, 1), X.dtype)


def ties(X):
    """[..., n, n]: true at the entries of each column whose modulus is the largest up to ties."""
    modulus = tf.abs(X)
    return modulus >= (1 - _tolerances.tie(X.dtype)) * tf.reduce_max(modulus, axis=-2, keepdims=True)


def _largest(X):
    return tf.reduce_sum(is_largest(X) * X, axis=-2)


def _with_positive_largest(Z):
    if not Z.dtype.is_complex:
        return Z
    return tf.where(tf.equal(is_largest(Z), 1), _modulus(Z), Z)


def _modulus(x):
    return tf.cast(tf.abs(x), x.dtype)


def _phase(x):
    """x / |x|, and 1 for 0."""
    modulus = _modulus(x)
    safe = tf.not_equal(modulus, 0)
    once = x / tf.where(safe, modulus, tf.ones_like(x))
    # Once more for moduli so small that the quotient is off the unit circle.
    return tf.where(safe, once / tf.where(safe, _modulus(once), tf.ones_like(x)), tf.ones_like(x))
