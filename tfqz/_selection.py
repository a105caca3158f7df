"""Which eigenvalues come first: what `sort` means, as an integer label for each eigenvalue. The largest labels come first."""

import tensorflow as tf

from tfqz import _blocks, _checks
from tfqz._blocks import following, preceding
from tfqz._functions import traced

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

    alpha, complex, and beta, with real values >= 0, as `_eigenvalues.alpha_beta` gives them.
    """
    alpha, beta = tf.stop_gradient(alpha), tf.stop_gradient(beta)
    if not callable(sort):
        return tf.cast(_keyword(sort, tolerance, alpha, tf.math.real(beta)), tf.int32)  # no keyword parts a pair
    return _in_pairs(tf.cast(_called(sort, alpha, beta), tf.int32), S)


@traced
def _in_pairs(labels, S):
    start = _blocks.starts(S)
    larger = tf.where(start, tf.maximum(labels, following(labels)), labels)
    return tf.where(preceding(start), preceding(larger), larger)


def count(labels):
    """[...], int32: how many have a label above 0."""
    return tf.reduce_sum(tf.cast(labels > 0, tf.int32), axis=-1)


def _keyword(sort, tolerance, alpha, beta):
    """SciPy's rules, strict, with the boundary moved by the tolerance. Where beta = 0 an eigenvalue is outside the unit circle and in
    no half plane, and 0/0 is nowhere."""
    if sort in ("lhp", "rhp"):
        x, boundary = tf.math.real(alpha), tolerance * beta
    else:
        x, boundary = tf.abs(alpha), (1 + tolerance) * beta
    chosen = x < boundary if sort in ("lhp", "iuc") else x > boundary
    return chosen if sort == "ouc" else chosen & (beta > 0)


def _called(sort, alpha, beta):
    found = tf.convert_to_tensor(sort(alpha, beta), name="sort")
    if not (found.dtype.is_bool or found.dtype.is_integer):
        raise TypeError(f"`sort` must return booleans or integers; got {found.dtype.name}")
    try:
        if not tf.broadcast_static_shape(found.shape, alpha.shape).is_compatible_with(alpha.shape):
            raise ValueError
    except ValueError:
        shapes = f"{_checks.text(found.shape)} for eigenvalues {_checks.text(alpha.shape)}"
        raise ValueError(f"`sort` must return one label for each eigenvalue; got {shapes}") from None
    return tf.broadcast_to(found, tf.shape(alpha))
