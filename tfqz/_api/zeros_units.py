"""Units of a linear system in which entries of its pencil P - z N are alike, P = [a b; c d] and N = diag(e, 0). Zeros are the same in all.

Decisions about ranks compare entries of P with its norm, so that what is in small units would count as nothing.
"""

import math

import numpy as np
import tensorflow as tf

from tfqz._api import systems
from tfqz._form import blocks, powers, tolerances
from tfqz._form.traces import in_one_call

_ROUNDS, _EQUILIBRATIONS = 4, 4
_LN2 = math.log(2)
_AS_GOOD = 4 * _LN2


def in_units(P, N, n, backend):
    """P and N in units of the n states and, where needed, of inputs, outputs and time, that make what isn't 0 about equal. They
    are powers of two, and constants for derivatives."""
    rows, columns = _units(P, N, tf.convert_to_tensor(n), backend=backend)
    exponents = rows[..., :, None] + columns[..., None, :]
    return [powers.times(X, exponents) for X in (P, N)]


@in_one_call
def _units(P, N, n, *, backend):
    """The exponents of the powers of two of rows and columns, [..., n + p] and [..., n + m], int32.

    States have such that what goes into each and what comes out of it are about equal, all inputs as one and all outputs as one: by a
    similarity, which leaves e = I what it is. Rows and columns by themselves, as in `tfqz.balance`, would hide the infinite structure, as
    rounding alone decides on the rank of such an e.

    Where the system isn't `_alike` in these, inputs and outputs get units as well, in turn with states. Columns of [b; d] and rows of [c d]
    have sums of an eighth of the largest entry of a then, since larger ones let rounding errors of a decide about ranks. They become larger
    where d is more than rounding errors and smaller than these: a nilpotent a may be of any size.
    """
    reach = np.finfo(P.dtype.real_dtype.as_numpy_dtype).maxexp - 2
    noise, near = tolerances.fed_through(P.dtype), tolerances.alike_units(P.dtype)
    P, e = _log_moduli(P), _log_moduli(N)[..., :n, :n]
    a, b, c, d = P[..., :n, :n], P[..., :n, n:], P[..., n:, :n], P[..., n:, n:]
    # Of the cycles of one and of two states, which no units change, or of all.
    of_a, of_e = (_or_else(_largest((x + tf.linalg.matrix_transpose(x)) / 2), _largest(x)) for x in (a, e))
    feeds_through = _feeds_through(P, d, n, noise)

    def seen(states):
        """a, b, c, e in units of states, [..., n, 1]."""
        back = -tf.linalg.matrix_transpose(states)
        return a + states + back, b + states, c + back, e + states + back

    def level_of(a, b, c, _):
        return _or_else(_or_else(_largest(a), _largest(b) + _largest(c) - _largest(d)), 0)

    def balanced(states, inputs, outputs, level):
        """What is better than these units of states, for those of inputs and outputs."""
        a, b, c, e = seen(states)
        inner = tf.math.reduce_logsumexp(tf.stack([a, e + level - of_e]), axis=0)
        loop = systems.matrix_of((inner, _log_sum(b + inputs, -1)), (_log_sum(c + outputs, -2), tf.math.log(tf.zeros_like(level))))
        by = backend.balance(tf.exp(loop - _or_else(_largest(loop), 0)), True)[0][..., None]
        return states + _LN2 * tf.cast(by[..., :n, :] - by[..., n:, :], states.dtype)

    states, outputs = (tf.zeros_like(_log_sum(x, -1)) for x in (a, c))
    inputs = tf.zeros_like(_log_sum(b, -2))
    states = balanced(states, inputs, outputs, _or_else(of_a, _largest(P)))
    as_given, level = (states, inputs, outputs), level_of(*seen(states))
    given = _in_units(P, *as_given)
    alike = _alike(given, level, n, feeds_through, near)

    def less_spread():
        """Units of inputs and outputs too, the level of a in them, and where those of states alone are as good."""
        units, level_now = as_given, level
        for _ in range(_ROUNDS):
            states, inputs, outputs = units
            _, b_now, c_now, _ = seen(states)
            goal = level_now - 3 * _LN2
            short = goal - _largest(d + outputs + inputs)
            goal += tf.where(feeds_through & (short > 0), short / 2, tf.zeros_like(short))
            inputs = _or_else(_or_else(goal - _log_sum(b_now, -2), goal - _log_sum(d, -2)), 0)
            for _ in range(_EQUILIBRATIONS):
                outputs = _or_else(goal - _log_sum(tf.concat([c_now, d + inputs], axis=-1), -1), 0)
                inputs = _or_else(goal - _log_sum(tf.concat([b_now, d + outputs], axis=-2), -2), 0)
            units = balanced(states, inputs, outputs, level_now), inputs, outputs
            level_now = level_of(*seen(units[0]))
        as_good = alike & (_spread(given) < _spread(_in_units(P, *units)) + _AS_GOOD)
        return [*(tf.where(as_good, x, y) for x, y in zip(as_given, units)), tf.where(as_good, tf.zeros_like(level), level_now)]

    # Most systems are so good as they are that no others can be much better.
    good = tf.reduce_all(alike & (_spread(given) < _AS_GOOD))
    states, inputs, outputs, level = tf.cond(good, lambda: [*as_given, tf.zeros_like(level)], less_spread)
    states, inputs, outputs, level = (_exponents(x, reach) for x in (states, tf.linalg.matrix_transpose(inputs), outputs, level))
    # P becomes one of moderate size, and N of that over time's unit.
    time = tf.clip_by_value(level, -reach // 2, reach // 2)
    rows, columns = (states - time, outputs - time), (-states, inputs)
    return [tf.concat(parts, axis=-2)[..., 0] for parts in (rows, columns)]


def _feeds_through(P, d, n, noise):
    """[..., 1, 1]: whether an entry of d is more than `noise` times the largest of its row, or of its column."""
    of_line = tf.minimum(*(tf.reduce_max(P, axis=axis, keepdims=True) for axis in (-2, -1)))
    return tf.reduce_any(d > of_line[..., n:, n:] + math.log(noise), axis=[-2, -1], keepdims=True)


def _alike(P, level, n, feeds_through, near):
    """[..., 1, 1]: whether columns of inputs, rows of outputs, and d if it counts, are near to a in size, which is `level`."""
    of_inputs, of_outputs = tf.reduce_max(P[..., n:], axis=-2), tf.reduce_max(P[..., n:, :], axis=-1)
    of_d = tf.where(feeds_through, _largest(P[..., n:, n:]), level)[..., 0]
    beside = tf.concat([of_inputs, of_outputs, of_d], axis=-1) - level[..., 0]
    return tf.reduce_all((tf.abs(beside) < near) | ~tf.math.is_finite(beside), axis=-1)[..., None, None]


def _in_units(P, states, inputs, outputs):
    return P + tf.concat([states, outputs], axis=-2) + tf.concat([-tf.linalg.matrix_transpose(states), inputs], axis=-1)


def _spread(x):
    """[..., 1, 1]: how far logarithms are from the largest, on average."""
    some = tf.math.is_finite(x)
    below = tf.reduce_sum(blocks.masked(some, _largest(x) - x), axis=[-2, -1], keepdims=True)
    return tf.math.divide_no_nan(below, tf.reduce_sum(tf.cast(some, x.dtype), axis=[-2, -1], keepdims=True))


def _exponents(x, reach):
    """The nearest exponents of 2, int32."""
    return tf.cast(tf.clip_by_value(tf.round(_or_else(x, 0) / _LN2), -reach, reach), tf.int32)


def _log_moduli(X):
    """-inf of 0; float64."""
    return tf.math.log(tf.abs(tf.cast(X, tf.complex128 if X.dtype.is_complex else tf.float64)))


def _log_sum(x, axis):
    """The logarithm of the sum of the exponentials, which keeps its axis; -inf of none."""
    return tf.reduce_logsumexp(x, axis=axis, keepdims=True)


def _largest(x):
    """[..., 1, 1]; -inf of none."""
    return tf.reduce_max(x, axis=[-2, -1], keepdims=True)


def _or_else(x, y):
    """y where x isn't finite."""
    return tf.where(tf.math.is_finite(x), x, tf.cast(y, x.dtype))
