"""What every backend computes, as differentiable functions of the pencil: which gradient belongs to which outputs."""

import functools

import tensorflow as tf

from tfqz._backends import native as op_library
from tfqz._derivative import eigenpairs, gradient, schur, subspaces
from tfqz._derivative import zeros as transmission_zeros
from tfqz._derivative.attach import attach_gradient, recorded, register_rule
from tfqz._form.eigenvalues import beta_cotangent


def factors(a, b, backend, on_failure):
    """[S, T, Q, Z]."""
    if backend is op_library:
        return _native(a, b, on_failure, apart=False, ratios=False)[:4]
    return attach_gradient("Qz", [a, b], _without_gradient(backend, a, b, on_failure)[:4], native=False)


def eigenvalues(a, b, backend, on_failure, ratios):
    """[alpha, beta]: the gradient takes those apart that coincide. `ratios`: a Python bool, see `eigenvectors.by_eigenvectors`."""
    if backend is op_library:
        return _native(a, b, on_failure, apart=True, ratios=ratios)[4:]
    return attach_gradient("Ratios" if ratios else "Eigvals", [a, b], _without_gradient(backend, a, b, on_failure), native=False)[4:]


def eigenvalues_and_vectors(a, b, backend, on_failure, ratios, left, right):
    """[alpha, beta], the same, and a list of those asked for of the left and the right eigenvectors, [..., n, n], complex."""
    native = backend is op_library
    if native:
        outputs = _native(a, b, on_failure, apart=True, ratios=ratios)
    else:
        outputs = attach_gradient("Ratios" if ratios else "Eigvals", [a, b], _without_gradient(backend, a, b, on_failure), native)
    factors = [tf.stop_gradient(x) for x in outputs[:4]]
    rules = ["LeftEigenvectors"] * left + ["RightEigenvectors"] * right
    found = backend.eigenvectors(*factors, left, right)
    return outputs[4:], [attach_gradient(rule, [a, b, *factors], [x], native)[0] for rule, x in zip(rules, found)]


@register_rule("RightEigenvectors", arguments=6, broadcast=True)
def _pullback_of_right(arguments, values, cotangents, native):
    """Cotangents of the pencil, of right eigenvectors; None for the factors."""
    return _of_vectors(arguments, values, cotangents, native, left=False)


@register_rule("LeftEigenvectors", arguments=6, broadcast=True)
def _pullback_of_left(arguments, values, cotangents, native):
    """The same of left ones."""
    return _of_vectors(arguments, values, cotangents, native, left=True)


def _of_vectors(arguments, values, cotangents, native, left):
    a, b, *factors = arguments
    pencil = [broadcast(x, factors[0]) for x in (a, b)]
    found = eigenpairs.pullback(*factors, *pencil, *values, *cotangents, left=left, native=native)
    return [*unbroadcast([a, b], found), *[None] * 4]


def _native(a, b, on_failure, **flags):
    """[S, T, Q, Z, alpha, beta] of the op."""
    return recorded(lambda: op_library.factorize(a, b, on_failure, **flags), [a, b], functools.partial(_pullback_of_op, **flags))


def _pullback_of_op(pencil, outputs, cotangents, apart, ratios):
    """Cotangents of the pencil, [..., n, n], from those of the six outputs of the op `Tfqz>Qz`."""
    count = 6 if apart else 4  # nothing depends on alpha and beta then
    return _of_pencil(pencil, outputs, cotangents[:count], native=True, apart=apart, ratios=ratios)


def _without_gradient(backend, a, b, on_failure):
    """[S, T, Q, Z, alpha, beta] that tapes see nothing of."""
    return backend.factorize(tf.stop_gradient(a), tf.stop_gradient(b), on_failure)


def factors_of(a, b, factors, backend):
    """[S, T, Q, Z] computed from `a` and `b` in whatever way."""
    return attach_gradient("Qz", [a, b], factors, native=backend is op_library)


def of_ordered(a, b, outputs, backend):
    """[S, T, Q, Z, alpha, beta] computed from `a` and `b` in any order of the eigenvalues, with one gradient for the factors and one
    for alpha and beta."""
    native = backend is op_library
    factors = attach_gradient("OrdQz", [a, b], outputs[:4], native)
    return [*factors, *attach_gradient("Eigvals", [a, b], outputs, native)[4:]]


def of_blocks(a, b, factors, count, backend):
    """[S, T, Q, Z] as functions of which only the subspaces matter that the first `count` columns of Q and Z span."""
    return attach_gradient("Blocks", [a, b, count], factors, native=backend is op_library)


def zeros(P, N, n, static_n, backend, on_failure):
    """[..., n]: transmission zeros of the system pencil P - z N, [..., n + p, n + m]."""
    found = backend.zeros(tf.stop_gradient(P), tf.stop_gradient(N), n, on_failure)
    for x, shape in zip(found, (P.shape[:-2], P.shape[:-2] + P.shape[-1:], P.shape[:-1])):
        x.set_shape(shape.concatenate([static_n]))
    return transmission_zeros.attached(P, N, *found, native=backend is op_library)


