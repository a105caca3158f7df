"""The C++ ops, LAPACK and the gradients on the CPU, the batch shared over its threads; and `Tfqz>Attach`, which carries a gradient."""

import functools
import zlib

import tensorflow as tf

from tfqz._backends import eigenvectors as eigenvectors_in_ops
from tfqz._backends import graph, library, scipy
from tfqz._form import checks, traces
from tfqz._form.interrupts import as_keyboard_interrupts


def why_not():
    return library.load()[1]


versions = library.versions


def factorize(a, b, on_failure, apart=False, ratios=False):
    """`apart` and `ratios` are for the op's gradient, see `qz_gradient`."""
    dtype = checks.complex_dtype(a.dtype)
    return _call("qz", [a, b], graph.factorize_or_tell, on_failure=on_failure, apart=apart, ratios=ratios, Tcomplex=dtype)


def reorder(factors, labels, on_failure):
    dtype = checks.complex_dtype(factors[0].dtype)
    return _call("reorder", factors, graph.reorder_or_tell, [labels], on_failure=on_failure, Tcomplex=dtype)


def schur(a, on_failure):
    return _call("schur", [a], graph.schur_or_tell, on_failure=on_failure)


def eigenvectors(S, T, Q, Z, left, right):
    dtype = checks.complex_dtype(S.dtype)
    body = _with_flags(eigenvectors_in_ops.in_ops, left=left, right=right)
    return _call("eigenvectors", [S, T, Q, Z], body, left=int(left), right=int(right), Tcomplex=dtype)


zeros = scipy.zeros


def solve_bordered(matrices, ratios, in_ops, adjoint):
    """The unknowns, [..., n, n], of the equations of `_derivative/eigenpairs.py`: what `in_ops` computes from four matrices and s, t."""
    return _call("solve_bordered", matrices, _with_flags(in_ops, adjoint=adjoint), ratios, adjoint=adjoint)[0]


def solve_triangular(S, T, first, second, in_ops, **flags):
    """The unknowns of both coupled equations, [..., n, n]: what `in_ops` computes, the `solve` of `_derivative/triangular.py`, with its
    `flags`."""
    return _call("solve_triangular", [S, T, first, second], _with_flags(in_ops, **flags), **flags)


def solve_block(first, second, M, N, in_ops, **flags):
    """Both unknowns, [..., m, k], and how many pairs of eigenvalues coincide: what `in_ops` computes, `solve_block_in_ops` of
    `_derivative/equations.py`, with its `flags`."""
    return _call("solve_block", [*first, *second, M, N], _with_flags(in_ops, **flags), **flags)


def basis(X, count, in_ops):
    """B and the chosen rows, as `_derivative/bases.py` says, which `in_ops` does as well."""
    return _call("basis", [X], in_ops, numbers=[count])


def qz_gradient(factors, factor_cotangents, in_ops, pencil=(), eigenvalue_cotangents=(), **flags):
    """Cotangents of A and B, [..., n, n]: what `in_ops` computes, the `pullback` of `_derivative/gradient.py`, with its `flags`; the other
    arguments are in its order. `pencil` may be empty where the op is not differentiated."""
    function = _with_flags(in_ops, moving=False, **flags)
    lists = [list(pencil), *([[x] for x in eigenvalue_cotangents] or [[], []])]
    return _call("qz_gradient", [*factors, *factor_cotangents, *pencil], function, eigenvalue_cotangents, lists=lists, **flags)


def compress(a, b, rank, on_failure, left):
    stated = -1 if rank is None else rank
    body = _with_flags(graph.compress_or_tell, rank=rank, left=left)
    return _call("compress", [a, b], body, rank=stated, adjoint=left, on_failure=on_failure)


def complement(x):
    return _call("complement", [x], graph.complement_in_ops)


def extend(a, x, beside, factors, left, in_ops):
    """S, T, Q, Z of a rectangular pencil, complete and in canonical form, from the inner `factors`, the frame and its complement: what
    `in_ops` computes, a function of (a, x, beside, s, t, q, z) with `left` as a keyword. The batch shape of `a` may be smaller."""
    return _call("extend", [a, x, beside, *factors], _with_flags(in_ops, left=left), adjoint=left)


def whole_gradient(tensors, rows, in_ops, **flags):
    """Cotangents of A and B, [..., m, n], m != n: what `in_ops` computes, `_whole` of `_derivative/rectangular.py`, with its `flags`.
    `tensors` are in its order, and `rows` the chosen ones, [..., n - p] and [..., m - p], int32."""
    return _call("whole_gradient", tensors, _with_flags(in_ops, **flags), rows)


def svd(b, on_failure):
    return _call("svd", [b], graph.svd_or_tell, on_failure=on_failure, Treal=b.dtype.real_dtype)


def balance(M, similarity):
    return _call("balance", [M], _with_flags(graph.balance_in_ops, similarity=similarity), similarity=similarity)


def check(failing, got, text):
    """`failing`, [...], or an error about the first element where it is true: `text` with {got} and {where} filled in."""
    return library.load()[0].tfqz_check(failing, got, text=text)


def attach(values, arguments, rule):
    """The values, as functions of the arguments with the gradient of a rule of `_derivative/attach.py`."""
    return list(library.load()[0].tfqz_attach(values, arguments, rule=rule))


@functools.cache
def _with_flags(function, **flags):
    """`function` with these options; the same object for the same ones, so that `_body` finds what it has made."""
    return lambda *inputs: function(*inputs, **flags)


def _call(name, matrices, function, vectors=(), numbers=(), lists=None, **attributes):
    """An op with inputs [..., n, n], [..., n] and [...]. `lists`: the last of these, if it takes them in lists."""
    body = b""
    if not tf.executing_eagerly() and traces.is_for_xla_too():
        body = _body(function, *(tuple(x.dtype for x in inputs) for inputs in (matrices, vectors, numbers)))
    inputs = [*matrices, *vectors, *numbers]
    if lists is not None:
        inputs = [*inputs[: len(inputs) - sum(map(len, lists))], *lists]
    with as_keyboard_interrupts():
        return tf.nest.flatten(getattr(library.load()[0], f"tfqz_{name}")(*inputs, body=body, **attributes))


@functools.cache
def _body(function, matrices, vectors, numbers):
    """What an op in a graph carries for XLA, as cc/ops/body.h says: the same in TensorFlow ops. `matrices`, `vectors`, `numbers`:
    dtypes."""
    with tf.init_scope():
        dtypes_by_rank = {3: matrices, 2: vectors, 1: numbers}
        inputs = [tf.TensorSpec([None] * rank, dtype) for rank, dtypes in dtypes_by_rank.items() for dtype in dtypes]
        concrete = tf.function(function, autograph=False).get_concrete_function(*inputs)
    functions = concrete.graph.as_graph_def().library
    functions.function.add().CopyFrom(concrete.function_def)
    return zlib.compress(functions.SerializeToString())


# With the import, so that saved models which have the op can be loaded.
library.load()
