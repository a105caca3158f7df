"""TensorFlow operations alone: any device, any XLA, and saved models that need no op library."""

import numpy as np
import tensorflow as tf

from tfqz._backends import balancing, exchange, frames, iteration
from tfqz._backends import eigenvectors as eigenvectors_in_ops
from tfqz._form import blocks, canonical, checks, eigenvalues, powers, standard
from tfqz._form.traces import traced

_INFINITE_A, _INFINITE_B, _NO_CONVERGENCE, _INFINITE_S, _NO_ORDER, _NO_QR_CONVERGENCE, _OVERFLOW, _NO_SVD, _QR_OVERFLOW = range(1, 10)
_TEXTS = {
    _INFINITE_A: checks.FINITE.replace("{name}", "a"),
    _INFINITE_B: checks.FINITE.replace("{name}", "b"),
    _NO_CONVERGENCE: checks.CONVERGENCE.replace("{why}", f"backend graph gave up after {iteration.SWEEPS} n sweeps"),
    _NO_QR_CONVERGENCE: checks.QR_CONVERGENCE.replace("{why}", f"backend graph gave up after {iteration.SWEEPS} n sweeps"),
    _INFINITE_S: checks.FINITE.replace("{name}", "s"),
    _NO_ORDER: checks.ORDER.replace("{why}", "backend graph refused an exchange"),
    _OVERFLOW: checks.CONVERGENCE.replace("{why}", "backend graph got NaN or Inf"),
    _QR_OVERFLOW: checks.QR_CONVERGENCE.replace("{why}", "backend graph got NaN or Inf"),
    _NO_SVD: checks.SVD_CONVERGENCE.replace("{why}", "backend graph got NaN or Inf"),
}


def why_not():
    return None


def versions():
    return {"runs on": "what TensorFlow runs on"}


def factorize(a, b, on_failure):
    with tf.control_dependencies(pencil_assertions(a, b)):
        *outputs, problems = factorize_or_tell(a, b)
    return _checked(outputs, problems, on_failure, checks.factor_shape(a.shape, b.shape))


def reorder(factors, labels, on_failure):
    *outputs, problems = reorder_or_tell(*factors, labels)
    return _checked(outputs, problems, on_failure, factors[0].shape)


def check(failing, got, text):
    """`failing`, [...], or, outside XLA, an error about the first element where it is true: `text` with {got} and {where} filled in."""
    if tf.executing_eagerly():
        _raise_first(failing, got, lambda number: text.replace("{got}", str(number)))
        return failing
    index, number = _first(failing, got)
    where, place = ("", []) if failing.shape.rank == 0 else (" in batch element", [index])
    before, after = text.split("{got}") if "{got}" in text else (None, text)
    said = [*([] if before is None else [before, number]), after.format(where=where), *place]
    with tf.control_dependencies([tf.debugging.Assert(~tf.reduce_any(failing), said)]):
        return tf.identity(failing)


def schur(a, on_failure):
    with tf.control_dependencies(square_assertions(a)):
        *outputs, problems = schur_or_tell(a)
    return _checked(outputs, problems, on_failure, checks.factor_shape(a.shape, a.shape))


def eigenvectors(S, T, Q, Z, left, right):
    found = eigenvectors_in_ops.in_ops(S, T, Q, Z, left=left, right=right)
    for x in found:
        x.set_shape(S.shape)
    return found


def compress(a, b, rank, on_failure, left):
    with tf.control_dependencies(pencil_assertions(a, b, square=False)):
        *outputs, problems = compress_or_tell(a, b, rank=rank, left=left)
    return _raised(outputs, problems, on_failure)


def complement(x):
    return list(complement_in_ops(x))


def svd(b, on_failure):
    with tf.control_dependencies([] if b.shape.rank is not None else [_matrix_assertion("b", tf.shape(b), ["got", tf.shape(b)])]):
        *outputs, problems = svd_or_tell(b)
    return _raised(outputs, problems, on_failure)


def balance(M, similarity):
    return list(balance_in_ops(M, similarity=similarity))


@traced
def balance_in_ops(M, *, similarity):
    """As `balancing.exponents`."""
    return balancing.exponents(M, similarity)


