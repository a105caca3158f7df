"""Pencils that are not square, or of which a part is wanted: compressed to a square one, whose QZ is that of the pencil then.

    m < n:   A = Q [S1 S2] Z^H, B = Q [T1 0] Z^H       compressed by an orthonormal basis of the row space of B
    m > n:   A = Q [S2; S1] Z^H, B = Q [0; T1] Z^H     by one of the column space of B
    rank=k:  Q T Z^H is B's best approximation of rank k, S = Q^H A Z      by its singular vectors

`docs/rectangular.md` says why these, and what has a derivative.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfqz import _backends
from tfqz._derivative import failed, rectangular
from tfqz._form import blocks, canonical, checks, powers
from tfqz._form.products import matmul
from tfqz._form.traces import traced

_TOO_LARGE = "`a` must have factors in the range of its dtype; got {got} entries that are not{where}"
_NO_RANK = "`rank_of_b` must be None for square pencils, whose QZ needs no rank"


class Compression(NamedTuple):
    """A square pencil, [..., p, p], without gradients; the frames, [..., m, p] and [..., n, p], between which it is that of `whole`, or
    None for the identity; and which gradient has what is made of it, see `rectangular.of_compressed`."""

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
        return rectangular.of_compressed(*self.whole, self.kind, [*self.arguments, *arguments], values, backend, base)

    def factors(self, factors, backend, on_failure):
        """S, T, Q, Z of the whole pencil, differentiable, from those of the square one."""
        if self.kind == "Truncated":
            return self.with_gradient(self.extended(factors), backend, "Qz")
        m, n = checks.sizes(*(x.shape for x in self.whole))
        bases = [_complement(frame, factors[0], backend) for frame in self.frames]
        inputs = [x for x in (*self.frames, *(basis for basis, _ in bases)) if x is not None]
        A, left, right = tf.stop_gradient(self.whole[0]), self.frames[0] is not None, self.frames[1] is not None
        if backend is _backends.native and left != right:
            found = backend.extend(A, *inputs, factors, left, _whole_form_of_one_side)
        else:
            found = whole_form(A, *factors, *inputs, left=left, right=right)
        found = _in_range(found, factors, backend, on_failure)
        found = _shaped(found, *self.whole, [m, n], [m, n], [m, m], [n, n])
        return rectangular.of_whole(*self.whole, bases[1][1], bases[0][1], found, backend)

    def eigenvalues(self, outputs, backend, ratios=False):
        """alpha and beta, differentiable, from S, T, Q, Z, alpha, beta of the square pencil. `ratios`: as in `registration.eigenvalues`."""
        values = [*self.extended(outputs[:4], in_canonical_form=False), *outputs[4:]]
        return self.with_gradient(values, backend, "Ratios" if ratios else "Eigvals")[4:]


def _in_range(found, factors, backend, on_failure):
    """The whole factors, but of elements whose S isn't finite, though that of the square pencil is: what stands beside it is as long as
    rows or columns of A."""
    if tf.executing_eagerly() and np.isfinite(found[0]).all():  # a tenth of the time that ops take
        return found
    count = _not_finite(found[0], factors[0])
    failing = backend.check(count > 0, count, _TOO_LARGE) if on_failure == "raise" else count > 0
    return failed.filled(failing, found)


@traced
def _not_finite(S, of_square):
    """[...], int32: how many entries of S, where the factor of the square pencil is that of one that didn't fail."""
    finite = tf.math.is_finite(tf.math.real(S)) & tf.math.is_finite(tf.math.imag(S))
    return tf.reduce_sum(tf.cast(~finite & failed.succeeded(of_square)[..., None, None], tf.int32), axis=[-2, -1])


