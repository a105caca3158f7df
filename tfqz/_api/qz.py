"""`tfqz.qz`, the QZ decomposition."""

from typing import NamedTuple

import tensorflow as tf

from tfqz import _backends
from tfqz._api import balance as balancing
from tfqz._api import compression
from tfqz._derivative import registration
from tfqz._form import blocks, checks
from tfqz._form.types import Backend, Matrix, OnFailure, Output, not_converted


class QZ(NamedTuple):
    """The factors of a = q s z^H, b = q t z^H, in SciPy's order."""

    s: tf.Tensor
    t: tf.Tensor
    q: tf.Tensor
    z: tf.Tensor


@not_converted
def qz(
    a: Matrix,
    b: Matrix,
    output: Output = "real",
    *,
    rank: int | None = None,
    rank_of_b: int | None = None,
    balance: bool = False,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> QZ:
    """QZ (generalized Schur) decomposition of a pencil, or of a batch: a = q s z^H and b = q t z^H.

    q and z are unitary, s and t upper triangular, t with a real diagonal >= 0. The generalized eigenvalues are s_jj / t_jj;
    t_jj = 0 is an infinite one. With `output="real"`, s of a real pencil is quasi upper triangular: each complex pair of
    eigenvalues has a 2 x 2 block on the diagonal, in which t is diag(a, d), a >= d > 0. In each column of z the largest
    entry is real and positive. Equal inputs give equal factors from every backend up to rounding, and up to the order of
    the eigenvalues, which is whatever the iteration finds.

    Of a pencil with m < n rows s = [s1 s2] and t = [t1 0], with m > n s = [s2; s1] and t = [0; t1], s1 and t1 being as above, p x p with
    the smaller size p. q s z^H and q t z^H are a and b all the same. The other columns of z, or q, are a basis of what b annihilates (of b
    of rank p; else docs/rectangular.md says of what), lower triangular with a positive diagonal at rows chosen for their condition.
    The eigenvalues are those of a pinv(b), or pinv(b) a. With `rank=k`, for m = n too, q t z^H is the best approximation of b of rank k,
    and s = q^H a z.

    All four factors are differentiable, to every order, in reverse and forward mode, where the eigenvalues are distinct; at
    equal eigenvalues the gradient is finite, and exact for functions that don't depend on what the decomposition leaves
    open there. With m != n, b has to keep its rank. docs/conventions.md says in full what has a derivative and what hasn't.

    Args:
      a: [..., m, n], float32, float64, complex64 or complex128. Integers, booleans and half precision are cast to what SciPy computes
        them in, here and in all functions: docs/guide/calls.md.
      b: [..., m, n], of the same dtype; the batch shapes broadcast.
      output: "real" or "complex" ("r", "c"): the form of s for real input. Complex input always has the complex form.
        Complex factors of real input have real gradients.
      rank: None, or how many singular values of b are kept, an int from 1 to p.
      rank_of_b: None, or what the rank of b is if m != n, an int from 0 to p, whatever rounding did to b. None: that of QR with column
        pivoting, where what is left counts as nothing if it is at most 8 max(m, n) epsilon times the longest column (row).
      balance: whether to decompose the pencil that `tfqz.balance` makes, and to bring its factors back by QR factorisations: in badly
        scaled pencils small eigenvalues s_jj / t_jj keep their digits so, while q s z^H and q t z^H may miss more of a and b, up to half of
        the digits; where they would miss more, a pencil is decomposed as it is. For square pencils without `rank`.
      backend: "native" (the C++ op), "scipy" (a host call to SciPy's LAPACK), "graph" (TensorFlow ops), or None for the
        environment variable TFQZ_BACKEND and, where that isn't set, the best that loads.
      on_failure: "raise", or "nan" to fill the factors of the batch elements that fail, and no others, with NaN.
      name: a name scope for the ops.

    Returns:
      `QZ(s, t, q, z)` of the common dtype (complex for `output="complex"`): s, t [..., m, n], q [..., m, m], z [..., n, n]; with `rank=k`
      s, t [..., k, k], q [..., m, k], z [..., n, k].

    Raises:
      TypeError: the dtypes differ or are not supported, a rank is no integer, or an argument is no dense tensor.
      ValueError: the static shapes don't fit, a rank is none of such matrices, or an option is unknown or can't be had.
      tf.errors.InvalidArgumentError: the shapes don't fit, a pencil has NaN or Inf, or QZ didn't converge; names the batch
        element.

    References:
      C. B. Moler and G. W. Stewart, An algorithm for generalized matrix eigenvalue problems, SIAM J. Numer. Anal. 10 (1973)
      241-256, in the processor's vectors. For large pencils LAPACK's xGGES3 (multishift QZ with aggressive early deflation;
      B. Kagstrom and D. Kressner, SIAM J. Matrix Anal. Appl. 29 (2007) 199-227).
    """
    checks.choice("output", output, checks.OUTPUTS)
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    backend = _backends.choose(backend)
    with tf.name_scope(name or "qz"):
        a, b = checks.pencil(a, b)
        if checks.OUTPUTS[output] == "complex" and not a.dtype.is_complex:
            a, b = blocks.to_complex(a), blocks.to_complex(b)
        if balance:

            def decompose(a, b):
                return backend.factorize(a, b, on_failure)

            outputs = balancing.decomposed(a, b, rank, rank_of_b, decompose, backend, ordered=False)
            return QZ(*registration.factors_of(a, b, outputs[:4], backend))
        compressed = compression.compress(a, b, rank, rank_of_b, backend, on_failure)
        if compressed is None:
            return QZ(*registration.factors(a, b, backend, on_failure))
        factors = backend.factorize(*compressed.pencil, on_failure)[:4]
        return QZ(*compressed.factors(factors, backend, on_failure))