@traced
def compress_or_tell(a, b, *, rank, left):
    """X, the rank of b, A X and B X, see `frames.compressed`, NaN and -1 for each batch element that fails, and the problems: [...], 0 for
    none. `left`: X of the adjoint pencil, X^H A and X^H B."""
    (a, b), problems, batch = _usable_pencil(a, b)
    usable = tf.equal(problems, 0)
    (a, b), scales = powers.near_one([a, b])
    if left:
        X, found, A, B = frames.compressed(*map(tf.linalg.adjoint, (a, b)), rank)
        A, B = tf.linalg.adjoint(A), tf.linalg.adjoint(B)
    else:
        X, found, A, B = frames.compressed(a, b, rank)
    A, B = powers.all_gradually([A, B], scales)
    X, A, B, problems = _nan_where_failed([X, A, B], problems, batch)
    return X, tf.reshape(tf.where(usable, found, -1), batch), A, B, problems


@traced
def complement_in_ops(X):
    """As `frames.complement`."""
    return frames.complement(X)


@traced
def svd_or_tell(B):
    """U, s, V of b, thin, NaN for each batch element that fails, and the problems."""
    batch = tf.shape(B)[:-2]
    B, problems = _usable_matrix(B, _INFINITE_B)
    (B,), (scale,) = powers.near_one([B])
    U, s, V = frames.singular_vectors(B, lambda H: schur_or_tell(H)[:2])
    s = powers.gradually(s, scale[:, 0])
    good = tf.reduce_all(tf.stack([_is_finite(x) for x in (U, s[:, None], V)]), axis=0)
    return _nan_where_failed([U, s, V], tf.where(tf.equal(problems, 0) & ~good, _NO_SVD, problems), batch)


@traced
def factorize_or_tell(a, b):
    """S, T, Q, Z, alpha, beta in canonical form, NaN for each batch element that fails, and the problems: [...], 0 for none."""
    pencil, problems, batch = _usable_pencil(a, b)
    pencil, scales = powers.near_one(pencil)
    *factors, converged = iteration.qz(*pencil)
    problems = tf.where(tf.equal(problems, 0) & ~converged, _NO_CONVERGENCE, problems)
    return _finish(factors, scales, problems, batch)


@traced
def reorder_or_tell(S, T, Q, Z, labels):
    """The same for factors in canonical form, whose eigenvalues come in descending order of their labels then."""
    batch = tf.shape(S)[:-2]
    factors = [_flat(x) for x in (S, T, Q, Z)]
    problems = tf.where(_is_finite(factors[0]), 0, _INFINITE_S)
    usable = tf.equal(problems, 0)[:, None, None]
    S, T, Q, Z = (blocks.masked(usable, x) for x in factors)
    (S, T), scales = powers.near_one([S, T])
    *factors, pair, refused = exchange.reorder(S, T, Q, Z, tf.reshape(labels, tf.shape(S)[:2]))
    if not S.dtype.is_complex:
        factors = standard.standardize(*factors, pair)
    problems = tf.where(tf.equal(problems, 0) & refused, _NO_ORDER, problems)
    return _finish(factors, scales, problems, batch)


@traced
def schur_or_tell(A):
    """T, Z of the ordinary Schur form, NaN for each batch element that fails, and the problems. From QZ of the pencil (A, I)."""
    batch = tf.shape(A)[:-2]
    A, problems = _usable_matrix(A, _INFINITE_A)
    (A,), (scale,) = powers.near_one([A])
    S, T, Q, Z, converged = iteration.qz(A, blocks.identity_like(A))
    problems = tf.where(tf.equal(problems, 0) & ~converged, _NO_QR_CONVERGENCE, problems)
    # T is diagonal and of modulus 1 up to rounding: with it taken into Q both unitary factors are the same.
    S, _, _, Z = canonical.canonicalize(S, T, Q, Z)
    S, Z = canonical.canonicalize_schur(S, Z)
    S = powers.gradually(S, scale)
    problems = tf.where(tf.equal(problems, 0) & ~(_is_finite(S) & _is_finite(Z)), _QR_OVERFLOW, problems)
    return _nan_where_failed([S, Z], problems, batch)


