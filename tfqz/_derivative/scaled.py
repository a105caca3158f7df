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
            of = {kind: powers.exponents(x) for kind, x in known.items()}
            common = _common(zip(kinds, tensors), of, known["s"])
            shifts = {kind: -e for kind, e in of.items()} | {"F": -common} | {kind.upper(): e - common for kind, e in of.items()}

            def moved(kind, x):
                if kind in _OF_VECTORS:
                    return powers.times(x, shifts[_OF_VECTORS[kind]][..., 0])
                return powers.times(x, shifts[kind]) if kind in shifts else x

            found = pullback(*map(moved, kinds, tensors), **options)
            if not isinstance(found, (list, tuple)):
                return powers.times(found, common - of["s"])
            return [powers.times(x, common - e) for x, e in zip(found, (of["s"], of["t"]))]

        return call

    return decorate


def _common(arguments, of, S):
    """[..., 1, 1], integers: the exponent of the largest cotangent, each with the power of what it belongs to; 0 if all are 0."""
    m, n = tf.shape(S)[-2], tf.shape(S)[-1]
    i, j = tf.range(m)[:, None], tf.range(n)
    # What is beside the pattern counts for nothing, whatever it is.
    pattern = (i - tf.maximum(m - n, 0) <= j) | tf.not_equal(tf.stop_gradient(S), 0)
    most = tf.fill(tf.shape(of["s"]), _NONE)
    for kind, x in arguments:
        if kind in "STFUV":
            x = blocks.masked(pattern, x) if kind in "ST" else x
            exponent = powers.exponents(x[..., None] if kind in "UV" else x, of_zero=_NONE)
            most = tf.maximum(most, exponent + {"S": of["s"], "U": of["s"], "F": 0}.get(kind, of.get("t", 0)))
    return tf.where(most > _NONE // 2, most, 0)
