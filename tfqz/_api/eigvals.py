"""`tfqz.eigvals`, the generalized eigenvalues."""

import tensorflow as tf

from tfqz import _backends
from tfqz._api import balance as balancing
from tfqz._api import compression
from tfqz._derivative import registration
from tfqz._form import checks, eigenvalues
from tfqz._form.types import Backend, Matrix, OnFailure, not_converted


@not_converted
def eigvals(
    a: Matrix,
    b: Matrix,
    homogeneous_eigvals: bool = False,
    *,
    rank: int | None = None,
    rank_of_b: int | None = None,
    balance: bool = False,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tf.Tensor:
    """Generalized eigenvalues of a pencil, or of a batch: the lambda for which a x = lambda b x has a solution x.

    Of rectangular matrices those of a pinv(b), m < n, or pinv(b) a, m > n; with `rank=k` those of a pinv(b_k) other than 0, with b's best
    approximation b_k of rank k.

    They come from QZ, in the order in which it finds them, and so does their gradient: for a simple eigenvalue with right and left
    eigenvectors x and y it is y^H (da - lambda db) x / (y^H b x), exact to every order whatever the others do among themselves, members of
    a defective cluster on both sides included.
    Where eigenvalues coincide single ones have no derivative; their gradient is finite, and functions in which those that coincide
    count alike keep theirs, right to about the square root of the precision: a trace or the logarithm of a determinant where they
    are semisimple; a trace also at one Jordan block of size 2 (of size 3: to the cube root). What is lost is the derivative of
    curved functions where a defective eigenvalue comes out of QZ unsplit, and of any where several blocks have the same one.

    Args:
      a: [..., m, n], float32, float64, complex64 or complex128.
      b: [..., m, n], of the same dtype; the batch shapes broadcast.
      homogeneous_eigvals: whether to return alpha and beta, of which alpha / beta are the eigenvalues.
      balance: whether to take the eigenvalues, and their gradient, of the pencil that `tfqz.balance` makes: the same ones, and of badly
        scaled pencils with more digits. alpha and beta are those of that pencil, as large as its entries. For square pencils without
        `rank`.
      rank, rank_of_b, backend, on_failure, name: as in `tfqz.qz`.

    Returns:
      [..., p], complex64 or complex128, p being the smaller one of m and n, or `rank`. An infinite eigenvalue is inf + 0i and an
      undetermined one, 0/0, is NaN, both with gradient 0. If `homogeneous_eigvals`, [..., 2, p]: alpha and beta, beta real and >= 0, which
      have gradients at infinite eigenvalues too.

    Raises:
      As `tfqz.qz`.

    References:
      G. W. Stewart and J. Sun, Matrix Perturbation Theory, 1990, section VI.2.
    """
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    with tf.name_scope(name or "eigvals"):
        alpha, beta = alpha_and_beta(a, b, backend, on_failure, rank, rank_of_b, not homogeneous_eigvals, balance)
        return eigenvalues.homogeneous(alpha, beta) if homogeneous_eigvals else eigenvalues.quotient(alpha, beta)


def alpha_and_beta(a, b, backend, on_failure, rank=None, rank_of_b=None, ratios=False, balance=False):
    """alpha, [..., p], complex, and beta, [..., p], of the pencil's dtype with real values >= 0. `ratios`: a Python bool, whether they are
    for `eigenvalues.quotient`."""
    backend = _backends.choose(backend)
    a, b = checks.pencil(a, b)
    if balance:
        balancing.check_square(a.shape, b.shape, rank, rank_of_b)
        a, b = balancing.balanced(a, b, backend)[0]
    compressed = None if balance else compression.compress(a, b, rank, rank_of_b, backend, on_failure)
    if compressed is None:
        return registration.eigenvalues(a, b, backend, on_failure, ratios)
    return compressed.eigenvalues(backend.factorize(*compressed.pencil, on_failure), backend, ratios)