@traced
def canonical_form(S, T, Q, Z):
    """Long columns of Q and Z have other largest entries."""
    (S, T), scales = powers.near_one([S, T])
    S, T, Q, Z = canonical.canonicalize(S, T, Q, Z)
    return *powers.all_gradually([S, T], scales), Q, Z


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
    if unknown and rank_of_b is not None:
        sizes = tf.shape(A)[-2:]
        A = _unless(tf.equal(sizes[0], sizes[1]), rank_of_b, f"{_NO_RANK}; got {{got}}{{where}}", A, backend)
        A = _within("rank_of_b", rank_of_b, tf.reduce_min(sizes), A, backend)
    inside = A, B
    if unknown or m < n:
        right, _, *inside = _shaped(backend.compress(A, B, rank_of_b, on_failure, left=False), a, b, [n, p], [], [m, p], [m, p])
    if unknown or m > n:
        left, found, *by_left = _shaped(backend.compress(A, B, rank_of_b, on_failure, left=True), a, b, [m, p], [], [p, n], [p, n])
        if unknown:  # what the right frame has left
            of_A, of_B = (matmul(left, X, adjoint_a=True) for X in inside)
            inside = of_A, _of_rank(of_B, found)
        else:
            inside = by_left
    return Compression((a, b), list(inside), [left, right], "Compressed", [])


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
        raise ValueError(f"{_NO_RANK}; got {rank_of_b}")
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
        vectors = [_within("rank", rank, tf.shape(x)[-1], x, backend) for x in vectors]
    U, s, V = (tf.broadcast_to(x, tf.concat([batch, tf.shape(x)[inner:]], axis=0)) for x, inner in zip(vectors, (-2, -1, -2)))
    p = None if m is None or n is None else min(m, n)
    U, s, V = _shaped([U, s, V], a, b, [m, p], [p], [n, p])
    left, right = U[..., :rank], V[..., :rank]
    return Compression((a, b), _between(A, left, right, s[..., :rank]), [left, right], "Truncated", [U, s, V])


@traced
def _between(A, left, right, s):
    """Q^H A Z, for frames Q and Z, and diag(s)."""
    (A,), (scale,) = powers.near_one([A])
    inside = powers.gradually(matmul(matmul(left, A, adjoint_a=True), right), scale)
    diagonal = tf.linalg.diag(s)
    return inside, tf.complex(diagonal, tf.zeros_like(diagonal)) if A.dtype.is_complex else diagonal


def _within(name, rank, most, x, backend):
    """x, or an error if the rank is larger than `most`."""
    return _unless(most < rank, most, f"`{name}` must be at most the smaller one of m and n, {{got}}; got {rank}{{where}}", x, backend)


def _unless(failing, got, text, x, backend):
    """x, or an error, where one can be raised, else NaN: as data, since TensorFlow's optimizer drops what only has to come before."""
    failing = backend.check(failing, tf.convert_to_tensor(got, tf.int32), text)
    return tf.where(failing, tf.cast(float("nan"), x.dtype), x)


def _complement(frame, like, backend):
    """A basis of the complement, and its chosen rows; None and no rows without a frame, for factors `like` [..., p, p]."""
    if frame is None:
        return None, tf.zeros(tf.concat([tf.shape(like)[:-2], [0]], axis=0), tf.int32)
    return backend.complement(frame)


def _whole_form_of_one_side(a, frame, beside, S, T, Q, Z, left):
    return whole_form(a, S, T, Q, Z, frame, beside, left=left, right=not left)


@traced
def whole_form(a, S, T, Q, Z, *frames, left, right):
    """S, T, [..., m, n], Q, [..., m, m], Z, [..., n, n], from factors of the square pencil, the frames and bases of their complements.
    `left`, `right`: Python bools, which of these there are."""
    frames = list(frames)
    (a,), (of_s,) = powers.near_one([a])  # whose batch shape may be smaller
    (T,), (of_t,) = powers.near_one([T])
    S = powers.gradually(S, -of_s)
    Q, Z = (matmul(frames.pop(0), X) if there else X for X, there in ((Q, left), (Z, right)))
    S, T, Q, Z = canonical.canonicalize(S, T, Q, Z)
    good, nan = failed.succeeded(S)[..., None, None], tf.cast(float("nan"), S.dtype)
    above, beside = (tf.where(good, frames.pop(0), nan) if there else None for there in (left, right))
    if left:
        above = tf.reverse(above, [-1])  # the columns count away from the triangular block
        top = matmul(above, matmul(a, Z), adjoint_a=True)
    if right:
        more = matmul(Q, matmul(a, beside), adjoint_a=True)
        S, T, Z = tf.concat([S, more], -1), tf.concat([T, tf.where(good, tf.zeros_like(more), nan)], -1), tf.concat([Z, beside], -1)
    if left:
        if right:  # one of the two is empty
            missing = tf.concat([tf.shape(top)[:-1], [tf.shape(S)[-1] - tf.shape(top)[-1]]], axis=0)
            top = tf.concat([top, tf.zeros(missing, top.dtype)], axis=-1)
        S, T, Q = tf.concat([top, S], -2), tf.concat([tf.where(good, tf.zeros_like(top), nan), T], -2), tf.concat([above, Q], -1)
    return powers.gradually(S, of_s), powers.gradually(T, of_t), Q, Z
