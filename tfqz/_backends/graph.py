"""TensorFlow operations alone: any device, any XLA, and saved models that need no op library."""

import numpy as np
import tensorflow as tf

from tfqz import _canonical, _checks, _eigenvalues, _iteration
from tfqz._attach import attach_gradient

_INFINITE_A, _INFINITE_B, _NO_CONVERGENCE = 1, 2, 3
_TEXTS = {
    _INFINITE_A: _checks.FINITE.replace("{name}", "a"),
    _INFINITE_B: _checks.FINITE.replace("{name}", "b"),
    _NO_CONVERGENCE: _checks.CONVERGENCE.replace("{why}", f"backend graph gave up after {_iteration.SWEEPS} n sweeps"),
}


def why_not():
    return None


def versions():
    return {"runs on": "what TensorFlow runs on"}


def decompose(a, b, on_failure, eigenvalues=False):
    with tf.control_dependencies(_shape_assertions(a, b)):
        *outputs, problems = factorize(tf.stop_gradient(a), tf.stop_gradient(b))
    if on_failure == "raise":
        with tf.control_dependencies(_assertions(problems)):
            outputs = [tf.identity(output) for output in outputs]
    shape = _checks.factor_shape(a.shape, b.shape)
    for i, output in enumerate(outputs):
        output.set_shape(shape if i < 4 else shape[:-1])
    return attach_gradient("TfqzQz", [a, b], outputs if eigenvalues else outputs[:4])


@tf.function(reduce_retracing=True, autograph=False)
def factorize(a, b):
    """S, T, Q, Z, alpha, beta in canonical form, NaN for each batch element that fails, and the problems: [...], 0 for none."""
    shape = tf.shape(a)
    batch = tf.broadcast_dynamic_shape(shape[:-2], tf.shape(b)[:-2])
    shape = tf.concat([batch, shape[-2:]], axis=0)
    a, b = (tf.reshape(tf.broadcast_to(x, shape), tf.concat([[-1], shape[-2:]], axis=0)) for x in (a, b))

    problems = tf.where(_is_finite(a), tf.where(_is_finite(b), 0, _INFINITE_B), _INFINITE_A)
    usable = tf.equal(problems, 0)[:, None, None]
    S, T, Q, Z, converged = _iteration.qz(*(tf.where(usable, x, tf.zeros_like(x)) for x in (a, b)))
    problems = tf.where(tf.equal(problems, 0) & ~converged, _NO_CONVERGENCE, problems)
    factors = _canonical.canonicalize(S, T, Q, Z)
    outputs = []
    for x in (*factors, *_eigenvalues.alpha_beta(*factors[:2])):
        failed = tf.reshape(problems > 0, tf.concat([[-1], tf.ones_like(tf.shape(x)[1:])], axis=0))
        x = tf.where(failed, tf.cast(float("nan"), x.dtype), x)
        x = tf.reshape(x, tf.concat([batch, tf.shape(x)[1:]], axis=0))
        outputs.append(x)
    return [*outputs, tf.reshape(problems, batch)]


def _is_finite(x):
    parts = [tf.math.real(x), tf.math.imag(x)] if x.dtype.is_complex else [x]
    return tf.reduce_all(tf.stack([tf.reduce_all(tf.math.is_finite(part), axis=[-2, -1]) for part in parts]), axis=0)


def _shape_assertions(a, b):
    """What `_checks.shapes` checks, for shapes that are known only at run time."""
    static_shapes = [a.shape, b.shape]
    if all(shape.is_fully_defined() for shape in static_shapes):
        return []
    (a, b), ranks = (tf.shape(a), tf.shape(b)), (tf.rank(a), tf.rank(b))
    got = ["got", a, "and", b]
    assertions = []
    for name, shape in (("a", a), ("b", b)):
        # Of rank 0 or 1 the last two sizes are, with these in front, different ones.
        last = tf.concat([[-1, -2], shape], axis=0)[-2:]
        square = tf.equal(last[0], last[1])
        assertions.append(tf.debugging.Assert(square, [f"`{name}` must be square, [..., n, n];", *got]))
    with tf.control_dependencies(assertions):
        same = tf.reduce_all(tf.equal(a[-2:], b[-2:]))
        assertions.append(tf.debugging.Assert(same, ["`b` must have the same inner shape as `a`;", *got]))
        rank = tf.maximum(*ranks) - 2
        sizes = [tf.pad(shape[:-2], [[rank + 2 - tf.size(shape), 0]], constant_values=1) for shape in (a, b)]
        broadcast = tf.reduce_all(tf.equal(sizes[0], sizes[1]) | tf.equal(sizes[0], 1) | tf.equal(sizes[1], 1))
        assertions.append(tf.debugging.Assert(broadcast, ["`a` and `b` must have batch shapes that broadcast;", *got]))
    return assertions


def _assertions(problems):
    """An error for the first batch element that failed. In programs of XLA these do nothing, and NaN is what tells."""
    if tf.executing_eagerly():
        failing = np.argwhere(problems.numpy() > 0)
        if len(failing) > 0:
            text = _TEXTS[int(problems[tuple(failing[0])])].format(where=_checks.batch_element(tuple(failing[0])))
            raise tf.errors.InvalidArgumentError(None, None, text)
        return []
    shape = tf.shape(problems)
    problems = tf.concat([tf.reshape(problems, [-1]), [0]], axis=0)
    first = tf.argmax(problems > 0, output_type=tf.int32)
    index = first // tf.math.cumprod(shape, exclusive=True, reverse=True) % shape
    where = " in batch element"
    return [tf.debugging.Assert(tf.not_equal(problems[first], k), [text.format(where=where), index]) for k, text in _TEXTS.items()]
