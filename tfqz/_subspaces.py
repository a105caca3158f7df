"""`tfqz.deflating_subspace`: the subspaces that belong to chosen eigenvalues."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfqz import _backends, _bases, _blocks, _checks, _derivatives, _ordqz, _selection


class DeflatingSubspace(NamedTuple):
    """Orthonormal bases of the right and the left deflating subspace, [..., n, n] with zeros behind the last vector, or
    [..., n, dimension]; the orthogonal projectors onto both, [..., n, n]; and their dimension, [...], int32."""

    right: tf.Tensor
    left: tf.Tensor
    right_projector: tf.Tensor
    left_projector: tf.Tensor
    dimension: tf.Tensor


@tf.autograph.experimental.do_not_convert
def deflating_subspace(
    a, b, sort="lhp", output="real", *, dimension=None, tolerance=0.0, backend=None, on_failure="raise", name=None
):
    """The right and left deflating subspaces of a pencil, or of a batch, for the eigenvalues that `sort` selects.

    A pair of subspaces X, Y of equal dimension with a X and b X in Y; on X the pencil has the selected eigenvalues. The derivative
    needs these to be different from the others, and nothing else: among themselves they may coincide, infinite ones included, to
    every order. The bases are functions of the subspaces, unlike the columns of `tfqz.ordqz`: at as many rows, chosen so that they
    are well conditioned, a basis is lower triangular with a positive diagonal. Where the choice of rows changes, the basis jumps;
    what doesn't depend on the basis, such as the projectors, x[n:] @ inv(x[:n]) of a Riccati equation, doesn't.

    Args:
      a: [..., n, n], float32, float64, complex64 or complex128.
      b: [..., n, n], of the same dtype; the batch shapes broadcast.
      sort, tolerance: as for `tfqz.ordqz`. Of integer labels those above 0 are selected.
      output: "real" or "complex" ("r", "c"). In the real form complex pairs are selected together, and all is real.
      dimension: None, or how many eigenvalues are selected, an int. With None the bases have n columns, those behind the last
        vector zero, and elements of a batch may differ.
      backend, on_failure, name: as for `tfqz.qz`.

    Returns:
      `DeflatingSubspace(right, left, right_projector, left_projector, dimension)`.

    Raises:
      As `tfqz.ordqz`, and
      tf.errors.InvalidArgumentError: another number than `dimension` is selected (`on_failure="nan"`, and under XLA: NaN).

    References:
      G. W. Stewart and J. Sun, Matrix Perturbation Theory, 1990, section VI.2.4.
    """
    _checks.choice("output", output, _checks.OUTPUTS)
    _checks.choice("on_failure", on_failure, _checks.ON_FAILURE)
    _selection.check(sort, tolerance)
    if dimension is not None and (isinstance(dimension, bool) or not isinstance(dimension, (int, np.integer)) or dimension < 0):
        raise ValueError(f"`dimension` must be None or an integer >= 0; got {dimension!r}")
    backend = _backends.choose(backend)
    with tf.name_scope(name or "deflating_subspace"):
        a, b = _checks.pencil(a, b)
        if _checks.OUTPUTS[output] == "complex" and not a.dtype.is_complex:
            a, b = _blocks.to_complex(a), _blocks.to_complex(b)
        factors, labels = _ordqz.reordered(a, b, sort, tolerance, backend, on_failure)
        count = _selection.count(labels)
        *_, q, z = _derivatives.of_blocks(a, b, factors[:4], count, backend)
        if dimension is not None:
            q, z = _of_dimension(dimension, count, on_failure, q, z)
        columns = None if dimension is None else int(dimension)
        return DeflatingSubspace(*_bases_and_projectors(z, q, count, columns, backend is _backends.native), count)


def _of_dimension(dimension, count, on_failure, *matrices):
    """The matrices, and NaN for elements of another dimension: an error outside XLA."""
    differs = tf.not_equal(count, dimension)
    rule = f"`a`, `b` must be a pencil of which `sort` selects {dimension} eigenvalues, as `dimension` says"
    assertions = []
    if on_failure == "raise" and tf.executing_eagerly():
        for index in np.argwhere(differs.numpy()):
            where = _checks.batch_element(index)
            raise tf.errors.InvalidArgumentError(None, None, f"{rule}; got {count[tuple(index)]}{where}")
    elif on_failure == "raise":
        assertions = [tf.debugging.Assert(~tf.reduce_any(differs), [f"{rule}; got", count], summarize=100)]
    with tf.control_dependencies(assertions):
        return [tf.where(differs[..., None, None], tf.cast(float("nan"), x.dtype), x) for x in matrices]


def _bases_and_projectors(Z, Q, count, columns, native):
    """Of what the first `count` columns of Z and of Q span: the first `columns` columns of both bases, or all, and both projectors."""
    inside = tf.range(tf.shape(Z)[-1]) < count[..., None]
    spanning = [_blocks.masked(inside[..., None, :], X) for X in (Z, Q)]
    projectors = [tf.matmul(X, X, adjoint_b=True) for X in spanning]
    bases = [_bases.basis(X, P, count, native)[..., :columns] for X, P in zip(spanning, projectors)]
    return *bases, *projectors
