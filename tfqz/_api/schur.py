"""`tfqz.schur`, the ordinary Schur decomposition."""

from typing import NamedTuple

import tensorflow as tf

from tfqz import _backends
from tfqz._derivative import registration
from tfqz._form import blocks, checks
from tfqz._form.types import Backend, Matrix, OnFailure, Output, not_converted


class Schur(NamedTuple):
    """The factors of a = z t z^H, in SciPy's order; each [..., n, n]."""

    t: tf.Tensor
    z: tf.Tensor


@not_converted
def schur(
    a: Matrix, output: Output = "real", *, backend: Backend | None = None, on_failure: OnFailure = "raise", name: str | None = None
) -> Schur:
    """Schur decomposition of a matrix, or of a batch: a = z t z^H, z unitary and t upper triangular, with the eigenvalues on its diagonal.

    With `output="real"`, t of a real matrix is quasi upper triangular: each complex pair of eigenvalues has a 2 x 2 block [p b; c p]
    on the diagonal, |b| >= |c|, b c < 0; the eigenvalues are p +- i sqrt(-b c). In each column of z the largest entry is real and
    positive. Equal inputs give equal factors from every backend up to rounding, and up to the order of the eigenvalues, which is
    whatever the iteration finds.

    Both factors are differentiable, to every order, in reverse and forward mode, where the eigenvalues are distinct, but for the
    rotation in a block with b = -c, as every normal matrix has; at equal eigenvalues and there the gradient is finite, and exact for
    functions that don't depend on what the decomposition leaves open. (`qz(a, I)` has the derivative of no rotation at all: its
    convention is about T's blocks, which are I then.)

    Args:
      a: [..., n, n], float32, float64, complex64 or complex128.
      output: "real" or "complex" ("r", "c"): the form of t for real input. Complex input always has the complex form. Complex factors
        of real input have real gradients.
      backend, on_failure, name: as for `tfqz.qz`.

    Returns:
      `Schur(t, z)`, each [..., n, n] of the dtype of `a` (complex for `output="complex"`).

    Raises:
      TypeError: the dtype is not supported.
      ValueError: the static shape isn't square, or an option is unknown.
      tf.errors.InvalidArgumentError: the shape isn't square, a matrix has NaN or Inf, or the QR iteration didn't converge; names the
        batch element.

    References:
      G. H. Golub and C. F. Van Loan, Matrix Computations, chapter 7. LAPACK's xGEES and, for 2 x 2 blocks, xLANV2.
    """
    checks.choice("output", output, checks.OUTPUTS)
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    backend = _backends.choose(backend)
    with tf.name_scope(name or "schur"):
        a = checks.matrix(a)
        if checks.OUTPUTS[output] == "complex" and not a.dtype.is_complex:
            a = blocks.to_complex(a)
        return Schur(*registration.schur_factors(a, backend, on_failure))
