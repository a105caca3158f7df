"""A host call to SciPy's LAPACK: no op library, no graph serialisation, no XLA."""

import importlib.metadata

import numpy as np
import scipy.linalg
import tensorflow as tf

from tfqz._backends import frames_on_host, graph, zeros_on_host
from tfqz._backends.on_host import broadcast_pencil, check_finite, each
from tfqz._form import canonical, checks, eigenvalues, powers, standard, tolerances
from tfqz._form.traces import traced


def why_not():
    return None


def versions():
    return {"runs with SciPy": importlib.metadata.version("scipy")}


def factorize(a, b, on_failure):
    def on_host(*inputs):
        return _host_qz(*(np.asarray(x) for x in inputs), on_failure == "nan")

    with tf.control_dependencies(graph.pencil_assertions(a, b)):
        pencil, scales = _near_one(a, b)
    return _finish(_call(on_host, [*pencil, *scales], checks.factor_shape(a.shape, b.shape)), scales)


def reorder(factors, labels, on_failure):
    def on_host(*inputs):
        return _host_reorder(*(np.asarray(x) for x in inputs), on_failure == "nan")

    S, T, Q, Z = factors
    pencil, scales = _near_one(S, T)
    return _finish(_call(on_host, [*pencil, Q, Z, labels, *scales], S.shape), scales)


check, balance, eigenvectors = graph.check, graph.balance, graph.eigenvectors


def schur(a, on_failure):
    def on_host(*inputs):
        return _host_schur(*(np.asarray(x) for x in inputs), on_failure == "nan")

    with tf.control_dependencies(graph.square_assertions(a)):
        (near,), (scale,) = _near_one(a)
    T, Z = canonical.canonicalize_schur(*_call(on_host, [near, scale], a.shape, count=2))
    return [powers.gradually(T, scale), Z]


def compress(a, b, rank, on_failure, left):
    def on_host(a, b):
        return frames_on_host.compress(np.asarray(a), np.asarray(b), rank, left, on_failure == "nan")

    with tf.control_dependencies(graph.pencil_assertions(a, b, square=False)):
        pencil, scales = _near_one(a, b)
    X, found, *inside = _called(on_host, pencil, [a.dtype, tf.int32, a.dtype, a.dtype])
    return [X, found, *_scaled_back(*inside, *scales)]


def complement(x):
    return _called(lambda x: frames_on_host.complement(np.asarray(x)), [x], [x.dtype, tf.int32])


def svd(b, on_failure):
    def on_host(b):
        return frames_on_host.svd(np.asarray(b), on_failure == "nan")

    (near,), (scale,) = _near_one(b)
    U, s, V = _called(on_host, [near], [b.dtype, b.dtype.real_dtype, b.dtype])
    return [U, _scaled_back(s[..., None], scale)[0][..., 0], V]


def zeros(P, N, n, on_failure):
    def on_host(P, N, n):
        P, N = np.asarray(P), np.asarray(N)
        found = zeros_on_host.zeros(P, N, int(n), on_failure == "nan")
        return [found, *zeros_on_host.null_vectors(P, N, found)]

    return _called(on_host, [P, N, n], [checks.complex_dtype(P.dtype)] * 3)


def _call(on_host, inputs, shape, count=4):
    """`count` matrices of the first input's dtype from a function of NumPy arrays."""
    factors = _called(on_host, inputs, [inputs[0].dtype] * count)
    for factor in factors:
        factor.set_shape(shape)
    return factors


def _called(on_host, inputs, dtypes):
    """Tensors of these dtypes from a function of NumPy arrays."""
    if tf.executing_eagerly():
        try:
            return [tf.constant(x) for x in on_host(*inputs)]
        except ValueError as error:
            raise tf.errors.InvalidArgumentError(None, None, str(error)) from None
    return tf.numpy_function(on_host, inputs, dtypes, stateful=False)


@traced
def _near_one(*matrices):
    """As `powers.near_one`, of matrices whose batch shapes may differ; the exponents have both. (The host, which may run in a thread of
    TensorFlow's, would take denormals for 0.)"""
    near, scales = zip(*(powers.near_one([x]) for x in matrices))
    scales = [scale for (scale,) in scales]
    common = tf.shape(sum(scales))
    return [x for (x,) in near], [tf.broadcast_to(scale, common) for scale in scales]


@traced
def _scaled_back(*matrices_and_scales):
    """Matrices of one shape times powers of two, as many of these after them."""
    half = len(matrices_and_scales) // 2
    return powers.all_gradually(matrices_and_scales[:half], matrices_and_scales[half:])


