"""What is true of right results, whatever the pencil: each as a ratio of an error and its bound, above 1 where it is broken.

All is computed in extended precision, whose range holds products of whatever a dtype holds. The bounds have one source: LAPACK's test
programs (xDRGES) take 30 times the size times the precision for what a backward stable algorithm may miss, of each factor and in the norm
of the matrix, where right ones stay below 5. Below the smallest normal number precision ends: there a bound has denormals beside it.
"""

import numpy as np
import oracles
import scipy.linalg
import scipy.optimize

THRESHOLD = 30


def wide(x):
    return np.asarray(x).astype(np.clongdouble if np.iscomplexobj(x) else np.longdouble)


def H(x):
    return np.swapaxes(np.conj(x), -1, -2)


def norm(x):
    return np.sqrt(np.sum(np.abs(x) ** 2, axis=(-2, -1)))


def precision(dtype, size):
    """The bound of what is relative to a norm, and what comes to it from denormals."""
    limits = np.finfo(dtype)
    return THRESHOLD * max(size, 1) * wide(limits.eps), THRESHOLD * max(size, 1) ** 2 * wide(limits.smallest_subnormal)


def ratio(error, bound):
    """0 for 0/0; NaN for NaN."""
    error, bound = np.max(error, initial=0), np.max(bound, initial=0)
    return 0.0 if error == 0 else float(error / bound) if bound > 0 else np.inf


def holds(condition):
    """The ratio of what is true to the last bit or isn't."""
    return 0.0 if condition else np.inf


def residual(x, q, factor, z, loss=1.0):
    """Q F Z^H is X; `loss`: how much larger errors may be."""
    relative, absolute = (loss * bound for bound in precision(factor.dtype, max(x.shape)))
    x, q, factor, z = map(wide, (x, q, factor, z))
    return ratio(norm(x - q @ factor @ H(z)), relative * norm(x) + absolute)


def unitarity(q):
    """The columns of Q are orthonormal."""
    relative, _ = precision(q.dtype, max(q.shape))
    q = wide(q)
    return ratio(norm(H(q) @ q - np.eye(q.shape[1])), relative)


def pattern(s, t):
    """S is quasi-triangular, T triangular, zeros are exact, 2 x 2 blocks have complex eigenvalues."""
    words = oracles.structure_error(s, t)
    if "block at " not in words:
        return holds(words == "")
    k = int(words.split("block at ")[1].split()[0])
    of_s, of_t = (x[k : k + 2, k : k + 2] for x in (s, t))
    if "has real eigenvalues" in words:  # up to rounding, which is coarser than the precision where the block's entries are denormals
        least = min(np.abs(x[x != 0]).min() for x in (of_s, of_t))
        return holds(least < np.finfo(s.dtype).tiny / np.finfo(s.dtype).eps)
    # d > 0, and perhaps a, rounded to 0
    return holds("is not diag(a, d)" in words and has_few_digits(t) and of_t[0, 0] >= 0 and not of_t.ravel()[1:].any())


def first_largest(x):
    """The row of the first entry of each column that has the largest modulus up to ties."""
    moduli = np.abs(wide(x))
    return np.argmax(moduli >= (1 - 1024 * wide(np.finfo(x.dtype).eps)) * moduli.max(axis=0, initial=0), axis=0)


def positive_in_columns(z):
    """The largest entry of each column is real and positive."""
    if z.size == 0:
        return 0.0
    largest = np.take_along_axis(z, first_largest(z)[None, :], axis=0)
    return holds(np.all(largest.imag == 0) and np.all(largest.real > 0))


def canonical(s, t, q, z):
    """The convention of square factors: exactly where it says real, zero or positive, and no step of making them so changes them more than
    rounding does."""
    diagonal = np.diag(t)
    at_zero = np.diag(s)[diagonal == 0]
    errors = [positive_in_columns(z), holds(np.all(diagonal.imag == 0) and np.all(diagonal.real >= 0))]
    if has_few_digits(s, t) or (np.any(np.diag(s) == diagonal) and has_few_digits(s, t, power=3)):
        return max_ratio(errors)  # denormals, and zeros among them, don't tell which phases made them real
    limits = np.finfo(s.dtype)
    errors.append(holds(np.all(at_zero.imag == 0) and np.all(at_zero.real >= 0)))
    for got, again in zip((s, t, q, z), oracles.canonical(s, t, q, z)):
        bound = 8 * wide(limits.eps) * np.abs(wide(got)).max(initial=0) + 2 * wide(limits.smallest_subnormal)
        errors.append(ratio(np.abs(wide(got) - wide(again)), bound))
    return max_ratio(errors)


