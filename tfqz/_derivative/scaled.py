r"""Gradients of pencils, and for cotangents, whose products would leave the range of the dtype.

With A = 2^s A0 and B = 2^t B0 the factors are S = 2^s S0, T = 2^t T0, Q and Z, and the gradient is linear in their cotangents: that of

    2^(s - g) Sb      2^(t - g) Tb      2^-g Qb      2^-g Zb        at  S0, T0, Q, Z

is 2^(s - g) Ab, 2^(t - g) Bb. All these products are exact: the result is the same to the last bit where nothing leaves the range. The
exponents are constants to derivatives, for they make no difference.
"""

import functools

import tensorflow as tf

from tfqz._form import blocks, powers

_NONE = -(10**6)  # the exponent of a cotangent that is 0
_OF_VECTORS = {"u": "s", "v": "t", "U": "S", "V": "T"}  # the matrices that scale as these do


def near_one(layout):
    """Decorator for pullbacks, which return the cotangents of A and B, or of A, [..., m, n]: what it calls them with has entries near 1.

    `layout` has a letter for each argument: s and t for matrices that scale as A and as B, of which the first ones are the factors S and T,
    S and T for their cotangents, F for those of matrices that don't scale; u, v, U, V for vectors, [..., n], in place of s, t, S, T;
    1 for what stays as it is.
    """
    kinds = layout.replace(" ", "")

    def decorate(pullback):
        @functools.wraps(pullback)
        def call(*tensors, **options):
            known = {kind: x for kind, x in reversed(list(zip(kinds, tensors))) if kind in "st"}
            of, common = _exponents(known, [(kind, x) for kind, x in zip(kinds, tensors) if kind in "STFUV"])
            shifts = {kind: -e for kind, e in of.items()} | {"F": -common} | {kind.upper(): e - common for kind, e in of.items()}
            # All at once, by as few ops as of one.
            both = powers.as_powers(tf.stack(list(shifts.values())), known["s"].dtype)
            scales = dict(zip(shifts, zip(*(tf.unstack(x, num=len(shifts)) for x in both))))
            scales |= {kind: [x[..., 0] for x in scales[other]] for kind, other in _OF_VECTORS.items() if kind in kinds}

            def moved(kind, x):
                return powers.times_powers(x, scales[kind]) if kind in scales else x

            found = pullback(*map(moved, kinds, tensors), **options)
            if not isinstance(found, (list, tuple)):
                return powers.times(found, common - of["s"])
            return [powers.times(x, common - e) for x, e in zip(found, (of["s"], of["t"]))]

        return call

    return decorate


def _exponents(known, cotangents):
    """[..., 1, 1] each, integers: those of the matrices `known`, a dict of kinds and matrices, as such a dict; and that of the largest
    cotangent, each with the power of what it belongs to, for pairs of kinds and tensors. 0 where all are 0."""
    m, n = blocks.sizes(known["s"])
    i, j = blocks.as_columns(tf.range(m)), tf.range(n)
    # What is beside the pattern counts for nothing, whatever it is.
    pattern = (i - tf.maximum(m - n, 0) <= j) | tf.not_equal(tf.stop_gradient(known["s"]), 0)
    seen = [blocks.masked(pattern, x) if kind in "ST" else blocks.as_columns(x) if kind in "UV" else x for kind, x in cotangents]
    every = [*known.values(), *seen]
    found = tf.unstack(powers.exponents_of_all(every, of_zero=_NONE), num=len(every))
    of = {kind: tf.where(e > _NONE, e, 0) for kind, e in zip(known, found)}
    belonging = [{"S": of["s"], "U": of["s"], "F": 0}.get(kind, of.get("t", 0)) for kind, _ in cotangents]
    most = tf.reduce_max(tf.stack([e + more for e, more in zip(found[len(known) :], belonging)]), axis=0)
    return of, tf.where(most > _NONE // 2, most, 0)