def _finish(factors, scales):
    outputs = _canonical_with_eigenvalues(*factors, *scales)
    for output in outputs:
        output.set_shape(factors[0].shape[: output.shape.rank])  # which a trace for any sizes doesn't know
    return outputs


@traced
def _canonical_with_eigenvalues(S, T, Q, Z, *scales):
    if not S.dtype.is_complex:
        S, T, Q, Z = standard.split_real(S, T, Q, Z)
    S, T, Q, Z = canonical.canonicalize(*powers.without_underflowing(S, T, scales), Q, Z)
    S, T, alpha, beta = powers.back_from_one(S, T, *eigenvalues.alpha_beta(S, T), scales)
    return [S, T, Q, Z, alpha, beta]


def _host_qz(a, b, scale_a, scale_b, fill_failures):
    """Factors of NumPy arrays as LAPACK gives them, S and T of which are to be multiplied by 2^scale_a, 2^scale_b. Raises ValueError, which
    TensorFlow turns into InvalidArgumentError."""
    checks.square("a", tf.TensorShape(a.shape), f"{a.shape} and {b.shape}")
    batch, a, b = broadcast_pencil(a, b)
    scales = [np.broadcast_to(x, (*batch, 1, 1)) for x in (scale_a, scale_b)]
    return _each(_one_qz, [a, b, *scales], 4, fill_failures)


def _each(work, inputs, count, fill_failures):
    """`count` matrices like the first input's for each batch element, from `work` of its part of the inputs."""
    results = [np.empty(inputs[0].shape, inputs[0].dtype) for _ in range(count)]
    return each(work, inputs, results, fill_failures)


def _one_qz(a, b, scale_a, scale_b, where):
    check_finite("a", a, where)
    check_finite("b", b, where)
    (gges,) = scipy.linalg.get_lapack_funcs(("gges",), (a, b))
    s, t, *_, q, z, _, info = gges(lambda *_: None, a, b)
    if info != 0:
        why = f"LAPACK's {gges.typecode}gges returned info = {info}"
        raise ValueError(checks.CONVERGENCE.format(why=why, where=where))
    if not all(np.isfinite(x).all() for x in (q, z)) or not (_stays_finite(s, scale_a) and _stays_finite(t, scale_b)):
        raise ValueError(checks.CONVERGENCE.format(why=f"LAPACK's {gges.typecode}gges returned NaN or Inf", where=where))
    _drop_negligible_betas(a, b, s, t)
    return s, t, q, z


def _drop_negligible_betas(a, b, s, t):
    """t_jj is 0 where rounding alone keeps it from 0: LAPACK looks at it where it looks for the next shift, and not at those of eigenvalues
    that split off before."""
    linked = np.diagonal(s, -1) != 0
    in_block = np.append(linked, False) | np.insert(linked, 0, False)
    modulus = np.abs(np.diagonal(t))

    def negligible(here):
        return (modulus > 0) & (modulus <= _zero_beta(t[here, here])) & ~in_block

    if negligible(slice(None)).any():  # seldom
        here = _active(a, b)
        place = np.arange(len(t))
        place = place[(here.start <= place) & (place < here.stop) & negligible(here)]
        t[place, place] = 0


def _zero_beta(t):
    """The bound up to which t_jj is 0 where rounding has touched it: LAPACK's, the precision times the Frobenius norm of t."""
    largest = np.abs(t).max(initial=0)
    return np.finfo(t.dtype).eps * np.linalg.norm(t / largest) * largest if largest > 0 else 0


def _active(a, b):
    """The rows and columns of S and T beside which LAPACK's xGGBAL makes the pencil triangular by permutation: what stands there no
    rounding touches."""
    entries = (a != 0) | (b != 0)
    left = np.arange(len(a))
    rows, columns, first, last = left, left, 0, len(a)
    while len(rows) > 0:
        block = entries[np.ix_(rows, columns)]
        for axis in (1, 0):
            alone = block.sum(axis=axis) <= 1
            if alone.any():
                break
        else:
            break
        i = int(np.flatnonzero(alone)[-1])
        line = block[i] if axis == 1 else block[:, i]
        other = int(line.argmax()) if line.any() else len(line) - 1
        rows, columns = (np.delete(rows, i), np.delete(columns, other)) if axis == 1 else (np.delete(rows, other), np.delete(columns, i))
        first, last = (first, last - 1) if axis == 1 else (first + 1, last)
    return slice(first, last)


