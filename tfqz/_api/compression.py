"""Pencils that are not square, or of which a part is wanted: compressed to a square one, whose QZ is that of the pencil then.

    m < n:   A = Q [S1 S2] Z^H, B = Q [T1 0] Z^H       compressed by an orthonormal basis of the row space of B
    m > n:   A = Q [S2; S1] Z^H, B = Q [0; T1] Z^H     by one of the column space of B
    rank=k:  Q T Z^H is B's best approximation of rank k, S = Q^H A Z      by its singular vectors

`docs/rectangular.md` says why these, and what has a derivative.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfqz._derivative import bases, failed, registration
from tfqz._form import blocks, canonical, checks
from tfqz._form.products import matmul
from tfqz._form.traces import traced


class Compression(NamedTuple):
    """A square pencil, [..., p, p], without gradients; the frames, [..., m, p] and [..., n, p], between which it is that of `whole`, or None for
    the identity; and which gradient has what is made of it, see `registration.of_compressed`."""

    whole: tuple
    pencil: list
    frames: list
    kind: str
    arguments: list

    def extended(self, factors, in_canonical_form=True):
        """S, T, [..., p, p], Q, [..., m, p], Z, [..., n, p] of the whole pencil from those of the square one."""
        S, T, Q, Z = factors
        Q, Z = (X if frame is None else matmul(frame, X) for frame, X in zip(self.frames, (Q, Z)))
        return canonical_form(S, T, Q, Z) if in_canonical_form else [S, T, Q, Z]

    def with_gradient(self, values, backend, base, *arguments):
        """The values as functions of the whole pencil."""
        return registration.of_compressed(*self.whole, self.kind, [*self.arguments, *arguments], values, backend, base)

    def factors(self, factors, backend):
        """S, T, Q, Z of the whole pencil, differentiable, from those of the square one."""
        found = self.with_gradient(self.extended(factors), backend, "Qz")
        return found if self.kind == "Truncated" else _with_complement(self.whole, *found, backend)

    def eigenvalues(self, outputs, backend, ratios=False):
        """alpha and beta, differentiable, from S, T, Q, Z, alpha, beta of the square pencil. `ratios`: as in `registration.eigenvalues`."""
        values = [*self.extended(outputs[:4], in_canonical_form=False), *outputs[4:]]
        return self.with_gradient(values, backend, "Ratios" if ratios else "Eigvals")[4:]


@traced
def canonical_form(S, T, Q, Z):
    """Long columns of Q and Z have other largest entries."""
    return canonical.canonicalize(S, T, Q, Z)


def compress(a, b, rank, rank_of_b, backend, on_failure):
    """A `Compression` of checked tensors, or None for square ones that are wanted whole."""
    m, n = checks.sizes(a.shape, b.shape)
    check_ranks(rank, rank_of_b, (m, n))
    if rank is not None:
        return _truncated(a, b, rank, backend, on_failure)
    if m is not None and m == n:
        return None
    A, B = tf.stop_gradient(a), tf.stop_gradient(b)
    left = right = None
    unknown = m is None or n is None
    p = None if unknown else min(m, n)
    if unknown or m < n:
        right, _, A, B = _shaped(backend.compress(A, B, rank_of_b, on_failure, left=False), a, b, [n, p], [], [m, p], [m, p])
    if unknown or m > n:
        with tf.control_dependencies([] if right is None else [right]):  # which has checked the shapes
            whole = [tf.stop_gradient(x) for x in (a, b)]
            left, found, *inside = _shaped(backend.compress(*whole, rank_of_b, on_failure, left=True), a, b, [m, p], [], [p, n], [p, n])
        if unknown:  # what the right frame has left
            inside = [matmul(left, A, adjoint_a=True), _of_rank(matmul(left, B, adjoint_a=True), found)]
        A, B = inside
    return Compression((a, b), [A, B], [left, right], "Compressed", [])


def _shaped(tensors, a, b, *shapes):
    """Tensors with what is known of their shapes: the batch shape of the pencil, then `shapes`."""
    for x, shape in zip(tensors, shapes):
        x.set_shape(checks.batch_shape(a.shape, b.shape).concatenate(shape))
    return tensors


def check_ranks(rank, rank_of_b, sizes=(None, None)):
    """A dict of both options for a pencil of these sizes, m and n or None.

    Raises:
      TypeError: one is no integer.
      ValueError: one can't be a rank of an m x n matrix, or there is nothing for it to say.
    """
    most = min((size for size in sizes if size is not None), default=None)
    for name, value, least in (("rank", rank, 1), ("rank_of_b", rank_of_b, 0)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"`{name}` must be None or an integer; got {value!r}")
        if value < least or (most is not None and value > most):
            rule = f"at least {least}" if most is None else f"from {least} to {most}, the smaller one of m and n"
            raise ValueError(f"`{name}` must be {rule}; got {value}")
    if rank_of_b is not None and rank is not None:
        raise ValueError(f"`rank_of_b` must be None where `rank` is given; got {rank_of_b} and {rank}")
    if rank_of_b is not None and None not in sizes and sizes[0] == sizes[1]:
        raise ValueError(f"`rank_of_b` must be None for square pencils, whose QZ needs no rank; got {rank_of_b}")
    return {"rank": rank, "rank_of_b": rank_of_b}


def _of_rank(B, rank):
    """B, [..., p, n], without rows behind its rank, [...], which are rounding."""
    return blocks.masked((tf.range(tf.shape(B)[-2]) < rank[..., None])[..., None], B)


def _truncated(a, b, rank, backend, on_failure):
    m, n = checks.sizes(a.shape, b.shape)
    A, B = tf.stop_gradient(a), tf.stop_gradient(b)
    batch = tf.broadcast_dynamic_shape(tf.shape(A)[:-2], tf.shape(B)[:-2])
    vectors = backend.svd(B, on_failure)
    if m is None or n is None:
        vectors = [_at_least(rank, x, backend) for x in vectors]
    U, s, V = (tf.broadcast_to(x, tf.concat([batch, tf.shape(x)[inner:]], axis=0)) for x, inner in zip(vectors, (-2, -1, -2)))
    p = None if m is None or n is None else min(m, n)
    U, s, V = _shaped([U, s, V], a, b, [m, p], [p], [n, p])
    left, right = U[..., :rank], V[..., :rank]
    pencil = [matmul(matmul(left, A, adjoint_a=True), right), tf.linalg.diag(tf.cast(s[..., :rank], B.dtype))]
    return Compression((a, b), pencil, [left, right], "Truncated", [U, s, V])


def _at_least(rank, x, backend):
    """x, or an error if it has fewer columns than `rank`."""
    columns = tf.shape(x)[-1]
    text = f"`rank` must be at most the smaller one of m and n, {{got}}; got {rank}{{where}}"
    with tf.control_dependencies([backend.check(columns < rank, columns, text)]):
        return tf.identity(x)


def _with_complement(pencil, S, T, Q, Z, backend):
    """S, T, [..., m, n], Q, [..., m, m], Z, [..., n, n]: with bases of the complements of what Q and Z span."""
    m, n = checks.sizes(*(x.shape for x in pencil))
    unknown = m is None or n is None
    good = failed.succeeded(S)[..., None, None]
    A, inside_Q, inside_Z = (blocks.masked(good, x) for x in (pencil[0], Q, Z))

    def known(x):
        return tf.where(good, x, tf.cast(float("nan"), x.dtype))

    if unknown or m < n:
        beside = bases.complement(Z, backend)
        more = matmul(inside_Q, matmul(A, blocks.masked(good, beside)), adjoint_a=True)
        S, T, Z = (tf.concat([x, y], axis=-1) for x, y in ((S, known(more)), (T, known(tf.zeros_like(more))), (Z, beside)))
    if unknown or m > n:
        beside = tf.reverse(bases.complement(Q, backend), [-1])
        more = matmul(blocks.masked(good, beside), matmul(A, inside_Z), adjoint_a=True)
        missing = tf.shape(S)[-1] - tf.shape(more)[-1]
        more = known(tf.pad(more, tf.concat([tf.zeros([tf.rank(more) - 1, 2], tf.int32), [[0, missing]]], axis=0)) if unknown else more)
        S, T = tf.concat([more, S], axis=-2), tf.concat([known(tf.zeros_like(more)), T], axis=-2)
        Q = tf.concat([beside, Q], axis=-1)
    return _shaped([S, T, Q, Z], *pencil, [m, n], [m, n], [m, m], [n, n])