def schur_factors(a, backend, on_failure):
    """[T, Z]."""
    if backend is op_library:
        return recorded(lambda: op_library.schur(a, on_failure), [a], functools.partial(_pullback_of_schur, native=True))
    return attach_gradient("Schur", [a], backend.schur(tf.stop_gradient(a), on_failure), native=False)


@register_rule("Schur", arguments=1)
def _pullback_of_schur(arguments, values, cotangents, native):
    """The cotangent of the matrix, [..., n, n], in a list."""
    return [schur.pullback(*values, *cotangents, native=native)]


@register_rule("Qz", arguments=2, broadcast=True)
@register_rule("OrdQz", arguments=2, broadcast=True)
def _pullback(arguments, values, cotangents, native):
    """Cotangents of the pencil from those of S, T, Q, Z, [..., n, n]."""
    return _of_pencil(arguments, values, cotangents, native)


@register_rule("Eigvals", arguments=2, broadcast=True)
def _pullback_taken_apart(arguments, values, cotangents, native):
    """Cotangents of the pencil from those of alpha and beta, [..., n], in which eigenvalues that coincide are taken apart."""
    return _of_pencil(arguments, values, cotangents, native, apart=True)


@register_rule("Ratios", arguments=2, broadcast=True)
def _pullback_of_ratios(arguments, values, cotangents, native):
    """The same for functions of alpha / beta."""
    return _of_pencil(arguments, values, cotangents, native, apart=True, ratios=True)


def _of_pencil(pencil, values, cotangents, native, **flags):
    """Cotangents of `pencil`, whose batch shapes may have been broadcast, from those of factors, alpha and beta, or of factors alone."""
    return unbroadcast(pencil, of_square(pencil, values, cotangents, native, **flags))


def of_square(pencil, values, cotangents, native, **flags):
    """The same, of the batch shape of the values."""
    factors, cotangents, of_eigenvalues = list(values[:4]), list(cotangents[:4]), list(cotangents[4:])
    if of_eigenvalues:
        # The formula for alpha and beta leaves out the cotangents of factors. These have some in derivatives of it, by the other one.
        factors = attach_gradient("Qz", pencil, [tf.stop_gradient(x) for x in factors], native)
    if flags.get("ratios"):
        of_eigenvalues[1] = beta_cotangent(*map(tf.stop_gradient, values[4:]), of_eigenvalues[0])
    pencils = [broadcast(x, factors[0]) for x in pencil] if of_eigenvalues else []
    inputs = [*factors, *cotangents, *pencils, *of_eigenvalues]
    if not native:
        return gradient.pullback(*inputs, **flags)
    make = functools.partial(op_library.qz_gradient, factors, cotangents, gradient.pullback, pencils, of_eigenvalues, **flags)
    return recorded(make, inputs, functools.partial(_pullback_of_gradient, **flags))


def _pullback_of_gradient(inputs, outputs, cotangents, **flags):
    """Of the formula in TensorFlow ops."""
    return gradient.pullback.pullback(inputs, cotangents, native=True, **flags)


def broadcast(x, like):
    """x, [..., m, n], with the batch dimensions of `like`."""
    if x.shape.is_fully_defined() and x.shape[:-2] == like.shape[:-2]:
        return x
    return tf.broadcast_to(x, tf.concat([tf.shape(like)[:-2], tf.shape(x)[-2:]], axis=0))


@register_rule("Blocks", arguments=3, broadcast=True)
def _pullback_of_blocks(arguments, values, cotangents, native):
    """Cotangents of the pencil, of functions of the deflating subspaces; None for their dimension."""
    *pencil, count = arguments
    return [*unbroadcast(pencil, subspaces.pullback(*values, count, *cotangents, native=native)), None]


tf.no_gradient("Tfqz>Balance")


@tf.RegisterGradient("Tfqz>Schur")
def _gradient_of_schur_op(op, *cotangents):
    return _pullback_of_schur(None, list(op.outputs), cotangents, native=True)


@tf.RegisterGradient("Tfqz>Qz")
def _gradient_of_op(op, *cotangents):
    return _pullback_of_op(list(op.inputs), list(op.outputs), cotangents, **_flags(op))


@tf.RegisterGradient("Tfqz>QzGradient")
def _gradient_of_gradient_op(op, *cotangents):
    return _pullback_of_gradient(list(op.inputs), list(op.outputs), cotangents, **_flags(op))


def _flags(op):
    """The options of an op that its gradient has too."""
    return {name: op.get_attr(name) for name in ("apart", "ratios")}


def unbroadcast(inputs, gradients):
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
