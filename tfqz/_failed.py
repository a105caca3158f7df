"""Elements of a batch that failed, with `on_failure="nan"`: all that belongs to them is NaN, and no gradient must spread it.

0 times NaN is NaN. So whatever is computed from the factors of such an element is computed from those of some other pencil instead, and
replaced afterwards: by 0 where the cotangents of the element are all 0, as those of a loss that masks it, else by NaN.
"""

import functools

import tensorflow as tf

from tfqz import _blocks


def succeeded(X):
    """[...]: false for the elements of a factor, [..., n, n], that are NaN."""
    return tf.reduce_all(tf.math.is_finite(tf.math.real(tf.linalg.diag_part(tf.stop_gradient(X)))), axis=-1)


def stand_in(X):
    """[..., n, n]: diagonal matrices with distinct entries, as factors of some pencil."""
    n = tf.shape(X)[-1]
    return tf.broadcast_to(tf.linalg.diag(tf.cast(tf.range(1, n + 1), X.dtype)), tf.shape(X))


def kept_from_gradients(factors):
    """Decorator for pullbacks of so many factors, [..., n, n], then any integers, then cotangents of the factors and any others, [..., n],
    which return cotangents [..., n, n]."""

    def decorate(pullback):
        @functools.wraps(pullback)
        def call(*tensors, **options):
            good = succeeded(tensors[0])
            usable = [tf.where(good[..., None, None], x, stand_in(x)) for x in tensors[:factors]]
            usable += [x for x in tensors[factors:] if x.dtype.is_integer]
            unused = tf.fill(tf.shape(good), True)
            for place, x in enumerate(x for x in tensors[factors:] if not x.dtype.is_integer):
                axes, mask = ([-2, -1], good[..., None, None]) if place < factors else ([-1], good[..., None])
                unused &= tf.reduce_all(tf.equal(x, 0), axis=axes)
                usable.append(_blocks.masked(mask, x))
            otherwise = tf.where(unused, tf.constant(0, tf.float32), tf.constant(float("nan"), tf.float32))[..., None, None]
            return tf.nest.map_structure(
                lambda x: tf.where(good[..., None, None], x, tf.cast(otherwise, x.dtype)), pullback(*usable, **options)
            )

        return call

    return decorate
