"""`tfqz.klein`: linear rational expectations models."""

from typing import NamedTuple

import tensorflow as tf

from tfqz import _backends
from tfqz._api import ordqz, selection, systems
from tfqz._derivative import expectations, failed, linear
from tfqz._form import blocks, checks, orthogonal, powers, tolerances
from tfqz._form.products import matmul
from tfqz._form.traces import in_one_call, traced
from tfqz._form.types import Backend, Matrix, OnFailure, not_converted

_MODEL = "`a`, `b`, `c` must be a model with one stable solution; got {got} "
# What can be wrong with a model, in the order in which it is looked for, and what is got.
_PROBLEMS = (
    "`a`, `b`, `c` must be a model on whose pencil QZ converges and puts stable eigenvalues first; it failed{where}",
    _MODEL + "eigenvalues 0/0, det(a + b z + c z^2) = 0 for all z: equations that don't determine the variables{where}",
    _MODEL + "stable eigenvalues for {n} variables: indeterminate{where}",
    _MODEL + "stable eigenvalues for {n} variables: no stable solution{where}",
    _MODEL + "stable eigenvalues for as many variables, and the rank condition fails: from some y(-1) there is no stable solution{where}",
)


class Klein(NamedTuple):
    """The solution y = policy y(-1) + impact e, [..., n, n] and [..., n, k] or None, and `unique`, [...], int32: 0 where it is the only
    stable one, else the number of stable eigenvalues minus n."""

    policy: tf.Tensor
    impact: tf.Tensor | None
    unique: tf.Tensor


