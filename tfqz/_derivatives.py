"""What every backend computes, as differentiable functions of the pencil: which gradient belongs to which outputs."""

import tensorflow as tf

from tfqz import _eigenvalues, _gradient, _gradient_schur
from tfqz._attach import attach_gradient, register_pullback, register_pullbacks, solved_by
from tfqz._backends import native as op_library


def factors(a, b, backend, on_failure):
    """[S, T, Q, Z]."""
    if backend is op_library:
        return op_library.factorize(a, b, on_failure)[:4]
    return attach_gradient("TfqzQz", [a, b], backend.factorize(tf.stop_gradient(a), tf.stop_gradient(b), on_failure)[:4])


def eigenvalues(a, b, backend, on_failure, ratios):
    """[alpha, beta]: the gradient takes those apart that coincide. `ratios`: a Python bool, see `_eigenvalues.by_eigenvectors`."""
    if backend is op_library:
        return op_library.factorize(a, b, on_failure, apart=True, ratios=ratios)[4:]
    return attach_gradient("TfqzRatiosOfPencil" if ratios else "TfqzEigvals", [a, b], backend.factorize(tf.stop_gradient(a), tf.stop_gradient(b), on_failure))[4:]


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
    return _of_pencil(inputs, outputs, cotangents, native=native)


@register_pullback("TfqzEigvals")
def _pullback_taken_apart(inputs, outputs, cotangents):
    return _of_pencil(inputs, outputs, cotangents, apart=True)


@register_pullback("TfqzRatiosOfPencil")
def _pullback_of_ratios(inputs, outputs, cotangents):
    return _of_pencil(inputs, outputs, cotangents, apart=True, ratios=True)


def _of_pencil(inputs, outputs, cotangents, apart=False, ratios=False, native=False):
    """Cotangents of `a` and `b`, whose batch shapes may have been broadcast, from those of factors, alpha and beta, or of factors alone."""
    factors, cotangents, of_eigenvalues = outputs[:4], cotangents[:4], cotangents[4:]
    if ratios:
        alpha, beta = (tf.stop_gradient(x) for x in outputs[4:])
        of_eigenvalues = [of_eigenvalues[0], _eigenvalues.beta_cotangent(alpha, beta, of_eigenvalues[0])]
    pencil = [_broadcast(x, factors[0]) for x in inputs] if of_eigenvalues else []
    flags = {"apart": apart, "ratios": ratios}
    if native:
        gradients = op_library.qz_gradient(factors, cotangents, of_eigenvalues, _gradient.pullback, pencil, **flags)
    else:
        gradients = _gradient.pullback(*factors, *cotangents, *pencil, *of_eigenvalues, **flags)
    return _unbroadcast(inputs, gradients)


def _broadcast(x, like):
    if x.shape.is_fully_defined() and x.shape == like.shape:
        return x
    return tf.broadcast_to(x, tf.shape(like))


def _pullback_of_gradient(inputs, cotangents, pencils, **flags):
    """Of the formula in TensorFlow ops. `pencils`: how many inputs are A and B, two or none."""
    zero = tf.UnconnectedGradients.ZERO

    def formula(inputs):
        return _gradient.pullback(*inputs[:8], *(inputs[8:10] if pencils else [None] * 2), *inputs[8 + pencils :], **flags, native=True)

    if not tf.executing_eagerly():
        inputs = [tf.identity(x) for x in inputs]  # cotangents may depend on the factors
        return tf.gradients(formula(inputs), inputs, cotangents, unconnected_gradients=zero)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        values = formula(inputs)
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
    flags = {name: op.get_attr(name) for name in ("apart", "ratios")}
    if not flags["apart"]:
        cotangents = cotangents[:4]  # nothing depends on the others
    return _of_pencil(list(op.inputs), list(op.outputs), cotangents, **flags, native=True)


@tf.RegisterGradient("Tfqz>QzGradient")
def _gradient_of_gradient_op(op, *cotangents):
    flags = {name: op.get_attr(name) for name in ("apart", "ratios")}
    return _pullback_of_gradient(list(op.inputs), cotangents, op.get_attr("pencils"), **flags)


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
