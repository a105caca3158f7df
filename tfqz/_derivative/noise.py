"""What is rounding in the right-hand sides of the gradient's equations, where division would make it grow."""

import tensorflow as tf

from tfqz._form import blocks, tolerances


def noise(S, T, Sb, Tb, Qb, Zb):
    """[..., n]: the rounding errors of column j of Q^H Qb and Z^H Zb, and of row and column j of the other products."""

    # Each by itself: XLA compiles the same kernel once.
    Qb, Zb, Sb, Tb, S_, T_ = (tf.abs(X) for X in (Qb, Zb, Sb, Tb, S, T))
    products = sum(tf.reduce_max(X, axis=-2) for X in (Qb, Zb))
    for axis in (-2, -1):
        Sb_j, Tb_j, S_j, T_j = (tf.reduce_max(X, axis=axis) for X in (Sb, Tb, S_, T_))
        products += Sb_j * S_j + Tb_j * T_j
    return tf.stop_gradient(tolerances.cancellation(S.dtype, tf.shape(S)[-1]) * products)


def significant(g, noise):
    """g, and 0 where it is rounding. A function that does not depend on the convention has g = 0: divided by a small t_jj, and again by a
    small distance of eigenvalues, its rounding errors would grow to any size."""
    return where_significant(tf.abs(g) > noise, g)


def where_significant(mask, x):
    """x, and 0 elsewhere and for NaN, with the derivative of x elsewhere too: a cotangent that is 0 may have any derivative, and forward
    mode differentiates by cotangents."""
    x = blocks.masked(tf.equal(x, x), x)
    return x - tf.stop_gradient(blocks.masked(~mask, x))


def without_noise(P, noise, moved):
    """A right-hand side P, without what is rounding where any eigenvalues are `moved` apart: divided by such small distances, over and
    over, a projector's, of which nothing else is left inside a cluster, would grow."""
    noise = tf.reduce_max(noise, axis=-1)[..., None, None]
    limit = tf.where(tf.reduce_any(moved, axis=[-2, -1], keepdims=True), noise, -tf.ones_like(noise))
    return tf.where(tf.abs(P) <= limit, tf.zeros_like(P), P)
