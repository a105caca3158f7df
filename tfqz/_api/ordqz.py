"""`tfqz.ordqz`, the QZ decomposition with its eigenvalues in a chosen order."""

from typing import Literal, NamedTuple, overload

import numpy as np
import tensorflow as tf

from tfqz import _backends
from tfqz._api import balance as balancing
from tfqz._api import compression, selection
from tfqz._derivative import registration
from tfqz._form import blocks, checks
from tfqz._form.types import Backend, Matrix, OnFailure, Output, Sort, not_converted


class OrdQZ(NamedTuple):
    """The factors of a = q s z^H, b = q t z^H and the eigenvalues alpha / beta, in SciPy's order."""

    s: tf.Tensor
    t: tf.Tensor
    alpha: tf.Tensor
    beta: tf.Tensor
    q: tf.Tensor
    z: tf.Tensor


class OrdQZSdim(NamedTuple):
    """An `OrdQZ` and how many eigenvalues were selected, [...], int32."""

    s: tf.Tensor
    t: tf.Tensor
    alpha: tf.Tensor
    beta: tf.Tensor
    q: tf.Tensor
    z: tf.Tensor
    sdim: tf.Tensor


@overload
def ordqz(
    a: Matrix,
    b: Matrix,
    sort: Sort = "lhp",
    output: Output = "real",
    *,
    tolerance: float = 0.0,
    return_sdim: Literal[False] = False,
    rank: int | None = None,
    rank_of_b: int | None = None,
    balance: bool = False,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> OrdQZ: ...


@overload
def ordqz(
    a: Matrix,
    b: Matrix,
    sort: Sort = "lhp",
    output: Output = "real",
    *,
    tolerance: float = 0.0,
    return_sdim: Literal[True],
    rank: int | None = None,
    rank_of_b: int | None = None,
    balance: bool = False,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> OrdQZSdim: ...


@not_converted
def ordqz(
    a: Matrix,
    b: Matrix,
    sort: Sort = "lhp",
    output: Output = "real",
    *,
    tolerance: float = 0.0,
    return_sdim: bool = False,
    rank: int | None = None,
    rank_of_b: int | None = None,
    balance: bool = False,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> OrdQZ | OrdQZSdim:
    """QZ decomposition of a pencil, or of a batch, with chosen eigenvalues in the upper left corner.

    As `tfqz.qz`, canonical form included, but for the order of the eigenvalues: those that `sort` selects come first, and those
    that it treats alike keep the order in which QZ found them. The first `sdim` columns of z span the right deflating subspace of
    the selected eigenvalues, those of q the left one (with m > n those behind the first m - n). All outputs are differentiable as those of
    `tfqz.qz` are; the selection is constant.

    Args:
      a: [..., m, n], float32, float64, complex64 or complex128.
      b: [..., m, n], of the same dtype; the batch shapes broadcast.
      sort: which eigenvalues lambda = alpha / beta come first.
        "lhp", "rhp": Re lambda < tolerance, Re lambda > tolerance; "iuc", "ouc": |lambda| < 1 + tolerance, |lambda| > 1 + tolerance.
          An infinite eigenvalue, beta = 0, is "ouc" only; 0/0 is none. beta is 0 where it is at most the precision times the Frobenius
          norm of b.
        A callable of the tensors (alpha, beta), [..., p], that returns booleans, or integers: eigenvalues come in descending order
          of these, in any number of clusters. Both eigenvalues of a complex pair of the real form get the larger of their values. It is
          called twice, the second time with the reordered eigenvalues.
      output: "real" or "complex" ("r", "c"), as for `tfqz.qz`.
      tolerance: a number, where the boundary of a keyword is: with `sort="iuc", tolerance=1e-8` unit roots are selected, with
        `tolerance=-1e-8` they are not, whatever rounding did to them.
      return_sdim: whether to return `sdim` too.
      balance: as for `tfqz.qz`; eigenvalues are selected, and exchanged, in the balanced pencil, whose alpha and beta `sort` is called
        with. (Once more with those of pencils that are decomposed as they are.) What is returned belongs to s and t.
      rank, rank_of_b, backend, on_failure, name: as for `tfqz.qz`.

    Returns:
      `OrdQZ(s, t, alpha, beta, q, z)`: s, t, q, z as of `tfqz.qz`, alpha [..., p], complex, beta [..., p], of the factors' dtype with
      real values >= 0, p being the smaller one of m and n, or `rank`. With `return_sdim` one field more: `sdim`, [...], int32, how many
      eigenvalues have True, or a label above 0.

    Raises:
      As `tfqz.qz`, and
      ValueError, TypeError: `sort` is no keyword and no callable, or returns something else than a label for each eigenvalue.
      tf.errors.InvalidArgumentError: the pencil is too ill-conditioned for the exchange of two eigenvalues, or one of them is another one
        after it, with another label; names the batch element. (The latter is NaN under XLA.)

    References:
      B. Kagstrom and P. Poromaa, Computing eigenspaces with specified eigenvalues of a regular matrix pair (A, B) and condition
      estimation, Numer. Algorithms 12 (1996) 369-407. LAPACK's xTGEXC, as xTGSEN uses it.
    """
    checks.choice("output", output, checks.OUTPUTS)
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    selection.check(sort, tolerance)
    backend = _backends.choose(backend)
    with tf.name_scope(name or "ordqz"):
        a, b = checks.pencil(a, b)
        if checks.OUTPUTS[output] == "complex" and not a.dtype.is_complex:
            a, b = blocks.to_complex(a), blocks.to_complex(b)
        compressed = None if balance else compression.compress(a, b, rank, rank_of_b, backend, on_failure)
        if compressed is None:
            outputs, labels = of_square(a, b, rank, rank_of_b, balance, sort, tolerance, backend, on_failure)
            s, t, q, z, alpha, beta = registration.of_ordered(a, b, outputs, backend)
        else:
            outputs, labels = reordered(*compressed.pencil, sort, tolerance, backend, on_failure)
            s, t, q, z = compressed.factors(outputs[:4], backend, on_failure)
            alpha, beta = compressed.eigenvalues(outputs, backend)
        if not return_sdim:
            return OrdQZ(s, t, alpha, beta, q, z)
        return OrdQZSdim(s, t, alpha, beta, q, z, selection.count(labels))


def of_square(a, b, rank, rank_of_b, balance, *arguments):
    """What `reordered` returns of a and b and the other `arguments`; `balance`: by way of the balanced pencil."""
    if not balance:
        return reordered(a, b, *arguments)

    def decompose(a, b):
        outputs, labels = reordered(a, b, *arguments)
        return [*outputs, labels]

    *outputs, labels = balancing.decomposed(a, b, rank, rank_of_b, decompose, arguments[2], ordered=True)
    return outputs, labels


def reordered(a, b, sort, tolerance, backend, on_failure):
    """[S, T, Q, Z, alpha, beta] in the order of `sort`, without gradients, and the labels in the order in which QZ found them."""
    return in_order(backend.factorize(tf.stop_gradient(a), tf.stop_gradient(b), on_failure), sort, tolerance, backend, on_failure)


def in_order(outputs, sort, tolerance, backend, on_failure):
    """The same of [S, T, Q, Z, alpha, beta] in any order."""
    *factors, alpha, beta = outputs
    labels = selection.labels(sort, tolerance, alpha, beta, factors[0])
    outputs = backend.reorder(factors, labels, on_failure)
    again = selection.labels(sort, tolerance, *outputs[4:], outputs[0])
    if tf.executing_eagerly() and np.array_equal(again, -np.sort(-labels.numpy(), axis=-1)):
        return outputs, labels
    lost = selection.is_order_lost(labels, alpha, beta, again, *outputs[4:])
    return _checked(outputs, lost, backend, on_failure), labels


def _checked(outputs, lost, backend, on_failure):
    """The outputs, an error for the first batch element that has `lost` its order, and NaN where no error can be raised."""
    if on_failure == "raise":
        text = checks.ORDER.replace("{why}", "an eigenvalue was another one after the exchange")
        lost = backend.check(lost, tf.zeros_like(lost, tf.int32), text)
    lost = [lost[..., None, None]] * 4 + [lost[..., None]] * 2
    return [tf.where(where, tf.cast(float("nan"), x.dtype), x) for where, x in zip(lost, outputs)]
