"""What every backend computes, as differentiable functions of the pencil: which gradient belongs to which outputs."""

import tensorflow as tf

from tfqz import _gradient, _gradient_schur
from tfqz._attach import attach_gradient, register_pullback, register_pullbacks, solved_by
from tfqz._backends import native as op_library


def factors(a, b, backend, on_failure):
    """[S, T, Q, Z]."""
    if backend is op_library:
        return op_library.factorize(a, b, on_failure)[:4]
    return attach_gradient("TfqzQz", [a, b], backend.factorize(tf.stop_gradient(a), tf.stop_gradient(b), on_failure)[:4])


def eigenvalues(a, b, backend, on_failure):
    """[alpha, beta]: the gradient takes those apart that coincide."""
    if backend is op_library:
        return op_library.factorize(a, b, on_failure, apart=True)[4:]
    return attach_gradient("TfqzEigvals", [a, b], backend.factorize(tf.stop_gradient(a), tf.stop_gradient(b), on_failure))[4:]


def of_ordered(a, b, outputs, backend):
    """[S, T, Q, Z, alpha, beta] computed from `a` and `b` in any order of the eigenvalues: one solution for all."""
    return attach_gradient(solved_by(backend is op_library, "TfqzOrdQz"), [a, b], outputs)


def of_blocks(a, b, factors, count, backend):
    """[S, T, Q, Z] as functions of which only the subspaces matter that the first `count` columns of Q and Z span."""
    return attach_gradient(solved_by(backend is op_library, "TfqzBlocks"), [a, b, count], factors)


def schur_factors(a, backend, on_failure):
    """[T, Z]."""
    if backend is op_library:
        return op_library.schur(a, on_failure)
    return attach_gradient("TfqzSchur", [a], backend.schur(tf.stop_gradient(a), on_failure))


@register_pullback("TfqzSchur")
def _pullback_of_schur(inputs, outputs, cotangents, native=False):
    return [_gradient_schur.pullback(*outputs, *cotangents, native=native)]


@register_pullback("TfqzQz")
@register_pullbacks("TfqzOrdQz")
def _pullback(inputs, outputs, cotangents, native=False):
    return _unbroadcast(inputs, _of_pencil(outputs[:4], cotangents, False, native))


@register_pullback("TfqzEigvals")
def _pullback_taken_apart(inputs, outputs, cotangents):
    return _unbroadcast(inputs, _of_pencil(outputs[:4], cotangents, True, native=False))


def _of_pencil(factors, cotangents, apart, native):
    """Cotangents of the pencil that `factors` belong to."""
    if not native:
        return _gradient.pullback(*factors, *cotangents, apart=apart)
    inputs = [*factors, *cotangents]
    return op_library.qz_gradient(inputs[:4], inputs[4:8], inputs[8:], apart, in_ops=_gradient.pullback)


def _pullback_of_gradient(inputs, outputs, cotangents, apart=False):
    """Of the formula in TensorFlow ops."""
    zero = tf.UnconnectedGradients.ZERO
    if not tf.executing_eagerly():
        inputs = [tf.identity(x) for x in inputs]  # cotangents may depend on the factors
        return tf.gradients(_gradient.pullback(*inputs, apart=apart, native=True), inputs, cotangents, unconnected_gradients=zero)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        values = _gradient.pullback(*inputs, apart=apart, native=True)
    return tape.gradient(values, inputs, cotangents, unconnected_gradients=zero)


@register_pullbacks("TfqzBlocks")
def _pullback_of_blocks(inputs, outputs, cotangents, native):
    *pencil, count = inputs
    return [*_unbroadcast(pencil, _gradient.blocks_pullback(*outputs, count, *cotangents, native=native)), None]


@tf.RegisterGradient("Tfqz>Schur")
def _gradient_of_schur_op(op, *cotangents):
    return _pullback_of_schur(list(op.inputs), list(op.outputs), cotangents, native=True)


@tf.RegisterGradient("Tfqz>Qz")
def _gradient_of_op(op, *cotangents):
    factors, apart = list(op.outputs)[:4], op.get_attr("apart")
    return _unbroadcast(list(op.inputs), _of_pencil(factors, cotangents, apart, native=True))


@tf.RegisterGradient("Tfqz>QzGradient")
def _gradient_of_gradient_op(op, *cotangents):
    return _pullback_of_gradient(list(op.inputs), list(op.outputs), cotangents, apart=op.get_attr("apart"))


def _unbroadcast(inputs, gradients):
    """Gradients by `a` and `b` from those by what they were broadcast to."""
    a, b = inputs
    Ab, Bb = gradients
    batch_a, batch_b = a.shape[:-2], b.shape[:-2]
    if batch_a.is_fully_defined() and batch_a == batch_b:
        return [Ab, Bb]
    reduce_a, reduce_b = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(a)[:-2], s1=tf.shape(b)[:-2])
    return [
        tf.reshape(tf.reduce_sum(Ab, reduce_a), tf.shape(a)),
        tf.reshape(tf.reduce_sum(Bb, reduce_b), tf.shape(b)),
    ]
