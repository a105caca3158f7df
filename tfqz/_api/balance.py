"""`tfqz.balance`: pencils whose rows and columns have about equal norms, and what `balance=True` means elsewhere."""

from typing import NamedTuple

import tensorflow as tf

from tfqz import _backends
from tfqz._backends.balancing import unbalanced
from tfqz._form import blocks, checks, powers
from tfqz._form.traces import traced
from tfqz._form.types import Backend, Matrix, not_converted


class Balanced(NamedTuple):
    """The pencil D1 a D2, D1 b D2, and the diagonals of D1 and D2, powers of two."""

    a: tf.Tensor
    b: tf.Tensor
    left: tf.Tensor
    right: tf.Tensor


@not_converted
def balance(a: Matrix, b: Matrix, *, backend: Backend | None = None, name: str | None = None) -> Balanced:
    """A pencil, or a batch, with its rows and columns multiplied by powers of two so that they have about equal norms.

    D1 a D2 and D1 b D2 have the eigenvalues of a and b; x is an eigenvector of theirs where D2 x is one of a and b. Of pencils whose rows
    and columns are in different units QZ finds small eigenvalues with many more digits so. What counts is the sum |a| / |a|_g + |b| / |b|_g
    of moduli over their geometric means, without the zeros: D1 and D2 don't depend on how large a and b are beside each other.

    Multiplying by powers of two rounds nothing (where nothing leaves the range). D1 and D2 are constants for derivatives, and those of
    a and b are as exact.

    Args:
      a: [..., m, n], float32, float64, complex64 or complex128.
      b: [..., m, n], of the same dtype; the batch shapes broadcast.
      backend, name: as for `tfqz.qz`.

    Returns:
      `Balanced(a, b, left, right)`: D1 a D2 and D1 b D2, [..., m, n], left [..., m] and right [..., n], the diagonals of D1 and D2, real. 1
      for rows and columns that are zero in both, and for all of a batch element that has NaN or Inf.

    Raises:
      TypeError: the dtypes differ or are not supported.
      ValueError: the static shapes don't fit.
      tf.errors.InvalidArgumentError: the shapes don't fit.

    References:
      D. Lemonnier and P. Van Dooren, Balancing regular matrix pencils, SIAM J. Matrix Anal. Appl. 28 (2006) 253-263, with sums of moduli
      for those of squares; R. C. Ward, Balancing the generalized eigenvalue problem, SIAM J. Sci. Stat. Comput. 2 (1981) 141-152.
    """
    backend = _backends.choose(backend)
    with tf.name_scope(name or "balance"):
        a, b = checks.pencil(a, b)
        pencil, exponents = balanced(a, b, backend)
        return Balanced(*pencil, *(powers.of_two(x, dtype=a.dtype.real_dtype) for x in exponents))


def balanced(a, b, backend):
    """The balanced pencil, differentiable, and the exponents of D1 and D2, [..., m] and [..., n], int32; of checked tensors."""
    left, right = backend.balance(_relative_moduli(a, b), similarity=False)
    pencil = powers.scaled([a, b], left, right)
    for x in pencil:
        x.set_shape(checks.batch_shape(a.shape, b.shape).concatenate(checks.sizes(a.shape, b.shape)))
    return pencil, (left, right)


def check_square(a, b, rank, rank_of_b):
    """Raises ValueError for pencils, of which the static shapes are given, that are not square or have a rank: their eigenvalues change
    with the lengths of rows and columns."""
    m, n = checks.sizes(a, b)
    if rank is not None or rank_of_b is not None or (m is not None and n is not None and m != n):
        got = f"`rank={rank}`" if rank is not None else f"`rank_of_b={rank_of_b}`" if rank_of_b is not None else f"{m} x {n}"
        rule = "`balance` must be False for pencils that are not square and where a rank is given, whose eigenvalues depend on lengths"
        raise ValueError(f"{rule}; got {got}")


def decomposed(a, b, rank, rank_of_b, decompose, backend, *, ordered):
    """[S, T, Q, Z, alpha, beta] of a and b, without gradients, and what `decompose(a, b)` returns behind these: by way of the balanced
    pencil, and without it where what comes back from there is no decomposition of a and b, or, for eigenvalues that are `ordered`, has
    others in place of a complex pair."""
    check_square(a.shape, b.shape, rank, rank_of_b)
    a, b = tf.stop_gradient(a), tf.stop_gradient(b)
    pencil, exponents = balanced(a, b, backend)
    in_range = tf.reduce_all([tf.reduce_all(tf.math.is_finite(tf.abs(x)), axis=[-2, -1]) for x in pencil], axis=0)
    pencil = [tf.where(in_range[..., None, None], x, blocks.identity_like(x)) for x in pencil]
    found = decompose(*pencil)
    outputs, misses, keeps_pairs = unbalanced(a, b, *found[:6], *exponents)
    misses |= ~in_range
    if ordered:
        misses |= ~keeps_pairs
    outputs += found[6:]
    for x, like in zip(outputs, found):
        x.set_shape(like.shape)

    def in_place():
        of_matrix, of_vector = misses[..., None, None], misses[..., None]
        # The others must not fail.
        plain = decompose(*(tf.where(of_matrix, x, blocks.identity_like(outputs[0])) for x in (a, b)))
        return [tf.where(of_matrix if i < 4 else of_vector, x, y) for i, (x, y) in enumerate(zip(plain, outputs))]

    return tf.cond(tf.reduce_any(misses), in_place, lambda: outputs)


@traced
def _relative_moduli(a, b):
    """|a| and |b|, each over the geometric mean of those that aren't zero, added up and over a number that keeps all in range."""
    batch = tf.broadcast_dynamic_shape(tf.shape(a)[:-2], tf.shape(b)[:-2])
    moduli = [tf.abs(tf.broadcast_to(x, tf.concat([batch, tf.shape(x)[-2:]], axis=0))) for x in (a, b)]
    moduli = tf.stack(moduli)  # an error where their sizes differ
    some = tf.not_equal(moduli, 0)
    logs = tf.math.log(tf.where(some, moduli, tf.ones_like(moduli)))
    count = tf.reduce_sum(tf.cast(some, logs.dtype), axis=[-2, -1], keepdims=True)
    logs -= tf.math.divide_no_nan(tf.reduce_sum(logs, axis=[-2, -1], keepdims=True), count)
    logs -= tf.reduce_max(tf.where(some, logs, tf.cast(float("-inf"), logs.dtype)), axis=[0, -2, -1], keepdims=True)
    return tf.reduce_sum(blocks.masked(some, tf.exp(logs)), axis=0)
