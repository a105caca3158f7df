"""Which eigenvalues come first: what `sort` means, as an integer label for each eigenvalue. The largest labels come first."""

import numpy as np
import tensorflow as tf

from tfqz._form import blocks, checks, powers, quotients, tolerances
from tfqz._form.blocks import following, preceding
from tfqz._form.traces import traced

KEYWORDS = ("lhp", "rhp", "iuc", "ouc")


def check(sort, tolerance):
    """Raises ValueError or TypeError if `sort` is no keyword and no callable, or `tolerance` has no meaning for it."""
    if callable(sort):
        if tolerance != 0:
            raise ValueError(f"`tolerance` must be 0 where `sort` is a callable; got {tolerance!r}")
        return
    if not isinstance(sort, str) or sort not in KEYWORDS:
        listed = ", ".join(repr(keyword) for keyword in KEYWORDS)
        raise ValueError(f"`sort` must be one of {listed}, or a callable of alpha and beta; got {sort!r}")
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)):
        raise TypeError(f"`tolerance` must be a number; got {tolerance!r}")
    if sort in ("iuc", "ouc") and not tolerance > -1:
        raise ValueError(f"`tolerance` must be above -1 for {sort!r}; got {tolerance!r}")


def labels(sort, tolerance, alpha, beta, S):
    """[..., n], int32; both eigenvalues of a 2 x 2 block of S have the larger of their labels.

    alpha, complex, and beta, with real values >= 0, as `eigenvalues.alpha_beta` gives them.
    """
    alpha, beta = tf.stop_gradient(alpha), tf.stop_gradient(beta)
    if not callable(sort):  # no keyword parts a pair
        if tf.executing_eagerly():  # NumPy takes a fifth of the time
            return tf.constant(np.int32(_keyword(np, sort, tolerance, alpha.numpy(), np.real(beta.numpy()))))
        return tf.cast(_keyword(tf.math, sort, tolerance, alpha, tf.math.real(beta)), tf.int32)
    found = tf.cast(_called(sort, alpha, beta), tf.int32)
    return found if S.dtype.is_complex else _in_pairs(found, S)


@traced
def _in_pairs(labels, S):
    """Labels, [..., n], of which both eigenvalues of a 2 x 2 block of a real S have the larger one."""
    start = powers.is_not_zero(blocks.below(S))
    larger = tf.where(start, tf.maximum(labels, following(labels)), labels)
    return tf.where(preceding(start), preceding(larger), larger)


@traced
def is_order_lost(labels, alpha, beta, again, new_alpha, new_beta):
    """[...]: whether eigenvalues in their new order, [..., n], don't have the labels for which they came there, but other ones, `again`.

    An eigenvalue that is what it was up to rounding counts as it did: near a boundary rounding must not decide.

    Args:
      labels, alpha, beta: in the old order.
      again, new_alpha, new_beta: in the new one.
    """
    shape = tf.shape(labels)
    flat = tf.stack([tf.reduce_prod(shape[:-1]), shape[-1]])
    labels, x, y, again, u, v = (tf.reshape(x, flat) for x in (labels, alpha, beta, again, new_alpha, new_beta))
    norms = [_largest(z) for z in (x, y)]
    (x, y), (u, v) = _over_lengths(x, y, norms), _over_lengths(u, v, norms)
    old = tf.argsort(labels, axis=-1, direction="DESCENDING", stable=True)
    expected, x, y = (tf.gather(z, old, axis=-1, batch_dims=1) for z in (labels, x, y))
    moved = tf.abs(x * blocks.to_complex(v) - u * blocks.to_complex(y)) > tolerances.moved(x.dtype)
    nothing = tf.equal(y + tf.abs(x), 0) | tf.equal(v + tf.abs(u), 0)
    return tf.reshape(tf.reduce_any(tf.not_equal(again, expected) & (moved | nothing), axis=-1), shape[:-1])


def _over_lengths(alpha, beta, norms):
    """alpha and beta, real, over `norms` and their length, and 0 for 0/0, where both are of the size of rounding."""
    alpha, beta = (quotients.over(x, norm) for x, norm in zip((alpha, tf.math.real(beta)), norms))
    length = tf.sqrt(tf.abs(alpha) ** 2 + beta**2)
    something = length > tolerances.zero_pair(alpha.dtype, tf.shape(alpha)[-1])
    length = tf.where(something, length, tf.ones_like(length))
    return [blocks.masked(something, quotients.over(x, length)) for x in (alpha, beta)]


def _largest(x):
    """The largest modulus of [..., n], or 1 where all are 0: [..., 1], real."""
    largest = tf.reduce_max(tf.abs(x), axis=-1, keepdims=True)
    return tf.where(largest > 0, largest, tf.ones_like(largest))


def count(labels):
    """[...], int32: how many have a label above 0."""
    return tf.reduce_sum(tf.cast(labels > 0, tf.int32), axis=-1)


def _keyword(module, sort, tolerance, alpha, beta):
    """SciPy's rules, strict, with the boundary moved by the tolerance. Where beta = 0 an eigenvalue is outside the unit circle and in
    no half plane, and 0/0 is nowhere. `module` is NumPy or tf.math."""
    if sort in ("lhp", "rhp"):
        x, boundary = module.real(alpha), tolerance * beta
    else:
        x, boundary = module.abs(alpha), (1 + tolerance) * beta
    chosen = x < boundary if sort in ("lhp", "iuc") else x > boundary
    return chosen if sort == "ouc" else chosen & (beta > 0)


def _called(sort, alpha, beta):
    """What the callable `sort` returns, as a tensor [..., n] of booleans or integers; TypeError or ValueError for anything else."""
    found = tf.convert_to_tensor(sort(alpha, beta), name="sort")
    if not (found.dtype.is_bool or found.dtype.is_integer):
        raise TypeError(f"`sort` must return booleans or integers; got {found.dtype.name}")
    try:
        if not tf.broadcast_static_shape(found.shape, alpha.shape).is_compatible_with(alpha.shape):
            raise ValueError
    except ValueError:
        shapes = f"{checks.text(found.shape)} for eigenvalues {checks.text(alpha.shape)}"
        raise ValueError(f"`sort` must return one label for each eigenvalue; got {shapes}") from None
    return tf.broadcast_to(found, tf.shape(alpha))
