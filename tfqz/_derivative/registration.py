"""What every backend computes, as differentiable functions of the pencil: which gradient belongs to which outputs."""

import functools
import itertools

import tensorflow as tf

from tfqz._backends import native as op_library
from tfqz._derivative import compressed, failed, gradient, schur, subspaces
from tfqz._derivative.attach import attach_gradient, recorded, register_rule
from tfqz._form import blocks, checks
from tfqz._form.eigenvalues import beta_cotangent
from tfqz._form.products import matmul


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


def of_ordered(a, b, outputs, backend):
    """[S, T, Q, Z, alpha, beta] computed from `a` and `b` in any order of the eigenvalues, with one gradient for the factors and one
    for alpha and beta."""
    native = backend is op_library
    factors = attach_gradient("OrdQz", [a, b], outputs[:4], native)
    return [*factors, *attach_gradient("Eigvals", [a, b], outputs, native)[4:]]


def of_blocks(a, b, factors, count, backend):
    """[S, T, Q, Z] as functions of which only the subspaces matter that the first `count` columns of Q and Z span."""
    return attach_gradient("Blocks", [a, b, count], factors, native=backend is op_library)


def of_compressed(a, b, kind, arguments, values, backend, base):
    """Values of a compressed pencil, S, T, [..., p, p], Q, [..., m, p], Z, [..., n, p], and, for some, alpha and beta, [..., p].

    `kind`: "Compressed" by the row space, or "Truncated" to the largest singular values, which are among the `arguments` then. `base`: whose
    gradient the values have as functions of the square pencil (S, T), "Qz", "Eigvals", "Ratios", or "Blocks".
    """
    return attach_gradient(kind + base, [a, b, *arguments], values, native=backend is op_library)


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
    factors, cotangents, of_eigenvalues = list(values[:4]), list(cotangents[:4]), list(cotangents[4:])
    if of_eigenvalues:
        # The formula for alpha and beta leaves out the cotangents of factors. These have some in derivatives of it, by the other one.
        factors = attach_gradient("Qz", pencil, [tf.stop_gradient(x) for x in factors], native)
    if flags.get("ratios"):
        of_eigenvalues[1] = beta_cotangent(*map(tf.stop_gradient, values[4:]), of_eigenvalues[0])
    broadcast = [_broadcast(x, factors[0]) for x in pencil] if of_eigenvalues else []
    inputs = [*factors, *cotangents, *broadcast, *of_eigenvalues]
    if not native:
        return _unbroadcast(pencil, gradient.pullback(*inputs, **flags))
    make = functools.partial(op_library.qz_gradient, factors, cotangents, gradient.pullback, broadcast, of_eigenvalues, **flags)
    return _unbroadcast(pencil, recorded(make, inputs, functools.partial(_pullback_of_gradient, **flags)))


def _pullback_of_gradient(inputs, outputs, cotangents, **flags):
    """Of the formula in TensorFlow ops."""
    return gradient.pullback.pullback(inputs, cotangents, native=True, **flags)


def _broadcast(x, like):
    """x, [..., m, n], with the batch dimensions of `like`."""
    if x.shape.is_fully_defined() and x.shape[:-2] == like.shape[:-2]:
        return x
    return tf.broadcast_to(x, tf.concat([tf.shape(like)[:-2], tf.shape(x)[-2:]], axis=0))


@register_rule("Blocks", arguments=3, broadcast=True)
def _pullback_of_blocks(arguments, values, cotangents, native):
    """Cotangents of the pencil, of functions of the deflating subspaces; None for their dimension."""
    *pencil, count = arguments
    return [*_unbroadcast(pencil, subspaces.pullback(*values, count, *cotangents, native=native)), None]


def _pullback_of_compressed(arguments, values, cotangents, native, kind, base):
    """Cotangents of the pencil; None for what else the arguments are."""
    (*others, count) = arguments[2:] if base == "Blocks" else (*arguments[2:], None)
    S, T, Q, Z, *eigenvalues = values
    *of_factors, Qb, Zb = cotangents[:4]
    A, B = (_broadcast(x, S) for x in arguments[:2])
    identity = blocks.identity_like(S)
    if eigenvalues:
        Q, Z = attach_gradient(kind + "Frames", [*arguments[:2], *others], [tf.stop_gradient(x) for x in values[:4]], native)[2:]
        Qb, Zb = tf.zeros_like(Q), tf.zeros_like(Z)
    if eigenvalues or base == "Frames":
        S, T = _between_frames(S, T, Q, Z, A, B)
    if eigenvalues:
        values, cotangents = [S, T, identity, identity, *eigenvalues], [*[tf.zeros_like(S)] * 4, *cotangents[4:]]
        A1, B1 = _of_pencil([S, T], values, cotangents, native, apart=True, ratios=base == "Ratios")
    elif base == "Frames":
        A1 = B1 = tf.zeros_like(S)
    else:
        Qi, Zi, Zb = compressed.inside(S, T, Q, Z, *of_factors, Qb, Zb, phases=base == "Qz")
        values, cotangents = [S, T, identity, identity], [*of_factors, Qi, Zi]
        if base == "Qz":
            A1, B1 = _of_pencil([S, T], values, cotangents, native)
        else:
            A1, B1 = subspaces.pullback(*values, count, *cotangents, native=native)
    if kind == "Compressed":
        m, n = checks.sizes(*(x.shape for x in arguments[:2]))
        sides = {"right": None in (m, n) or m < n, "left": None in (m, n) or m > n}
        found = compressed.by_row_space(S, T, Q, Z, A, A1, B1, Qb, Zb, **sides)
    else:
        found = compressed.by_singular_vectors(S, T, Q, Z, A, B, *others, A1, B1, Qb, Zb)
    return [*_unbroadcast(arguments[:2], found), *[None] * (len(arguments) - 2)]


def _between_frames(S, T, Q, Z, A, B):
    """S and T as what Q^H A Z and Q^H B Z are, for frames Q and Z that are functions of what they span."""
    good = failed.succeeded(S)[..., None, None]
    A, B, Q, Z = (blocks.masked(good, x) for x in (A, B, Q, Z))
    between = [matmul(matmul(Q, x, adjoint_a=True), Z) for x in (A, B)]
    return [tf.stop_gradient(x) + (y - tf.stop_gradient(y)) for x, y in zip((S, T), between)]


for _kind, _base in itertools.product(("Compressed", "Truncated"), ("Qz", "Eigvals", "Ratios", "Blocks", "Frames")):
    _count = 2 + 3 * (_kind == "Truncated") + (_base == "Blocks")
    register_rule(_kind + _base, arguments=_count, broadcast=True)(functools.partial(_pullback_of_compressed, kind=_kind, base=_base))


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