def _host_reorder(s, t, q, z, labels, scale_s, scale_t, fill_failures):
    """Factors of NumPy arrays with the eigenvalues in the order of their labels, as LAPACK leaves them. Raises ValueError."""
    return _each(_one_reorder, [s, t, q, z, labels, scale_s, scale_t], 4, fill_failures)


def _one_reorder(s, t, q, z, labels, scale_s, scale_t, where):
    check_finite("s", s, where)
    (tgexc,) = scipy.linalg.get_lapack_funcs(("tgexc",), (s, t))
    # xTGEXC measures what it leaves of S and T against a norm of both, which are near one.
    t, labels, infinite, to = t.copy(), labels.copy(), np.diagonal(t) == 0, 0
    while to < len(labels):
        here = to + int(np.argmax(labels[to:]))
        size = 2 if here + 1 < len(s) and s[here + 1, here] != 0 else 1
        if here > to:
            s, t, q, z, *_, info = tgexc(s, t, q, z, here + 1, to + 1)
            if info != 0:
                why = f"LAPACK's {tgexc.typecode}tgexc returned info = {info}"
                raise ValueError(checks.ORDER.format(why=why, where=where))
            for x in (labels, infinite):
                x[to : here + size] = np.roll(x[to : here + size], size)
        to += 2 if to + 1 < len(s) and s[to + 1, to] != 0 else 1
    # An infinite eigenvalue is one afterwards. As much as an exchange leaves of t_jj = 0 may stand below the diagonal.
    place = np.flatnonzero(infinite & (np.abs(np.diagonal(t)) <= tolerances.exchange(t.dtype)))
    t[place, place] = 0
    if not all(np.isfinite(x).all() for x in (q, z)) or not (_stays_finite(s, scale_s) and _stays_finite(t, scale_t)):
        raise ValueError(checks.ORDER.format(why=f"LAPACK's {tgexc.typecode}tgexc returned NaN or Inf", where=where))
    return s, t, q, z


def _host_schur(a, scale, fill_failures):
    """T, Z of a NumPy array as LAPACK gives them, T to be multiplied by 2^scale. Raises ValueError."""
    checks.square("a", tf.TensorShape(a.shape), a.shape)
    return _each(_one_schur, [a, scale], 2, fill_failures)


def _one_schur(a, scale, where):
    check_finite("a", a, where)
    t, z = _gees(a, where)
    if not _has_unit_columns(z, 8):
        # xLAHQR of complex dtypes multiplies lines by x / |x|, whose modulus isn't 1 where x is a denormal: once more, farther from these.
        # From 2^459 on LAPACK scales by itself.
        wide, far = (np.complex128, 0) if a.dtype == np.complex64 else (a.dtype, 450)
        t, z = _gees(a.astype(wide) * 2.0**far, where)
        if not _has_unit_columns(z, 30):
            why = "LAPACK's zgees returned a matrix that is not unitary"
            raise ValueError(checks.QR_CONVERGENCE.format(why=why, where=where))
        t, z = (t * 2.0**-far).astype(a.dtype), z.astype(a.dtype)
    if not _stays_finite(t, scale):
        letter = dict(zip("fdFD", "sdcz"))[a.dtype.char]
        raise ValueError(checks.QR_CONVERGENCE.format(why=f"LAPACK's {letter}gees returned NaN or Inf", where=where))
    return t, z


def _gees(a, where):
    (gees,) = scipy.linalg.get_lapack_funcs(("gees",), (a,))
    t, *_, z, _, info = gees(lambda *_: None, a)
    if info != 0:
        why = f"LAPACK's {gees.typecode}gees returned info = {info}"
        raise ValueError(checks.QR_CONVERGENCE.format(why=why, where=where))
    if not (np.isfinite(t).all() and np.isfinite(z).all()):
        raise ValueError(checks.QR_CONVERGENCE.format(why=f"LAPACK's {gees.typecode}gees returned NaN or Inf", where=where))
    return np.triu(t) if np.iscomplexobj(t) else t, z  # denormals there may have counted as 0


def _has_unit_columns(z, threshold):
    """Whether the columns of z, which are orthogonal, have the length 1 up to rounding: `threshold` times n epsilon."""
    squares = np.sum(np.abs(z) ** 2, axis=0)
    return bool(np.all(np.abs(squares - 1) <= threshold * len(z) * np.finfo(z.dtype).eps))


def _stays_finite(x, scale):
    """Whether x is finite and stays so times 2^scale."""
    largest = max(np.abs(x.real).max(initial=0), np.abs(x.imag).max(initial=0))
    return np.isfinite(x).all() and np.frexp(largest)[1] + scale.item() <= np.finfo(x.dtype).maxexp