def has_few_digits(*matrices, power=1):
    """Whether the rounding of one of these, relative to its largest entry, or to epsilon^(power - 1) of that, is that of denormals."""
    return any(0 < np.abs(wide(x)).max(initial=0) < wide(np.finfo(x.dtype).tiny) / wide(np.finfo(x.dtype).eps) ** power for x in matrices)


def max_ratio(ratios):
    """The largest, and NaN if there is one."""
    return float(np.max(ratios, initial=0))


def over_norms(a, b):
    """A and B over their Frobenius norms, in double precision, and these; 0 over 1."""
    a, b = wide(a), wide(b)
    norms = [x if x > 0 else wide(1.0) for x in map(norm, (a, b))]
    kind = np.complex128 if np.iscomplexobj(a) else np.float64
    return *((x / n).astype(kind) for x, n in zip((a, b), norms)), norms


def points(alpha, beta, norms):
    """alpha and beta over the norms and their length together, and this."""
    alpha, beta = (wide(x) / n for x, n in zip((alpha, beta), norms))
    length = np.sqrt(np.abs(alpha) ** 2 + np.abs(beta) ** 2)
    over = np.where(length > 0, length, 1)
    return (alpha / over).astype(complex), (beta / over).astype(complex), length.astype(float)


def denormal_share(dtype, norms):
    """How coarse numbers of a dtype are beside the smaller norm."""
    return float(wide(np.finfo(dtype).smallest_subnormal) / min(norms))


def eigenvalues(a, b, alpha, beta, most=12):
    """Each of at most `most` ones is that of a pencil nearby: beta A - alpha B is as good as singular."""
    n = len(a)
    if n == 0:
        return 0.0
    x, y, norms = over_norms(a, b)
    alpha, beta, length = points(alpha, beta, norms)
    relative, _ = precision(a.dtype, n)
    relative = float(relative) + THRESHOLD * n * denormal_share(a.dtype, norms)
    chosen = [j for j in np.unique(np.linspace(0, n - 1, min(n, most)).astype(int)) if length[j] > relative]
    smallest = [np.linalg.svd(beta[j] * x - alpha[j] * y, compute_uv=False)[-1] for j in chosen]
    return ratio(smallest, relative)


def reference(a, b, dtype):
    """Eigenvalues by SciPy, as pairs of length 1, and how far those of pencils within the bounds of `dtype` may be from each, to first
    order (Stewart and Sun, section VI.2.1); or None where first order may say too little."""
    x, y, norms = over_norms(a, b)
    x, y = x.astype(complex), y.astype(complex)
    with np.errstate(all="ignore"):
        (alpha, beta), left, right = scipy.linalg.eig(x, y, left=True, right=True, homogeneous_eigvals=True)
        left, right = left / np.linalg.norm(left, axis=0), right / np.linalg.norm(right, axis=0)
        values = np.hypot(*(np.abs(np.sum(left.conj() * (m @ right), axis=0)) for m in (x, y)))
        length = np.hypot(abs(alpha), abs(beta))
        relative = float(precision(dtype, len(a))[0]) + THRESHOLD * len(a) * denormal_share(dtype, norms)
        reach = 2 * relative / values
        alpha, beta = alpha / length, beta / length
    distances = abs(np.outer(alpha, beta) - np.outer(beta, alpha)) + 2 * np.eye(len(a))
    good = np.isfinite(reach).all() and np.isfinite(alpha).all() and reach.max() * len(a) < distances.min() / 10
    return (alpha, beta, reach, norms) if good and reach.max() < 1e-2 else None


