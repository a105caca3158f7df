"""The gradient as every backend attaches it: the pullback of the factors, summed over what was broadcast."""

import tensorflow as tf

from tfqz import _gradient
from tfqz._attach import register_pullback


@register_pullback("TfqzQz")
def pullback(inputs, outputs, cotangents, apart=True):
    """Cotangents of `a` and `b` from those of S, T, Q, Z and, if these are among the outputs, alpha, beta. `apart` as in
    `_gradient.pullback`."""
    a, b = inputs
    Ab, Bb = _gradient.pullback(*outputs[:4], *cotangents, apart=apart)
    batch_a, batch_b = a.shape[:-2], b.shape[:-2]
    if batch_a.is_fully_defined() and batch_a == batch_b:
        return [Ab, Bb]
    reduce_a, reduce_b = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(a)[:-2], s1=tf.shape(b)[:-2])
    return [
        tf.reshape(tf.reduce_sum(Ab, reduce_a), tf.shape(a)),
        tf.reshape(tf.reduce_sum(Bb, reduce_b), tf.shape(b)),
    ]
