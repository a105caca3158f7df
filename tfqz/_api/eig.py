"""`tfqz.eig`, generalized eigenvalues and eigenvectors."""

from typing import Literal, overload

import tensorflow as tf

from tfqz import _backends
from tfqz._derivative import registration
from tfqz._form import checks, eigenvalues
from tfqz._form.types import Backend, Matrix, OnFailure, not_converted


@overload
def eig(
    a: Matrix,
    b: Matrix,
    left: Literal[False] = False,
    right: Literal[True] = True,
    homogeneous_eigvals: bool = False,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]: ...


@overload
def eig(
    a: Matrix,
    b: Matrix,
    left: Literal[True],
    right: Literal[True] = True,
    homogeneous_eigvals: bool = False,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]: ...


@overload
def eig(
    a: Matrix,
    b: Matrix,
    left: Literal[True],
    right: Literal[False],
    homogeneous_eigvals: bool = False,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]: ...


@overload
def eig(
    a: Matrix,
    b: Matrix,
    left: Literal[False] = False,
    *,
    right: Literal[False],
    homogeneous_eigvals: bool = False,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tf.Tensor: ...


@overload
def eig(
    a: Matrix,
    b: Matrix,
    left: Literal[False],
    right: Literal[False],
    homogeneous_eigvals: bool = False,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tf.Tensor: ...


@not_converted
def eig(
    a: Matrix,
    b: Matrix,
    left: bool = False,
    right: bool = True,
    homogeneous_eigvals: bool = False,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tf.Tensor | tuple[tf.Tensor, ...]:
    """Generalized eigenvalues and eigenvectors of a pencil, or of a batch: a x = lambda b x, and y^H a = lambda y^H b.

    Called like `scipy.linalg.eig`, and returns the same: x and y of length 1. Here their largest entry is real and positive (the first of
    those whose modulus is the largest up to rounding), which makes them functions of the pencil. Vectors of a real eigenvalue of a real
    pencil are real, those of a complex pair conjugates.

    The vectors of a simple eigenvalue, infinite or not, have their derivatives to every order whatever the others do among themselves; but
    where two entries are equally large only what depends on no phase has. Where eigenvalues coincide gradients are finite; what depends on
    the span of their vectors alone keeps its derivative, unless the eigenvalue is defective.

    Args:
      a: [..., n, n], float32, float64, complex64 or complex128.
      b: [..., n, n], of the same dtype; the batch shapes broadcast.
      left, right: whether to return left and right eigenvectors.
      homogeneous_eigvals: whether to return alpha and beta, of which alpha / beta are the eigenvalues.
      backend, on_failure, name: as in `tfqz.qz`.

    Returns:
      (w, vl, vr), (w, vl), (w, vr) or w, as asked for.
      w: [..., n], complex64 or complex128; or, if `homogeneous_eigvals`, [..., 2, n]: what `tfqz.eigvals` returns, in the same order.
      vl, vr: [..., n, n], complex, left and right eigenvectors in columns.

    Raises:
      As `tfqz.qz`; and for matrices that aren't square.

    References:
      G. W. Stewart and J. Sun, Matrix Perturbation Theory, 1990, chapter VI.
    """
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    with tf.name_scope(name or "eig"):
        chosen = _backends.choose(backend)
        a, b = checks.pencil(a, b)
        checks.square("a", a.shape, checks.text(a.shape))
        ratios = not homogeneous_eigvals
        values, vectors = registration.eigenvalues_and_vectors(a, b, chosen, on_failure, ratios, bool(left), bool(right))
        w = eigenvalues.quotient(*values) if ratios else eigenvalues.homogeneous(*values)
        return (w, *vectors) if vectors else w