def near_reference(alpha, beta, expected):
    """All eigenvalues, each once."""
    x, y, reach, norms = expected
    alpha, beta, _ = points(alpha, beta, norms)
    distances = abs(np.outer(alpha, y) - np.outer(beta, x))
    if not np.isfinite(distances).all():
        return np.inf
    rows, columns = scipy.optimize.linear_sum_assignment(distances)
    return ratio(distances[rows, columns] / reach[columns], 1.0)


def vectors(a, b, v):
    """A x and B x are as good as parallel for each column x of length 1: it is an eigenvector of a pencil nearby."""
    n = len(a)
    relative, _ = precision(a.dtype, n)
    x, y, norms = over_norms(a, b)
    pairs = np.stack([np.pad((m @ v.astype(complex)).T, [(0, 0), (0, 1)]) for m in (x, y)], axis=-1)
    angles = np.linalg.svd(pairs, compute_uv=False)[:, -1] if n else np.zeros(0)
    lengths = np.abs(np.linalg.norm(v.astype(complex), axis=0) - 1)
    return max(ratio(angles, float(relative) + THRESHOLD * n * denormal_share(a.dtype, norms)), ratio(lengths, float(relative)))


def invariance(x, right_projector, left_projector):
    """X maps the range of one projector into that of the other."""
    relative, absolute = precision(left_projector.dtype, max(x.shape))
    x, p, q = map(wide, (x, right_projector, left_projector))
    image = x @ p
    return ratio(norm(image - q @ image), relative * norm(x) + absolute)


def same_bits(xs, ys):
    return holds(all(np.array_equal(x, y, equal_nan=True) for x, y in zip(xs, ys)))


def exponent_of(x):
    """Of the largest entry."""
    largest = max(np.abs(np.real(x)).max(initial=0), np.abs(np.imag(x)).max(initial=0))
    return int(np.frexp(largest)[1]) if largest > 0 else 0


def times(x, exponent):
    """x 2^exponent, rounded where it is a denormal."""
    x = np.asarray(x)
    with np.errstate(over="ignore", under="ignore"):
        parts = [np.ldexp(part, exponent) for part in (x.real, x.imag)]
        return (parts[0] + 1j * parts[1] if np.iscomplexobj(x) else parts[0]).astype(x.dtype)


def in_range(x, exponent):
    """Whether all entries times 2^exponent are 0 or as far from the ends of the range as docs/reliability.md wants them for equal bits."""
    parts = np.abs(np.concatenate([np.ravel(np.real(x)), np.ravel(np.imag(x))]))
    scaled = wide(parts[parts > 0]) * wide(2.0) ** exponent
    far = wide(10.0) ** (37 if np.finfo(x.dtype).bits == 32 else 300)
    return bool(np.all((scaled >= 1 / far) & (scaled <= far)))


def seen_in_ops(x):
    """Of each number: whether it is what it is to TensorFlow's ops, which take denormal parts for 0."""
    return np.all([(part == 0) | (np.abs(part) >= np.finfo(x.dtype).tiny) for part in (np.real(x), np.imag(x))], axis=0)


def lost_in_ops(x):
    """Whether such parts are not small beside others of a matrix, [..., m, n]."""
    largest = np.abs(wide(x)).max(axis=(-2, -1), initial=0, keepdims=True)
    return bool(np.any(~seen_in_ops(x) & (np.abs(wide(x)) > wide(np.finfo(x.dtype).eps) * largest)))


def without_denormals(x):
    """Of a batch: the elements all of whose entries are 0, or normal numbers by far."""
    size = np.abs(x).reshape(len(x), -1)
    return np.all((size == 0) | (np.isfinite(size) & (size >= 4 * np.finfo(x.dtype).tiny)), axis=1)


def equal_where_normal(found, expected, exponent=0):
    """The same bits, but for denormals, which may be rounded twice, of these or of `expected` before it was multiplied by 2^exponent."""
    limits, power = np.finfo(found.dtype), wide(2.0) ** max(exponent, 0)
    least = 2 * wide(limits.smallest_subnormal) * power
    for x, y in ((found.real, expected.real), (found.imag, expected.imag)):
        small = np.abs(wide(y)) < 2 * wide(limits.tiny) * power
        if not np.array_equal(x[~small], y[~small]) or np.any(np.abs(wide(x[small]) - wide(y[small])) > least):
            return np.inf
    return 0.0
