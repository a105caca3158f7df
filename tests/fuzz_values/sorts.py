"""Orders for `ordqz`, by names that a test can hold, and whether results are in them."""

import numpy as np
import oracles
import tensorflow as tf

from fuzz_values.properties import seen_in_ops, wide

KEYWORDS = ("lhp", "rhp", "iuc", "ouc")


def large(alpha, beta):
    return tf.abs(alpha) > 2 * tf.math.real(beta)


def by_angle(alpha, beta):
    return tf.cast(tf.floor(2 * tf.math.angle(alpha)), tf.int32)


def by_size(alpha, beta):
    return tf.add_n([tf.cast(tf.abs(alpha) > bound * tf.math.real(beta), tf.int32) for bound in (0.25, 1, 4)]) - 1


SORTS = {keyword: keyword for keyword in KEYWORDS} | {f.__name__: f for f in (large, by_angle, by_size)}


def labels(sort, tolerance, alpha, beta):
    """As the documentation of `ordqz` has it."""
    if sort not in KEYWORDS:
        return np.asarray(SORTS[sort](tf.constant(alpha.astype(complex)), tf.constant(beta.astype(float)))).astype(int)
    x = alpha.real - tolerance * beta if sort in ("lhp", "rhp") else np.abs(alpha) - (1 + tolerance) * beta
    chosen = x < 0 if sort in ("lhp", "iuc") else x > 0
    return (chosen if sort == "ouc" else chosen & (beta > 0)).astype(int)


def broken(sort, tolerance, s, alpha, beta, sdim):
    """The ratio of the order: 0, or inf where an eigenvalue stands behind one of a smaller label, though none that is nearer than the root
    of the precision has such a label (an exchange may move them so far), or `sdim` is no number that these can have."""
    n = len(alpha)
    if n == 0:
        return 0.0 if sdim == 0 else np.inf
    unseen = ~(seen_in_ops(alpha) & seen_in_ops(beta)) & (sort not in KEYWORDS)
    alpha, beta = wide(alpha), wide(np.real(beta))
    scales = [np.max(x) or 1.0 for x in (np.abs(alpha), beta)]
    x, y = alpha / scales[0], beta / scales[1]
    length = np.hypot(np.abs(x), y)
    length = np.where(length > 0, length, 1)
    far = 2 * np.sqrt(np.finfo(s.dtype).eps)
    # What an exchange has moved to or from 0 there, and alpha next to it.
    found = [labels(sort, tolerance, np.where(np.abs(x) <= far * length, 0, alpha), beta)]
    around = np.exp(2j * np.pi * (np.arange(24) + 0.5) / 24)  # each label that `by_angle` has is somewhere there
    for of_alpha, of_beta in ((0, 0), (1, 0), (-1, 0), *((direction, 0) for direction in around), (0, 1), (0, -1)):
        moved = (x + far * length * of_alpha) * scales[0], np.maximum(y + far * length * of_beta, 0) * scales[1]
        found.append(labels(sort, tolerance, *moved))
    for direction in around:  # as beta is real, alpha turns back by what beta has turned by
        there = y + far * length * direction
        found.append(labels(sort, tolerance, x * np.exp(-1j * np.angle(there.astype(complex))) * scales[0], np.abs(there) * scales[1]))
    for k, size in oracles.blocks(s):
        for row in found:
            row[k : k + size] = row[k : k + size].max()
    # 0/0 may be whatever rounding makes of it, and a callable may see other numbers.
    nothing = np.hypot(np.abs(x), y) <= 8 * n * np.finfo(s.dtype).eps
    nothing |= unseen
    most, least = np.where(nothing, 2**31, np.max(found, axis=0)), np.where(nothing, -(2**31), np.min(found, axis=0))
    in_order = np.all(np.minimum.accumulate(most)[:-1] >= least[1:]) if n > 1 else True
    return 0.0 if in_order and np.sum(least > 0) <= sdim <= np.sum(most > 0) else np.inf
