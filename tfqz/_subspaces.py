"""`tfqz.deflating_subspace`: the subspaces that belong to chosen eigenvalues."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfqz import _backends, _blocks, _checks, _derivatives, _ordqz, _selection, _tolerances


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
        return DeflatingSubspace(*_bases_and_projectors(z, q, count, columns), count)


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


@tf.function(reduce_retracing=True, autograph=False)
def _bases_and_projectors(Z, Q, count, columns):
    """Of what the first `count` columns of Z and of Q span: the first `columns` columns of both bases, or all, and both projectors."""
    inside = tf.range(tf.shape(Z)[-1]) < count[..., None]
    right, left = (_blocks.masked(inside[..., None, :], X) for X in (Z, Q))
    bases = [_basis(X, inside)[..., :columns] for X in (right, left)]
    return *bases, *(tf.matmul(X, X, adjoint_b=True) for X in (right, left))


def _basis(X, inside):
    """X times the unitary matrix that makes it lower triangular with a positive diagonal at chosen rows. X: [..., n, n], of which
    the columns `inside`, [..., n], are orthonormal and the others zero."""
    chosen = tf.stop_gradient(_independent_rows(X, inside))
    rows = chosen @ X
    product = tf.matmul(X, rows, adjoint_b=True)
    basis = _times_inverse_factor(product, tf.matmul(rows, rows, adjoint_b=True), inside)
    # The product of ill-conditioned rows squares their condition number; what that costs the second time gives back.
    return _times_inverse_factor(basis, tf.matmul(basis, basis, adjoint_a=True), inside)


def _times_inverse_factor(X, gram, inside):
    """X L^-H for gram = L L^H on the rows and columns `inside`."""
    factor = tf.linalg.cholesky(gram + tf.linalg.diag(tf.cast(~inside, gram.dtype)))
    return tf.linalg.adjoint(tf.linalg.triangular_solve(factor, tf.linalg.adjoint(X)))


def _independent_rows(X, inside):
    """[..., n, n]: one row of the identity for each column of X that is `inside`, and zeros.

    Gram-Schmidt with pivoting: the row of X that is longest when what those before it span is taken away.
    """
    n = tf.shape(X)[-1]
    index = tf.range(n)

    def step(j, X, chosen):
        length = tf.reduce_sum(tf.abs(X) ** 2, axis=-1)
        reach = (1 - _tolerances.tie(X.dtype)) * tf.reduce_max(length, axis=-1, keepdims=True)
        first = tf.argmax(tf.cast(length >= reach, tf.int32), axis=-1)  # rounding must not choose between rows of equal length
        row = tf.one_hot(first, n, dtype=X.dtype)
        unit = tf.linalg.matvec(X, row, transpose_a=True)
        unit = tf.math.divide_no_nan(unit, tf.cast(tf.norm(unit, axis=-1, keepdims=True), X.dtype))
        X = X - tf.linalg.matvec(X, tf.math.conj(unit))[..., :, None] * unit[..., None, :]
        chosen = tf.where(tf.equal(index, j)[:, None] & inside[..., None], row[..., None, :], chosen)
        chosen.set_shape(X.shape)  # which TensorFlow doesn't infer for n = 0
        return j + 1, X, chosen

    last = tf.reduce_max(tf.reduce_sum(tf.cast(inside, tf.int32), axis=-1))
    _, _, chosen = tf.while_loop(lambda j, *_: j < last, step, (0, X, tf.zeros_like(X)), parallel_iterations=1)
    return chosen