def _usable_pencil(a, b):
    """Both, [batch, m, n], with zeros for elements that aren't finite, the problems, [batch], and the common batch shape."""
    shape = tf.shape(a)
    batch = tf.broadcast_dynamic_shape(shape[:-2], tf.shape(b)[:-2])
    shape = tf.concat([batch, shape[-2:]], axis=0)
    a, b = (_flat(tf.broadcast_to(x, shape)) for x in (a, b))
    problems = tf.where(_is_finite(a), tf.where(_is_finite(b), 0, _INFINITE_B), _INFINITE_A)
    usable = tf.equal(problems, 0)[:, None, None]
    return [blocks.masked(usable, x) for x in (a, b)], problems, batch


def _usable_matrix(x, problem):
    """The same of one matrix, without its batch shape; `problem`: that of elements that aren't finite."""
    x = _flat(x)
    problems = tf.where(_is_finite(x), 0, problem)
    return blocks.masked(tf.equal(problems, 0)[:, None, None], x), problems


def _flat(x):
    """[batch, n, n] of [..., n, n]."""
    flat = tf.reshape(x, tf.concat([[tf.reduce_prod(tf.shape(x)[:-2])], tf.shape(x)[-2:]], axis=0))
    flat.set_shape([None, None, None])
    return flat


def _finish(factors, scales, problems, batch):
    """S, T, Q, Z in canonical form, alpha, beta and the problems, with the dimensions `batch`, of the factors, [batch, n, n], of what
    `powers.near_one` made of a pencil."""
    S, T, Q, Z = factors
    S, T, Q, Z = canonical.canonicalize(*powers.without_underflowing(S, T, scales), Q, Z)
    alpha, beta = eigenvalues.alpha_beta(S, T)
    S, T, alpha, beta = powers.back_from_one(S, T, alpha, beta, scales)
    factors = [S, T, Q, Z]
    results = [*factors, alpha, beta]
    finite = tf.reduce_all(tf.stack([_is_finite(x) for x in factors] + [_is_finite(x[:, None]) for x in results[4:]]), axis=0)
    return _nan_where_failed(results, tf.where(tf.equal(problems, 0) & ~finite, _OVERFLOW, problems), batch)


def _nan_where_failed(results, problems, batch):
    """The results and the problems, unflattened."""
    of_vectors = blocks.as_columns(problems > 0)
    of_matrices = blocks.as_columns(of_vectors)
    outputs = []
    for x in results:
        x = tf.where(of_vectors if x.shape.rank == 2 else of_matrices, tf.constant(float("nan"), x.dtype), x)
        outputs.append(tf.reshape(x, tf.concat([batch, blocks.sizes(x, axes=x.shape.rank - 1)], axis=0)))
    return [*outputs, tf.reshape(problems, batch)]


def _checked(outputs, problems, on_failure, shape):
    """The outputs, in eager code and graphs with an error for the first element that has a problem, and with their static shapes."""
    outputs = _raised(outputs, problems, on_failure)
    for i, output in enumerate(outputs):
        output.set_shape(shape if i < 4 else shape[:-1])
    return outputs


def _raised(outputs, problems, on_failure):
    """The outputs, in eager code and graphs with an error for the first element that has a problem."""
    if on_failure != "raise":
        return list(outputs)
    with tf.control_dependencies(_assertions(problems)):
        return [tf.identity(output) for output in outputs]


def _is_finite(x):
    """[...]: whether all entries of [..., n, n] are finite."""
    parts = [tf.math.real(x), tf.math.imag(x)] if x.dtype.is_complex else [x]
    return tf.reduce_all(tf.stack([tf.reduce_all(tf.math.is_finite(part), axis=[-2, -1]) for part in parts]), axis=0)


