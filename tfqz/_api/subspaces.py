"""`tfqz.deflating_subspace`: the subspaces that belong to chosen eigenvalues."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfqz import _backends
from tfqz._api import compression, ordqz, selection
from tfqz._derivative import bases, failed, registration
from tfqz._form import blocks, checks
from tfqz._form.products import matmul
from tfqz._form.types import Backend, Matrix, OnFailure, Output, Sort, not_converted


class DeflatingSubspace(NamedTuple):
    """Orthonormal bases of the right and the left deflating subspace, with zeros behind the last vector, or `dimension` columns; the
    orthogonal projectors onto both; and their dimension, [...], int32."""

    right: tf.Tensor
    left: tf.Tensor
    right_projector: tf.Tensor
    left_projector: tf.Tensor
    dimension: tf.Tensor


@not_converted
def deflating_subspace(
    a: Matrix,
    b: Matrix,
    sort: Sort = "lhp",
    output: Output = "real",
    *,
    dimension: int | None = None,
    tolerance: float = 0.0,
    rank: int | None = None,
    rank_of_b: int | None = None,
    balance: bool = False,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> DeflatingSubspace:
    """The right and left deflating subspaces of a pencil, or of a batch, for the eigenvalues that `sort` selects.

    A pair of subspaces X, Y of equal dimension with a X and b X in Y; on X the pencil has the selected eigenvalues. The derivative
    needs these to be different from the others, and nothing else: among themselves they may coincide, infinite ones included, to
    every order. The bases are functions of the subspaces, unlike the columns of `tfqz.ordqz`: at as many rows, chosen so that they
    are well conditioned, a basis is lower triangular with a positive diagonal. Where the choice of rows changes, the basis jumps;
    what doesn't depend on the basis, such as the projectors, x[n:] @ inv(x[:n]) of a Riccati equation, doesn't.

    Args:
      a: [..., m, n], float32, float64, complex64 or complex128.
      b: [..., m, n], of the same dtype; the batch shapes broadcast.
      sort, tolerance: as for `tfqz.ordqz`. Of integer labels those above 0 are selected.
      output: "real" or "complex" ("r", "c"). In the real form complex pairs are selected together, and all is real.
      dimension: None, or how many eigenvalues are selected, an int. With None the bases have as many columns as there are eigenvalues,
        those behind the last vector zero, and elements of a batch may differ.
      balance: as for `tfqz.ordqz`: the subspaces are those of the balanced pencil, brought back.
      rank, rank_of_b, backend, on_failure, name: as for `tfqz.qz`. With m != n one of the subspaces is deflating for the pencil itself, the
        other one for the pencil that is compressed: with m < n a and b map the right one, X, into the left one, and y^H a = lambda y^H b on
        the left one up to what a does beside the row space of b; with m > n the other way round. With `rank` both are that of the
        compressed pencil.

    Returns:
      `DeflatingSubspace(right, left, right_projector, left_projector, dimension)`: right [..., n, p], left [..., m, p], p being the smaller
      one of m and n, or `rank`, and the projectors [..., n, n] and [..., m, m].

    Raises:
      As `tfqz.ordqz`, and
      tf.errors.InvalidArgumentError: another number than `dimension` is selected (`on_failure="nan"`: NaN).

    References:
      G. W. Stewart and J. Sun, Matrix Perturbation Theory, 1990, section VI.2.4.
    """
    checks.choice("output", output, checks.OUTPUTS)
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    selection.check(sort, tolerance)
    if dimension is not None and (isinstance(dimension, bool) or not isinstance(dimension, (int, np.integer)) or dimension < 0):
        raise ValueError(f"`dimension` must be None or an integer >= 0; got {dimension!r}")
    backend = _backends.choose(backend)
    with tf.name_scope(name or "deflating_subspace"):
        a, b = checks.pencil(a, b)
        if checks.OUTPUTS[output] == "complex" and not a.dtype.is_complex:
            a, b = blocks.to_complex(a), blocks.to_complex(b)
        compressed = None if balance else compression.compress(a, b, rank, rank_of_b, backend, on_failure)
        if compressed is None:
            outputs, labels = ordqz.of_square(a, b, rank, rank_of_b, balance, sort, tolerance, backend, on_failure)
        else:
            outputs, labels = ordqz.reordered(*compressed.pencil, sort, tolerance, backend, on_failure)
        count = selection.count(labels)
        if compressed is None:
            *_, q, z = registration.of_blocks(a, b, outputs[:4], count, backend)
        else:
            values = compressed.extended(outputs[:4], in_canonical_form=False)
            *_, q, z = compressed.with_gradient(values, backend, "Blocks", count)
        good = failed.succeeded(z)
        if dimension is not None:
            good &= ~_has_another(dimension, count, good, backend, on_failure)
        columns = None if dimension is None else int(dimension)
        return DeflatingSubspace(*_bases_and_projectors(z, q, count, good, columns, backend is _backends.native), count)


def _has_another(dimension, count, good, backend, on_failure):
    """[...]: which of the elements that are `good` have another dimension; an error where one can be raised and should."""
    differs = good & tf.not_equal(count, dimension)
    if on_failure == "nan":
        return differs
    rule = f"`a`, `b` must be a pencil of which `sort` selects {dimension} eigenvalues, as `dimension` says"
    return backend.check(differs, count, rule + "; got {got}{where}")


def _bases_and_projectors(Z, Q, count, good, columns, native):
    """Of what the first `count` columns of Z and of Q span: the first `columns` columns of both bases, or all, and both projectors. NaN
    for elements that are not `good`."""
    p = tf.shape(Z)[-1]
    inside = tf.expand_dims(tf.range(p) < tf.expand_dims(count, -1), -2)
    all_good = failed.known_to_be_all(good)
    matrix = None if all_good else tf.reshape(good, tf.concat([tf.shape(good), [1, 1]], axis=0))

    def spanned(X):
        X = blocks.masked(inside, X if all_good else tf.where(matrix, X, failed.columns_of_identity(X)))
        projector = matmul(X, X, adjoint_b=True)
        rows, columns_of_X = checks.inner(X.shape)
        if rows != columns_of_X or rows is None:
            missing = tf.zeros(tf.concat([tf.shape(X)[:-1], [tf.shape(X)[-2] - p]], axis=0), X.dtype)
            basis = bases.basis(tf.concat([X, missing], axis=-1), projector, count, native)[..., :p]
        else:
            basis = bases.basis(X, projector, count, native)
        return basis if columns is None else basis[..., :columns], projector

    results = [x for pair in zip(*map(spanned, (Z, Q))) for x in pair]
    return results if all_good else [tf.where(matrix, x, tf.cast(float("nan"), x.dtype)) for x in results]
