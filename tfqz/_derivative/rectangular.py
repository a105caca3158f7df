"""Which gradient belongs to what is made of pencils that are compressed to square ones: `compressed.py` around that of the square one.

The names of the rules: "Compressed", by the row space or column space of B, or "Truncated", to its largest singular values; then

    "Qz", "Eigvals", "Ratios", "Blocks"   whose gradient S, T, Q, Z, or alpha and beta, have as functions of the square pencil
    "Frames"                              that of functions of what Q and Z span

and "Whole", the form with bases of the complements of what Q and Z span.
"""

import functools
import itertools

import tensorflow as tf

from tfqz._backends import native as op_library
from tfqz._derivative import compressed, failed, gradient, registration, scaled, subspaces
from tfqz._derivative.attach import attach_gradient, differentiable, recorded, register_rule
from tfqz._form import blocks, checks
from tfqz._form.products import matmul


def of_compressed(a, b, kind, arguments, values, backend, base):
    """Values of a compressed pencil, S, T, [..., p, p], Q, [..., m, p], Z, [..., n, p], and, for some bases, alpha and beta, [..., p].

    `arguments`: of "Truncated" pencils U, s, V, all singular vectors and values of b; of the base "Blocks" the number of eigenvalues in the
    first one, [...].
    """
    return attach_gradient(kind + base, [a, b, *arguments], values, native=backend is op_library)


def of_whole(a, b, right_rows, left_rows, values, backend):
    """S, T, [..., m, n], Q, [..., m, m], Z, [..., n, n], of which the rows belong to the bases of the complements."""
    return attach_gradient("Whole", [a, b, right_rows, left_rows], values, native=backend is op_library)


def _sides(pencil):
    """On which side a frame compresses it, or may do so."""
    m, n = checks.sizes(*(x.shape for x in pencil))
    return {"right": None in (m, n) or m < n, "left": None in (m, n) or m > n}


@register_rule("Whole", arguments=4, broadcast=True)
def _pullback_of_whole(arguments, values, cotangents, native):
    """Cotangents of the pencil; None for the chosen rows."""
    pencil, rows = arguments[:2], arguments[2:]
    A = registration.broadcast(pencil[0], values[0])
    sides = _sides(pencil)
    if native and sides["right"] != sides["left"]:
        inputs = [*values, *cotangents, A, *rows]
        make = functools.partial(op_library.whole_gradient, inputs[:9], rows, _whole, native=False, **sides)
        found = recorded(make, inputs, functools.partial(_pullback_of_gradient, sides=sides))
    else:
        found = _whole(*values, *cotangents, A, *rows, native=native, **sides)
    return [*registration.unbroadcast(pencil, found), None, None]


def _pullback_of_gradient(inputs, outputs, cotangents, sides):
    """Of the formula in TensorFlow ops."""
    return _whole.pullback(inputs, cotangents, native=True, **sides)


@tf.RegisterGradient("Tfqz>WholeGradient")
def _gradient_of_gradient_op(op, *cotangents):
    return _pullback_of_gradient(list(op.inputs), list(op.outputs), list(cotangents), _sides([op.inputs[8], op.inputs[0]]))


@differentiable
@failed.kept_from_gradients("FFFF MMMM P ii")
@scaled.near_one("st11 STFF s 11")
def _whole(S, T, Q, Z, Sb, Tb, Qb, Zb, A, right_rows, left_rows, native, right, left):
    """Ab and Bb."""
    Qi, Zi, Q, Z, Qb, Zb, *more = compressed.inside_whole(S, T, Q, Z, Sb, Tb, Qb, Zb, right_rows, left_rows, right, left)
    S, T, Sb, Tb = (blocks.square_part(X) for X in (S, T, Sb, Tb))
    A1, B1 = _of_square(S, T, [Sb, Tb, Qi, Zi], native)
    return compressed.by_row_space(S, T, Q, Z, A, A1, B1, Qb, Zb, *more, right=right, left=left)