def pencil_assertions(a, b, square=True):
    """What `checks.shapes` checks, for shapes that are known only at run time; `square`: that of square ones."""
    if a.shape.is_fully_defined() and b.shape.is_fully_defined():
        return []
    (a, b), ranks = (tf.shape(a), tf.shape(b)), (tf.rank(a), tf.rank(b))
    got = ["got", a, "and", b]
    of_one = _square_assertion if square else _matrix_assertion
    assertions = [of_one("a", a, got), of_one("b", b, got)]
    with tf.control_dependencies(assertions):
        same = tf.reduce_all(tf.equal(a[-2:], b[-2:]))
        assertions.append(tf.debugging.Assert(same, ["`b` must have the same inner shape as `a`;", *got]))
        rank = tf.maximum(*ranks) - 2
        sizes = [tf.pad(shape[:-2], [[rank + 2 - tf.size(shape), 0]], constant_values=1) for shape in (a, b)]
        broadcast = tf.reduce_all(tf.equal(sizes[0], sizes[1]) | tf.equal(sizes[0], 1) | tf.equal(sizes[1], 1))
        assertions.append(tf.debugging.Assert(broadcast, ["`a` and `b` must have batch shapes that broadcast;", *got]))
    return assertions


def system_assertions(given, sizes):
    """What `checks.system` checks, for shapes that are known only at run time; the arguments, the tensors of a dict, may be None."""
    shapes = {name: tf.shape(x) for name, x in given.items() if x is not None}
    got = [part for name, shape in shapes.items() for part in (f"`{name}`", shape)]
    assertions = [_matrix_assertion(name, shape, ["got", *got]) for name, shape in shapes.items()]
    known = {}
    with tf.control_dependencies(assertions):
        for name, shape in shapes.items():
            for place, letter in zip((-2, -1), sizes[name]):
                expected = known.setdefault(letter, shape[place])
                rule = f"`{name}` must be [..., {', '.join(sizes[name])}], {letter} being the same in all;"
                assertions.append(tf.debugging.Assert(tf.equal(shape[place], expected), [rule, "got", *got]))
    return assertions


def _matrix_assertion(name, shape, got):
    """An assertion that there are two sizes at least; the error names the argument and what was `got`."""
    return tf.debugging.Assert(tf.size(shape) >= 2, [f"`{name}` must be a matrix or a batch of them, [..., m, n];", *got])


def square_assertions(a):
    """Assertions, a list, that `a` is [..., n, n], where its static shape doesn't tell."""
    return [] if a.shape.is_fully_defined() else [_square_assertion("a", tf.shape(a), ["got", tf.shape(a)])]


def _square_assertion(name, shape, got):
    """An assertion that the last two sizes of `shape` are equal; the error names the argument and what was `got`."""
    # Of rank 0 or 1 the last two sizes are, with these in front, different ones.
    last = tf.concat([[-1, -2], shape], axis=0)[-2:]
    return tf.debugging.Assert(tf.equal(last[0], last[1]), [f"`{name}` must be square, [..., n, n];", *got])


def _assertions(problems):
    """An error for the first batch element that failed. In programs of XLA these do nothing, and NaN is what tells."""
    if tf.executing_eagerly():
        _raise_first(problems > 0, problems, _TEXTS.get)
        return []
    index, problem = _first(problems > 0, problems)
    where = " in batch element"
    return [tf.debugging.Assert(tf.not_equal(problem, k), [text.format(where=where), index]) for k, text in _TEXTS.items()]


def _raise_first(failing, numbers, text):
    """Raises an error about the first element where `failing` is true, if there is one: `text(number)` of its number."""
    for index in map(tuple, np.argwhere(failing.numpy())):
        message = text(int(numbers[index])).format(where=checks.batch_element(index))
        raise tf.errors.InvalidArgumentError(None, None, message)


def _first(failing, numbers):
    """The index, [rank], and the number of the first element where `failing`, [...], is true; 0 if there is none."""
    shape = tf.shape(failing)
    first = tf.argmax(tf.concat([tf.reshape(failing, [-1]), [True]], axis=0), output_type=tf.int32)
    index = first // tf.math.cumprod(shape, exclusive=True, reverse=True) % shape
    # Gathered, not sliced: where a slice begins is a constant to XLA, with all that it depends on, and programs are compiled for each.
    return index, tf.gather(tf.concat([tf.reshape(numbers, [-1]), [0]], axis=0), first)