@not_converted
def klein(
    a: Matrix,
    b: Matrix,
    c: Matrix,
    d: Matrix | None = None,
    *,
    tolerance: float = 0.0,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> Klein:
    """The stable solution of a linear rational expectations model, or of a batch:

        a y(-1) + b y + c E y(+1) + d e = 0          y = policy y(-1) + impact e

    There is one if as many eigenvalues z, det(a + b z + c z^2) = 0, are stable as there are variables (Blanchard and Kahn), and the rank
    condition holds: variables that nothing but the future determines have an unstable eigenvalue each, infinite ones among them. More
    leave the model indeterminate, and with fewer it has no stable solution.

    Differentiable in all coefficients, to every order, in reverse and forward mode. Stable eigenvalues may coincide among themselves, and
    so may the others, as the zero ones do of variables without a lag, and the infinite ones of those without a lead. Units of variables
    and factors of equations matter little: powers of 2 make them even first.

    Args:
      a, b, c: [..., n, n], float32, float64, complex64 or complex128, of one dtype; the batch shapes broadcast. An equation is a row.
      d: None, or [..., n, k], of the same dtype.
      tolerance: a number: eigenvalues |z| < 1 + tolerance are stable. With 1e-8 unit roots are, with -1e-8 they are not, whatever
        rounding did to them.
      backend, name: as for `tfqz.qz`.
      on_failure: "raise", or "nan" to fill the solutions of the batch elements that fail, and no others, with NaN: `unique` tells them.
        Put numbers in the place of NaN before anything is computed from it, `tf.where(unique[..., None, None] == 0, policy, 0)`: then
        the gradients of these elements are 0.

    Returns:
      `Klein(policy, impact, unique)`: policy [..., n, n]; impact, [..., n, k], None without `d`; unique, [...], int32: 0 where there is
      one stable solution, k > 0 where there are k more stable eigenvalues than variables, or k that are 0/0, and -k where there are k
      fewer, or as many, and from k dimensions of y(-1) there is no stable solution. -n where the arguments have NaN or Inf.

    Raises:
      TypeError, ValueError: the dtypes differ or are not supported; the static shapes don't fit; `tolerance` is no number above -1.
      tf.errors.InvalidArgumentError: an argument has NaN or Inf; there is no stable solution, or more than one; the equations don't
        determine the variables; names the reason and the batch element.

    References:
      P. Klein, Using the generalized Schur form to solve a multivariate linear rational expectations model, J. Econ. Dyn. Control 24 (2000)
      1405-1423; O. J. Blanchard and C. M. Kahn, The solution of linear difference models under rational expectations, Econometrica 48
      (1980) 1305-1311.
    """
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    selection.check("iuc", tolerance)
    backend = _backends.choose(backend)
    native = backend is _backends.native
    with tf.name_scope(name or "klein"):
        sizes = {"a": "nn", "b": "nn", "c": "nn", "d": "nk"}
        (a, b, c, d), good = systems.arguments({"a": a, "b": b, "c": c, "d": d}, sizes, backend, on_failure)
        scales, T, factors, unique, failing = _value(a, b, c, good, tolerance=tolerance, backend=backend, on_failure=on_failure)
        rows, columns, unit, change = scales
        A, B, C = a * unit, b * unit, c * unit
        T = expectations.policy(A, B, C, T, *factors, native)
        if d is None:
            return Klein(T * change, None, unique)
        return Klein(T * change, _impact(B, C, d * rows, T, failing, native) * columns, unique)


@in_one_call
def _value(a, b, c, good, *, tolerance, backend, on_failure):
    """What `_pencil` scales by; T of the scaled coefficients and the two lists of factors of `expectations.policy`; `unique`; and which
    elements fail."""
    rows, columns, unit, change, *pencil = _pencil(*systems.isolated(good, a, b, c))
    # Of the reciprocals, the largest of which QZ finds first: hardly any have to be exchanged.
    outputs, labels = ordqz.reordered(*pencil, "ouc", 1 / (1 + tolerance) - 1, backend, "nan")
    C = c * unit
    T, M, unique, *problem = _solution(*outputs[:2], *outputs[3:], labels, good, b * unit, C)
    failing = _failing(*problem, good, checks.inner(a.shape)[-1], backend, on_failure)
    M, T, C = systems.isolated(~failing, M, T, C)
    factors = failed.marked(failing, backend.factorize(M, C, on_failure)[:4]), list(backend.schur(T, on_failure))
    return (rows, columns, unit, change), T, factors, unique, failing


@traced
def _pencil(a, b, c):
    """Powers of 2 for the rows and the columns of the coefficients, [..., n, 1], such that the largest entry of each row and column of all
    three together is about 1; their products, [..., n, n]; what takes the policy back; and the pencil of the scaled coefficients,
    [I 0; 0 c] and [0 I; -a -b].

    By D. Ruiz, A scaling algorithm to equilibrate both rows and columns norms in matrices, RAL-TR-2001-034. Small entries, which may be
    rounding errors, have no say in it.
    """
    modulus = tf.maximum(tf.maximum(tf.abs(a), tf.abs(b)), tf.abs(c))
    rows, columns = tf.ones_like(modulus[..., :1]), tf.ones_like(modulus[..., :1, :])
    for _ in range(5):
        scaled = modulus * rows * columns
        rows, columns = (x / tf.sqrt(_largest(scaled, axis)) for x, axis in ((rows, -1), (columns, -2)))
    rows, columns = powers.up_to(rows), powers.up_to(columns)
    rows, columns = (blocks.of_dtype(x, a.dtype) for x in (rows, columns))
    unit, of_variables = rows * columns, tf.linalg.matrix_transpose(columns)
    a, b, c = (x * unit for x in (a, b, c))
    eye, zero = blocks.identity_like(a), tf.zeros_like(a)
    first, second = systems.matrix_of((eye, zero), (zero, c)), systems.matrix_of((zero, eye), (-a, -b))
    return rows, of_variables, unit, of_variables / columns, first, second


def _largest(x, axis):
    """The maximum along an axis, which stays, of numbers >= 0; 1 where all are 0."""
    largest = tf.reduce_max(x, axis=axis, keepdims=True)
    return tf.where(largest > 0, largest, tf.ones_like(largest))


@traced
def _solution(S, N, Z, alpha, beta, labels, good, B, C):
    """T = X2 X1^{-1}, from the first n columns of Z, [X1; X2]; M = B + C T; how `unique` it is; and what is wrong.

    Args:
      S, N, Z: [..., 2n, 2n], factors with the stable eigenvalues first; alpha, beta: [..., 2n], these.
      labels: [..., 2n], 1 for stable eigenvalues.
      good: [...], whether arguments are finite.
      B, C: [..., n, n].

    Returns:
      T, M, [..., n, n]; `unique`, [...], int32; the number of the problem, counted from 1 in _PROBLEMS, 0 for none; and what is got.
    """
    n, count = tf.shape(B)[-1], selection.count(labels)
    found = failed.succeeded(S)
    Z = tf.where(found[..., None, None], Z, blocks.identity_like(Z))
    Q, R = orthogonal.qr(tf.linalg.adjoint(Z[..., :n, :n]))
    T = tf.linalg.adjoint(linear.value(Q, R, tf.linalg.adjoint(Z[..., n:, :n])))
    # |[X1; X2]| = 1: where X1 is singular up to rounding either R says so or T is as large.
    limit = tolerances.zero_pair(S.dtype, 2 * n)
    deficient = tf.reduce_sum(tf.cast(tf.abs(tf.linalg.diag_part(R)) <= limit, tf.int32), axis=-1)
    too_large = tf.reduce_any(~(limit * tf.abs(T) < 1), axis=[-2, -1])
    deficient = tf.maximum(deficient, tf.cast(too_large, tf.int32))
    nothing = [tf.abs(x) <= limit * blocks.largest(X)[..., 0] for x, X in ((alpha, S), (beta, N))]
    nothing = tf.reduce_sum(tf.cast(nothing[0] & nothing[1], tf.int32), axis=-1)
    # M is regular where no eigenvalue is 0/0: another way to tell, for rounding may hide these.
    M = B + matmul(C, T)
    regular = tf.where((good & tf.equal(count, n))[..., None, None], M, blocks.identity_like(M))
    diagonal = tf.abs(tf.linalg.diag_part(orthogonal.qr(regular)[1]))
    dependent = tf.reduce_sum(tf.cast(diagonal <= limit * blocks.largest(regular)[..., 0], tf.int32), axis=-1)
    nothing = tf.maximum(nothing, tf.where(deficient > 0, tf.zeros_like(dependent), dependent))
    unique = tf.where(nothing > 0, nothing, tf.where(tf.equal(count, n), -deficient, count - n))
    found &= good
    problem = tf.where(tf.equal(count, n), 5 * tf.minimum(deficient, 1), tf.where(count > n, 3, 4))
    problem = tf.where(found, tf.where(nothing > 0, 2, problem), tf.where(good, 1, 0))
    return T, M, tf.where(found, unique, -n), problem, tf.where(nothing > 0, nothing, count)


def _impact(B, C, D, T, failing, native):
    """-M^{-1} D, M = B + C T; NaN where T and `failing` are."""
    (known,) = systems.isolated(~failing, T)
    (M,) = systems.isolated(~failing, B + matmul(C, known))
    return failed.filled(failing, [-linear.solve(M, D, native)])[0]


def _failing(problem, got, good, n, backend, on_failure):
    """[...]: which elements fail; an error about the first one that has a problem, where one shall and can be raised."""
    texts = [text.replace("{n}", "n" if n is None else str(n)) for text in _PROBLEMS]
    return (systems.told(problem, got, texts, backend, on_failure) > 0) | ~good