def _of_square(S, T, cotangents, native, eigenvalues=(), **flags):
    """Of the pencil (S, T), whose frames are I; with the cotangents of alpha and beta come these, the `eigenvalues`. In a graph, and of
    what is usable as it is: those who call it are decorated as `gradient.pullback` is."""
    identity = blocks.identity_like(S)
    if not (native or eigenvalues):
        return gradient.of_usable(S, T, identity, identity, *cotangents)
    return registration.of_square([S, T], [S, T, identity, identity, *eigenvalues], cotangents, native, **flags)


def _pullback(arguments, values, cotangents, native, kind, base):
    """Cotangents of the pencil; None for what else the arguments are."""
    pencil, others = arguments[:2], arguments[2:]
    A, B = (registration.broadcast(x, values[0]) for x in pencil)
    tensors = [*values[:4], *cotangents[:4], A, B, *others, *values[4:], *cotangents[4:]]
    found = _FORMULAS[kind, base](*tensors, native=native, **_sides(pencil))
    return [*registration.unbroadcast(pencil, found), *[None] * len(others)]


def _formula(S, T, Q, Z, Sb, Tb, Qb, Zb, A, B, *more, kind, base, native, right, left):
    """Ab and Bb. `more`: of "Truncated" pencils U, s, V; of "Blocks" the number; of eigenvalues these and their cotangents."""
    vectors, more = (more[:3], more[3:]) if kind == "Truncated" else ((), more)
    if base in ("Eigvals", "Ratios"):
        Q, Z = attach_gradient(f"{kind}Frames", [A, B, *vectors], [tf.stop_gradient(X) for X in (S, T, Q, Z)], native)[2:]
        Qb, Zb = tf.zeros_like(Q), tf.zeros_like(Z)
    if base in ("Eigvals", "Ratios", "Frames"):
        S, T = _between_frames(S, T, Q, Z, A, B)
    if base == "Frames":
        A1 = B1 = tf.zeros_like(S)
    elif base in ("Eigvals", "Ratios"):
        cotangents = [*[tf.zeros_like(S)] * 4, *more[2:]]
        A1, B1 = _of_square(S, T, cotangents, native, more[:2], apart=True, ratios=base == "Ratios")
    else:
        Qi, Zi, Zb = compressed.inside(S, T, Q, Z, Sb, Tb, Qb, Zb, phases=base == "Qz")
        if base == "Qz":
            A1, B1 = _of_square(S, T, [Sb, Tb, Qi, Zi], native)
        else:
            identity = blocks.identity_like(S)
            A1, B1 = subspaces.pullback(S, T, identity, identity, *more, Sb, Tb, Qi, Zi, native=native)
    if kind == "Compressed":
        return compressed.by_row_space(S, T, Q, Z, A, A1, B1, Qb, Zb, right=right, left=left)
    return compressed.by_singular_vectors(S, T, Q, Z, A, B, *vectors, A1, B1, Qb, Zb)


def _between_frames(S, T, Q, Z, A, B):
    """S and T as what Q^H A Z and Q^H B Z are, for frames Q and Z that are functions of what they span."""
    between = [matmul(matmul(Q, X, adjoint_a=True), Z) for X in (A, B)]
    return [tf.stop_gradient(X) + (Y - tf.stop_gradient(Y)) for X, Y in zip((S, T), between)]


_FORMULAS = {}
_LAYOUTS = {"Blocks": ("i", "1"), "Eigvals": ("ww vv", "uv UV"), "Ratios": ("ww vv", "uv UV")}  # beside the pencil's
for _kind, _base in itertools.product(("Compressed", "Truncated"), ("Qz", "Eigvals", "Ratios", "Blocks", "Frames")):
    _vectors = "PwP" if _kind == "Truncated" else ""
    _failed, _scaled = _LAYOUTS.get(_base, ("", ""))
    _own = scaled.near_one(f"st11 STFF st {'1v1' if _vectors else ''} {_scaled}")(functools.partial(_formula, kind=_kind, base=_base))
    _FORMULAS[_kind, _base] = differentiable(failed.kept_from_gradients(f"FFFF MMMM PP {_vectors} {_failed}")(_own))
    _rule = functools.partial(_pullback, kind=_kind, base=_base)
    register_rule(_kind + _base, arguments=2 + len(_vectors) + (_base == "Blocks"), broadcast=True)(_rule)
