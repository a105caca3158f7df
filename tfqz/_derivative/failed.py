"""Elements of a batch that failed, with `on_failure="nan"`: all that belongs to them is NaN, and no gradient must spread it.

0 times NaN is NaN. So whatever is computed from the factors of such an element is computed from those of some other pencil instead, and
replaced afterwards: by 0 where the cotangents of the element are all 0, as those of a loss that masks it, else by NaN.
"""

import functools

import tensorflow as tf

from tfqz._form import blocks


def succeeded(X):
    """[...]: false for the elements of a factor, [..., n, n], that are NaN."""
    return tf.reduce_all(tf.math.is_finite(tf.math.real(tf.linalg.diag_part(tf.stop_gradient(X)))), axis=-1)


def known_to_be_all(good):
    """Whether no element failed, as eager code can tell: it then does without what follows for those that did."""
    return tf.executing_eagerly() and bool(tf.reduce_all(good))


def filled(failing, matrices):
    """The matrices, a list of [..., m, n], NaN where `failing`, [...]."""
    if tf.executing_eagerly() and not tf.reduce_any(failing):
        return list(matrices)
    return [tf.where(failing[..., None, None], tf.cast(float("nan"), X.dtype), X) for X in matrices]


def marked(failing, factors):
    """Factors, a list, of which the first is NaN where `failing`: by that `succeeded` tells."""
    return [*filled(failing, factors[:1]), *factors[1:]]


def columns_of_identity(x, numbered=False):
    """[m, n], for x, [..., m, n]; or 1, 2, .. times these: the pencil (diag(1, 2, ..), I) and its decomposition are what is taken for what
    failed."""
    m, n = blocks.sizes(x)
    i, j = tf.range(m), tf.range(n)
    identity = tf.cast(tf.equal(blocks.as_columns(i), j), x.dtype)
    return identity * tf.cast(j + 1, x.dtype) if numbered else identity


def kept_from_gradients(layout):
    """Decorator for pullbacks, which return cotangents [..., m, n].

    `layout` has a letter for each argument: F for factors, P for other matrices, [..., m, n], w for vectors, [..., n], M and v for
    cotangents of matrices and vectors, i for integers.
    """
    kinds = layout.replace(" ", "")

    def decorate(pullback):
        @functools.wraps(pullback)
        def call(*tensors, **options):
            good = succeeded(tensors[0])
            of_vector, of_matrix = good[..., None], good[..., None, None]
            usable, unused = [], tf.fill(tf.shape(good), True)
            for place, (kind, x) in enumerate(zip(kinds, tensors)):
                if kind in "FP":
                    x = tf.where(of_matrix, x, columns_of_identity(x, place == kinds.index(kind)))
                elif kind == "w":
                    x = tf.where(of_vector, x, tf.ones_like(x))
                elif kind in "Mv":
                    unused &= tf.reduce_all(tf.equal(x, 0), axis=[-2, -1] if kind == "M" else [-1])
                    x = blocks.masked(of_matrix if kind == "M" else of_vector, x)
                usable.append(x)
            otherwise = tf.where(unused, tf.constant(0, tf.float32), tf.constant(float("nan"), tf.float32))[..., None, None]
            return tf.nest.map_structure(lambda x: tf.where(of_matrix, x, tf.cast(otherwise, x.dtype)), pullback(*usable, **options))

        return call

    return decorate
